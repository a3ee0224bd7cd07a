"""A trained classifier's weights in a segmenter that has its layers."""

import os
import pathlib

import keras
import numpy as np

from kerakit.errors import InputError
from kerakit.models.segmentation.as_convolution import dense_as_kernel, map_before
from kerakit.weights.read import read_arrays
from kerakit.weights.torchvision import by_keras_name, laid_out, name_in_checkpoint


def load_classifier(model, source):
    """Loads a classifier's weights into the layers of another model that have the same names.

    The body of a segmenter is that of a classifier: `fcn8s` has VGG16's layers but its last,
    `segnet` the convolutions of `vgg16_bn`. Where the classifier has a dense layer behind a
    flattened map and the model a convolution, the weights are laid out as its kernel, whichever
    order they are flattened in. The other layers of the model keep their weights; on an error all
    do.

    Args:
        model: Functional `keras.Model`, such as `fcn8s()`.
        source: Classifier of `kerakit.models.classification`, a `.keras` file of one, or a
            checkpoint of torchvision's, as in `kerakit.weights.read_arrays`.

    Returns:
        List of the names of the layers that were loaded.

    Raises:
        InputError: If no layer fits, one has another shape, or the classifier has a layer with
            weights before the last one used of which the model knows nothing.

    Example:

    >>> patches, images = keras.Input((2, 3, 1)), keras.Input((8, 8, 1))
    >>> flat = keras.layers.Flatten()(patches)
    >>> classifier = keras.Model(patches, keras.layers.Dense(4, name="fc")(flat))
    >>> model = keras.Model(images, keras.layers.Conv2D(4, (2, 3), name="fc")(images))
    >>> load_classifier(model, classifier)
    ['fc']
    """
    label = source if isinstance(source, str | os.PathLike) else "the classifier"
    if isinstance(source, str | os.PathLike) and pathlib.Path(source).suffix == ".keras":
        source = keras.saving.load_model(source, compile=False)
    find, names = _in_model(source) if isinstance(source, keras.Model) else _in_file(source, label)
    values, faults, used = [], [], []
    for layer in model.layers:
        found = [find(layer, variable) for variable in layer.weights]
        for variable, array in zip(layer.weights, found, strict=True):
            if array is not None and array.shape == tuple(variable.shape):
                values.append((variable, array))
            elif array is not None:
                faults.append(f"{layer.name} is {array.shape}, not {tuple(variable.shape)}")
        if any(array is not None for array in found):
            used.append(layer.name)
    last = max((i for i, name in enumerate(names) if name in used), default=0)
    faults += [f"{name} is left over" for name in names[:last] if name not in used]
    if faults or not used:
        reason = "; ".join(faults) or "no layer of it has a name of the model's"
        raise InputError(f"{label} does not fit {model.name}: {reason}.")
    for variable, array in values:
        variable.assign(array)
    return used


def _in_model(source):
    """Function from a layer and its variable to the source's array, and names of its layers."""
    layers = {layer.name: layer for layer in source.layers if layer.weights}

    def find(layer, variable):
        theirs = layers.get(layer.name)
        for weight in theirs.weights if theirs else ():
            if weight.name == variable.name:
                array = keras.ops.convert_to_numpy(weight)
                if isinstance(theirs, keras.layers.Dense):
                    order = map_before(theirs)["channels_first"]
                    array = _as_kernel(array, variable, channels_first=order)
                return array
        return None

    return find, list(layers)


def _in_file(source, label):
    arrays = by_keras_name(read_arrays(source), (), label)

    def find(layer, variable):
        _, array = arrays.get(name_in_checkpoint(layer, variable), (None, None))
        if array is None:
            return None
        if array.ndim == 2:
            return _as_kernel(array.T, variable, channels_first=True)
        fitting = laid_out(array, layer, variable, None)
        return array if fitting is None else fitting

    names = dict.fromkeys(
        torch.rpartition(".")[0].replace(".", "_") for torch, _ in arrays.values()
    )
    return find, list(names)


def _as_kernel(array, variable, *, channels_first):
    """A dense layer's matrix as a kernel, where the model has a convolution that it fits."""
    shape = tuple(variable.shape)
    if array.ndim != 2 or len(shape) != 4 or array.size != np.prod(shape):
        return array
    return dense_as_kernel(array, size=shape[:2], channels_first=channels_first)
