"""The layers of a classifier up to a named one, as what a detector reads its regions from."""

from kerakit.models.classification import mobilenet_v2, vgg16
from kerakit.models.feature_taps import feature_taps

# By builder: the last layer before features shrink to 1 / 32 of the image.
TAPS = {"mobilenet_v2": (mobilenet_v2, "features_13_add"), "vgg16": (vgg16, "features_29")}


def region_backbone(backbone, tap, *, input_shape, normalization, width, freeze_norms):
    """A functional model from an image to one map of features.

    Args:
        backbone: `"mobilenet_v2"`, `"vgg16"` or a functional `keras.Model` of one input.
        tap: Name of the layer whose output is the features; None: the builder's own.
        input_shape: (H, W, C) of the image; a model has its own.
        normalization: As of the classifiers; a model has its own.
        width: Factor on the builder's channels; a model has its own.
        freeze_norms: As of `feature_taps`.

    Returns:
        `keras.Model` from (B, H, W, C) to one (B, h, w, D).

    Raises:
        ValueError: If the backbone is none of these, or has no such layer or no such output.
    """
    if isinstance(backbone, str):
        if backbone not in TAPS:
            raise ValueError(
                f"`backbone` must be one of {', '.join(TAPS)} or a keras.Model, got {backbone!r}."
            )
        build, own_tap = TAPS[backbone]
        tap = tap or own_tap
        backbone = build(
            input_shape=input_shape, num_classes=1, normalization=normalization, width=width
        )
    if tap is None:
        raise ValueError(f"`tap` must name a layer of {backbone.name}, got None.")
    body = feature_taps(backbone, [tap], freeze_norms=freeze_norms)
    shape = body.outputs[0].shape
    if len(shape) != 4 or None in shape[1:]:
        raise ValueError(
            f"`tap` must name a layer of output (B, h, w, D), all known, got {tap!r} of {shape}."
        )
    return body
