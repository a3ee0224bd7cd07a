"""Class activation maps, exact where a network ends in global average pooling."""

import keras
from keras import ops

from kerakit.explain.calls import has_linear_end, is_activation
from kerakit.explain.explained import explained
from kerakit.explain.heat_map import HeatMap

# They leave features as they are in inference, or only arrange them.
_PASSING = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.InputLayer,
    keras.layers.Reshape,
)
_POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalAveragePooling3D)


def cam(model, images, *, target=None):
    """CAM: each place's own share in a class's score, without a gradient.

    Of a network that ends in global average pooling over maps A and one dense layer, the score is
    the mean over places of `sum over k of w_k A_k`, which is the map, plus the bias. So it is
    exact, and signed: what speaks against the class is below 0. `grad_cam` of the same maps is its
    positive part divided by the number of places.

    Args:
        model: Keras model that ends in `GlobalAveragePooling2D` or `3D` and `Dense`, with nothing
            in between but dropout, and perhaps a softmax or sigmoid.
        images: As of `kerakit.explain.grad_cam`.
        target: None for the predicted class, a class, or B classes.

    Returns:
        `HeatMap`.

    Raises:
        ValueError: If the model does not end so, or the target is no class.

    Reference:
        Zhou et al., Learning Deep Features for Discriminative Localization, 2016, Eq. 2.
        Deviations: none.

    Example:

    >>> import numpy as np
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="relu"),
    ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, use_bias=False)])
    >>> heat = cam(model, np.ones((1, 8, 8, 3)))
    >>> bool(np.allclose(heat.raw.mean(), heat.scores))
    True
    """
    found = explained(model, images, target)
    if found.chosen.classes is None or found.chosen.of_all:
        raise ValueError(f"`target` must be None or a class for `cam`, got {target!r}.")
    maps, dense, name = _ending(found)
    # (B, C) weights of the classes that are asked for; a class below 0 is "not class 0".
    classes = found.chosen.classes
    weights = ops.take(ops.transpose(dense.kernel), ops.maximum(classes, 0), axis=0)
    weights = ops.cast(weights, "float32") * ops.where(classes[:, None] < 0, -1.0, 1.0)
    places = (1,) * (len(maps.shape) - 2)
    weights = ops.reshape(weights, (-1, *places, maps.shape[-1]))
    return HeatMap.of(
        ops.sum(ops.cast(maps, "float32") * weights, axis=-1),
        found.pixels,
        scores=found.scores,
        classes=classes,
        layers=[name],
    )


def _ending(found):
    """The pooled maps, the dense layer behind them, and the name of the pooling."""
    steps = [
        called
        for called in found.sources()
        if not (isinstance(called.operation, _PASSING) or is_activation(called))
    ]
    if len(steps) > 1:
        pooling, dense = steps[-2:]
        if (
            isinstance(dense.operation, keras.layers.Dense)
            and (has_linear_end(dense) or dense.key == getattr(found.bare, "key", None))
            and isinstance(pooling.operation, _POOLING)
            and len(pooling.inputs[0].shape) == len(found.pixels.shape)
        ):
            return pooling.inputs[0], dense.operation, pooling.name
    raise ValueError(
        "`model` must end in GlobalAveragePooling2D or GlobalAveragePooling3D and one Dense layer "
        f"for `cam`, and {found.model.name} does not; `explain.grad_cam` is for any network with "
        "convolutions."
    )
