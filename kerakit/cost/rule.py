"""What a counting rule is given, and what it answers."""

import math
import re
from dataclasses import dataclass

from keras import tree

from kerakit.cost.field import Field, merged, union


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one call of a layer or an operation costs, one example.

    Args:
        macs: Multiply-accumulates of convolutions and matrix products.
        flops: Floating-point operations of all kinds, two for each of those.
        field: `Field` of the output; None where it is not followed.
        shares_memory: Whether the output is the input's memory, so that it is kept once.
        kept: Bytes that a training step keeps beside the output.
        uncounted: What of the work is not counted, in words.

    Example:

    >>> Cost(macs=10, flops=20).flops
    20
    """

    macs: int = 0
    flops: int = 0
    field: Field | None = None
    shares_memory: bool = False
    kept: int = 0
    uncounted: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a layer or an operation, as a rule sees it.

    Shapes begin with the batch, which is 1.

    Args:
        layer: The layer, or the operation of `keras.ops`.
        arguments: Its positional arguments: tensors without values, and what else was given.
        options: Its keyword arguments.
        inputs: All tensors among them, in order.
        fields: The `Field` of each input.
        outputs: The tensors that it returns.
        trace: The `Trace` in which it stands; `trace.activation_cost` and `trace.run` count
            what a layer holds.
    """

    layer: object
    arguments: tuple
    options: dict
    inputs: list
    fields: list
    outputs: list
    trace: object

    @property
    def input_shape(self):
        """Shape of the first input."""
        return tuple(self.inputs[0].shape)

    @property
    def input_shapes(self):
        """Shape of each input."""
        return [tuple(x.shape) for x in self.inputs]

    @property
    def output_shape(self):
        """Shape of the first output."""
        return tuple(self.outputs[0].shape)

    @property
    def elements(self):
        """Elements of the first output."""
        return math.prod(self.output_shape)

    @property
    def field(self):
        """`Field` of the first input: the output's too where each position reads its own."""
        return self.fields[0]

    @property
    def union(self):
        """`Field` of an output whose positions read the same positions of all inputs."""
        return union(self.fields, self.input_shapes, self.output_shape)

    @property
    def everything(self):
        """`Field` of an output each of whose positions reads all positions of all inputs."""
        axes = [one.everything().axes for one in self.fields]
        return Field({key: axis for one in axes for key, axis in one.items()})

    @property
    def lost(self):
        """`Field` of an output of which nobody knows which positions it reads."""
        return merged(self.fields)


def tensors_in(structure):
    """The tensors, symbolic or not, in nested arguments, in order."""
    return [x for x in tree.flatten(structure) if hasattr(x, "shape") and hasattr(x, "dtype")]


def size_in_bytes(tensor):
    """Bytes of a symbolic tensor."""
    digits = re.search(r"\d+", tensor.dtype)
    return math.prod(tensor.shape) * (int(digits[0]) if digits else 8) // 8
