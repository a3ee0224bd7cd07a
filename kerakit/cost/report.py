"""What a model costs: parameters, multiply-accumulates, FLOPs, memory and receptive field."""

import math

import keras
from keras import tree

from kerakit.cost.field import of_input
from kerakit.cost.inputs import arguments_for
from kerakit.cost.operation_rules import operation_rule
from kerakit.cost.rules import layer_rules
from kerakit.cost.table import Report, make_row
from kerakit.cost.trace import Trace


def report(model, input_shape=None, *, rules=None):
    """Counts what a Keras model costs for one example, at inference.

    Any model: functional, Sequential or subclassed, nested, with shared layers (counted at each
    call), several inputs and outputs, and with functions of `keras.ops` between its layers. A
    layer that no rule knows is counted by the functions of `keras.ops` that its `call` consists
    of; what cannot be counted is named in `uncounted` and in the text, never taken for 0.

    Counted as follows.

    - MACs: multiply-accumulates of convolutions and matrix products, as in torchvision's
      tables (there called GFLOPs); no bias, normalisation, pooling or activation. Taps over
      padding count. Im2col and FFT convolutions count as the direct one.
    - FLOPs: two a MAC, bias included: `(2 N - 1) + 1`; without a bias two as well, as
      profilers count. Batch normalisation 2 an element (constants at inference), layer, group
      and instance normalisation 5, and 1 for gamma and beta each. Activations by
      `kerakit.activations.TABLE`. Max pooling 1 an output, average pooling `k^2 - 1`. Sums,
      products and the like 1 an element. What depends on weights alone is a constant: 0.
    - Activation bytes: every output in its own type, batch 1, as a training step keeps it, and
      of attention also queries, keys, values, scores and their weighted sum. Outputs that are
      their input's memory are not counted again: reshape, flatten, dropout at inference,
      identity; nor is the model's input.
    - Receptive field and effective stride: in pixels of the input, along each axis, exact and
      unclipped by the image's border, from the first to the last pixel that one output
      reads; the largest over branches and over output positions. "all" behind a global pooling,
      a dense layer over space, attention or recurrence; None where it was not followed.
      Normalisation by an image's own statistics passes it on, though it reads the whole image.

    Args:
        model: A `keras.Model` or layer.
        input_shape: Shape of one example, (H, W, C) for an image, in place of what the model
            leaves open; a list or dict of shapes for a model of several inputs, a list for one
            whose `call` takes several tensors.
        rules: Dict from layer classes to counting rules for them. A rule takes a
            `kerakit.cost.Call` and returns a `kerakit.cost.Cost`; it goes before kerakit's own
            and is inherited by subclasses.

    Returns:
        `Report`; print it for the table.

    Raises:
        ValueError: If the input's shape is not known, or does not fit.

    Example:

    >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3)])
    >>> cost = report(model)
    >>> cost.parameters, cost.macs, cost.receptive_field
    (224, 194400, (3, 3))
    """
    arguments = arguments_for(model, input_shape)
    inputs = tree.flatten(arguments)
    trace = Trace(layer_rules(rules), operation_rule)
    first = _channels_first(model)
    for number, tensor in enumerate(inputs):
        trace.place(tensor, of_input(number, tensor.shape, channels_first=first))
    outputs = trace(model, *arguments)

    seen = set()
    rows = [make_row(counted, seen) for counted in trace.rows]
    uncalled = [v for v in model.weights if id(v) not in seen]
    fields = [trace.field_of(output) for output in tree.flatten(outputs)]
    return Report(
        name=model.name,
        input_shapes=[tuple(x.shape[1:]) for x in inputs],
        rows=rows,
        uncalled_parameters=sum(math.prod(v.shape) for v in uncalled),
        uncalled_trainable_parameters=sum(math.prod(v.shape) for v in uncalled if v.trainable),
        output_fields=fields,
    )


def _channels_first(model):
    formats = (getattr(layer, "data_format", None) for layer in model._flatten_layers())
    found = next(filter(None, formats), keras.config.image_data_format())
    return found == "channels_first"
