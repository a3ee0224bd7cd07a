"""A backbone that gives its maps at several depths: any functional model, cut at named layers."""

import keras

from kerakit.layers.frozen_batch_normalization import FrozenBatchNormalization


def feature_taps(model, names, *, freeze_norms=False, name="backbone_body"):
    """The model from its images to the outputs of the named layers.

    Args:
        model: Functional `keras.Model` of one input, such as a classifier of
            `kerakit.models.classification` or of `keras.applications`.
        names: Names of its layers, finest map first.
        freeze_norms: Whether every batch normalisation becomes a `FrozenBatchNormalization` with
            its weights, which no training moves: for one or two images a step, too few for
            statistics. The layers are then new ones, else the model's own.
        name: Name of the model that is returned.

    Returns:
        `keras.Model` from (B, H, W, 3) images to a list of (B, h, w, C) maps.

    Raises:
        ValueError: If a layer is not there.

    Example:

    >>> images = keras.Input((32, 32, 3))
    >>> x = keras.layers.Conv2D(4, 3, 2, padding="same", name="one")(images)
    >>> model = keras.Model(images, keras.layers.Conv2D(8, 3, 2, padding="same", name="two")(x))
    >>> [y.shape for y in feature_taps(model, ["one", "two"]).outputs]
    [(None, 16, 16, 4), (None, 8, 8, 8)]
    """
    known = {layer.name for layer in model.layers}
    missing = [each for each in names if each not in known]
    if missing or not names:
        raise ValueError(
            f"`names` must be of layers of {model.name}, got {', '.join(missing) or 'none'}."
        )
    outputs = [model.get_layer(each).output for each in names]
    cut = keras.Model(model.inputs[0], outputs, name=name)
    if not freeze_norms:
        return cut
    frozen = keras.models.clone_model(cut, clone_function=_frozen)
    frozen.set_weights(cut.get_weights())
    return frozen


def _frozen(layer):
    if not isinstance(layer, keras.layers.BatchNormalization):
        return layer.__class__.from_config(layer.get_config())
    if layer.axis not in (-1, 3) or not (layer.center and layer.scale):
        raise ValueError(
            f"`freeze_norms` must meet norms with scale and offset over channels last, got "
            f"{layer.name}."
        )
    return FrozenBatchNormalization(
        epsilon=layer.epsilon, name=layer.name, dtype=layer.dtype_policy
    )
