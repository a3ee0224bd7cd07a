"""The first layer of every model: raw pixels 0..255 to normalised values."""

import keras

from kerakit.layers.scale_by_max import ScaleByMax
from kerakit.layers.standardize_by_example import StandardizeByExample

# Mean and deviation of a channel (red, green, blue) for pixels scaled to 0..1.
# imagenet: torchvision's classification presets; kinetics: its video presets; inception: what
# networks ported from TensorFlow, such as torchvision's GoogLeNet, were trained on;
# pytorchvideo: its I3D and SlowFast.
STATISTICS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "kinetics": ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
    "pytorchvideo": ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
}
CHOICES = (*STATISTICS, "centered", "image_max", "image_max_imagenet", "per_clip", None)


def normalize(images, normalization):
    """Adds the normalising layer that `normalization` names.

    Args:
        images: Symbolic (B, H, W, C) or (B, T, H, W, C) pixels, 0..255.
        normalization: `"imagenet"`, `"inception"`, `"kinetics"` or `"pytorchvideo"`:
            `(x / 255 - mean) / deviation` with those published figures, three channels;
            `"centered"`: 0..255 to -1..1, any channels;
            `"image_max"`: each image over its own largest value, any channels;
            `"image_max_imagenet"`: that, and then ImageNet's figures, for dark pictures and a
            backbone that learnt from bright ones;
            `"per_clip"`: each clip, or image, to mean 0 and deviation 1, any channels;
            `None`: pixels go on as they are.

    Returns:
        Symbolic tensor of the same shape.

    Raises:
        ValueError: For another name, or where the channels do not fit.
    """
    if normalization not in CHOICES:
        raise ValueError(f"`normalization` must be one of {CHOICES}, got {normalization!r}.")
    if normalization is None:
        return images
    if normalization == "centered":
        return keras.layers.Rescaling(1 / 127.5, -1.0, name="normalization")(images)
    if normalization == "image_max":
        return ScaleByMax(name="normalization")(images)
    if normalization == "per_clip":
        return StandardizeByExample(name="normalization")(images)
    full = 255.0
    if normalization == "image_max_imagenet":
        images, full, normalization = ScaleByMax(name="image_max")(images), 1.0, "imagenet"
    mean, deviation = STATISTICS[normalization]
    if images.shape[-1] != len(mean):
        raise ValueError(
            f'`normalization="{normalization}"` needs 3 channels, got {images.shape[-1]}; '
            'use "centered", "image_max", "per_clip" or None.'
        )
    return keras.layers.Rescaling(
        scale=[1.0 / (full * d) for d in deviation],
        offset=[-m / d for m, d in zip(mean, deviation, strict=True)],
        name="normalization",
    )(images)
