"""Heat maps of a layer's maps, weighted by the gradient of a score: Grad-CAM and its kin."""

from keras import ops

from kerakit.explain.explained import explained
from kerakit.explain.heat_map import HeatMap
from kerakit.explain.map_layers import chosen_maps, over_time


def grad_cam(model, images, *, target=None, layer=None):
    """Grad-CAM: a layer's maps, each weighted by the mean of the score's gradient over it.

        relu(sum over k of w_k A_k),   w_k = mean over places of ds / dA_k

    Scores are those before a last softmax or sigmoid that is a layer, or a layer's activation, and
    the network is in inference mode. What a layer that is called several times returns is that of
    its last call. The map is taken to cover the whole image: where convolutions do not pad it lies
    a little further inwards than it is drawn.

    Args:
        model: Keras model of one map of pixels in 0..255, or what it takes: a classifier of images
            or clips, a segmenter, or a detector of kerakit's.
        images: (B, H, W, C) or (B, T, H, W, C) raw pixels; for a model of several inputs the dict
            of them, with the pixels under "images".
        target: What to explain: None for the predicted class, or a detector's first detection; a
            class or B classes; `Pixel` or `Region` of a segmenter; `Detection`; or a function of
            the model's outputs to (B,) scores.
        layer: Name of a layer, a layer, or a list of them whose maps, enlarged, are added. None:
            of classifiers the last map of more than one place before poolings, of segmenters the
            last of the smallest maps, of detectors the maps that the heads of all levels share.

    Returns:
        `HeatMap` of values at least 0.

    Raises:
        ValueError: If the target or layer does not suit the model, or the model has no maps.

    Reference:
        Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
        Localization, 2017, Eq. 1 and 2; of pixels Vinogradova et al., Towards Interpretable
        Semantic Segmentation via Gradient-Weighted Class Activation Mapping, 2020. Deviations:
        none.

    Example:

    >>> import numpy as np
    >>> from kerakit.models.classification import resnet18
    >>> model = resnet18(input_shape=(64, 96, 3), num_classes=5, width=0.125)
    >>> heat = grad_cam(model, np.zeros((2, 64, 96, 3)), target=[3, 0])
    >>> heat.values.shape, heat.raw.shape, heat.layers
    ((2, 64, 96), (2, 2, 3), ('layer4_1_relu',))
    """

    def combine(maps, slopes, places):
        return ops.sum(ops.mean(slopes, axis=places, keepdims=True) * maps, axis=-1)

    return _weighted(combine, model, images, target, layer)


def grad_cam_plus_plus(model, images, *, target=None, layer=None):
    """Grad-CAM++: weights from the positive gradients alone, where each place counts by itself.

        relu(sum over k of w_k A_k),   w_k = sum over places of a_k relu(g_k)
        a_k = g_k^2 / (2 g_k^2 + g_k^3 sum over places of A_k),   g_k = ds / dA_k

    It finds several objects of a class where Grad-CAM leans to the largest.

    Args:
        model: As of `grad_cam`.
        images: As of `grad_cam`.
        target: As of `grad_cam`.
        layer: As of `grad_cam`.

    Returns:
        `HeatMap` of values at least 0.

    Raises:
        ValueError: As `grad_cam`.

    Reference:
        Chattopadhyay et al., Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep
        Convolutional Networks, 2018, Eq. 10, 11 and 19, of the exponential of the score.
        Deviations: the exponential's own factor is left out, one for all weights.

    Example:

    >>> import keras, numpy as np
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu", name="map"),
    ...     keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])
    >>> grad_cam_plus_plus(model, np.zeros((1, 8, 8, 1))).raw.shape
    (1, 6, 6)
    """

    def combine(maps, slopes, places):
        squares = ops.square(slopes)
        total = ops.sum(maps, axis=places, keepdims=True)
        divisor = 2.0 * squares + squares * slopes * total
        shares = ops.where(divisor != 0, squares / ops.where(divisor != 0, divisor, 1.0), 0.0)
        weights = ops.sum(shares * ops.relu(slopes), axis=places, keepdims=True)
        return ops.sum(weights * maps, axis=-1)

    return _weighted(combine, model, images, target, layer)


def hires_cam(model, images, *, target=None, layer=None, smoothing=0.0):
    """HiResCAM: a layer's maps times the score's gradient by them, place by place.

        relu(sum over k of A_k ds / dA_k)

    Grad-CAM's means over places lose where a score comes from; this does not. It is the one for
    detections: of two objects of a class each has its own map. Where a network ends in global
    average pooling and a dense layer all these are the same, `cam`'s.

    Args:
        model: As of `grad_cam`.
        images: As of `grad_cam`.
        target: As of `grad_cam`.
        layer: As of `grad_cam`.
        smoothing: Deviation of a Gaussian that smooths the map, in places of it; 0 for none.
            For detections, whose maps are large at single places.

    Returns:
        `HeatMap` of values at least 0.

    Raises:
        ValueError: As `grad_cam`, or if `smoothing` is negative.

    Reference:
        Draelos and Carin, Use HiResCAM instead of Grad-CAM for faithful explanations of
        convolutional neural networks, 2020, Eq. 4; of detections Zhao and Chan, ODAM:
        Gradient-based Instance-Specific Visual Explanations for Object Detection, 2023, Eq. 1.
        Deviations: ODAM smooths the gradients and not the map, which pointed worse, and explains
        class and box by themselves.

    Example:

    >>> import numpy as np
    >>> from kerakit.explain import Detection
    >>> from kerakit.models.detection import yolo_n
    >>> model = yolo_n(input_shape=(64, 64, 3), num_classes=2, width=0.25)
    >>> heat = hires_cam(model, np.zeros((1, 64, 64, 3)), target=Detection(1))
    >>> [raw.shape for raw in heat.raw], heat.values.shape
    ([(1, 8, 8), (1, 4, 4), (1, 2, 2)], (1, 64, 64))
    """

    if smoothing < 0:
        raise ValueError(f"`smoothing` must be at least 0, got {smoothing}.")

    def combine(maps, slopes, places):
        heat = ops.sum(maps * slopes, axis=-1)
        if not smoothing:
            return heat
        heat = ops.relu(heat)
        for axis in places:
            heat = _smoothed(heat, axis, smoothing)
        return heat

    return _weighted(combine, model, images, target, layer)


def _smoothed(x, axis, deviation):
    """Weighted means along an axis, by a Gaussian whose weights sum to 1 at the ends too."""
    places = ops.cast(ops.arange(ops.shape(x)[axis]), "float32")
    weights = ops.exp(-ops.square((places[:, None] - places) / deviation) / 2)
    weights = weights / ops.sum(weights, axis=-1, keepdims=True)
    return ops.moveaxis(ops.tensordot(x, weights, axes=[[axis], [1]]), -1, axis)


def _weighted(combine, model, images, target, layer):
    found = explained(model, images, target)
    maps = chosen_maps(found, layer)
    slopes = found.by_maps(maps)
    raw = []
    for (_, tensors), gradients in zip(maps, slopes, strict=True):
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor, gradient = (over_time(x, found.pixels) for x in (tensor, gradient))
            places = tuple(range(1, len(tensor.shape) - 1))
            raw.append(ops.relu(combine(ops.cast(tensor, "float32"), gradient, places)))
    return HeatMap.of(
        raw,
        found.pixels,
        scores=found.scores,
        classes=found.chosen.classes,
        boxes=found.chosen.boxes,
        layers=[called.name for called, _ in maps],
    )
