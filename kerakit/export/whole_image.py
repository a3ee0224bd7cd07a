"""Class probabilities of each pixel of an image of any size, by a network of one input size."""

import functools

import keras
import tensorflow as tf

from kerakit.cost import report
from kerakit.data.prepare import LETTERBOX_FILL
from kerakit.export.tiling import Tiling, overlap_add
from kerakit.layers import ScaleByMax


def whole_image(model, *, preparation, tiling=None):
    """A function from an image of any size to the class probabilities of its pixels.

    What an export of the model answers with, see `kerakit.export.save`. With a preparation that
    has `fit="pad"` the network sees the image at its own resolution, in tiles of its input size;
    with "stretch" and "letterbox" it sees the whole image scaled to that size, once, and the
    probabilities are scaled back.

    Tiles are computed one after the other, and of what they give only the finished rows are
    kept. The memory is that of one tile, of the answer, 4 K bytes a pixel, up to three times, and
    about 12 bytes a pixel more: an export of `unet_resnet18(width=0.25)` with 3 classes and tiles
    of 256 x 256 took 555 MiB beyond the loaded model for an image of 4,000 x 3,000 (its answer
    is 137 MiB) and 36 MiB for 1,000 x 1,000.

    Args:
        model: Keras model from pixels (B, H, W, C) to logits (B, H', W', K), or to a dict of
            them under "logits". H' and W' may be smaller, as of an unpadded net: by an even
            number of pixels, the same on both sides.
        preparation: The `kerakit.data.Preparation` of its validation images.
        tiling: `Tiling`, or None for its defaults; only of images that are not scaled.

    Returns:
        A function of uint8 (H, W, 3), which gives a float32 TensorFlow tensor (H, W, K).

    Raises:
        ValueError: If the preparation cuts images, or does not fit the model or the tiling.

    Example:

    >>> from kerakit.data import Preparation
    >>> layers = [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3, padding="same")]
    >>> preparation = Preparation(height=32, width=32, fit="pad")
    >>> probabilities = whole_image(
    ...     keras.Sequential(layers), preparation=preparation, tiling=Tiling(stride=1)
    ... )
    >>> probabilities(tf.zeros((41, 70, 3), tf.uint8)).shape
    TensorShape([41, 70, 2])
    """
    answer = traced_whole_image(model, preparation, tiling)
    if keras.backend.backend() != "tensorflow":
        return answer
    return tf.function(
        answer, input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)], autograph=False
    )


def traced_whole_image(model, preparation, tiling=None):
    """As `whole_image`, to be called inside a graph."""
    tiling = checked_tiling(model, preparation, tiling)
    network = functools.partial(_probabilities, model)
    if tiling is None:
        return functools.partial(_scaled, network, preparation)
    answered = answered_shape(model, preparation)
    return functools.partial(_tiled, network, preparation, tiling, answered)


def checked_tiling(model, preparation, tiling=None):
    """The tiling with numbers for None, or None where images are scaled instead.

    Raises:
        ValueError: As of `whole_image`.
    """
    taken = (preparation.height, preparation.width)
    size = answered_shape(model, preparation)[:2]
    if preparation.fit == "crop":
        raise ValueError(
            "`preparation` must show the model the whole image, and fit='crop' cuts it: take "
            "'pad' (own resolution, in tiles), 'stretch' or 'letterbox' (scaled)."
        )
    if preparation.fit == "pad":
        if any((a - b) % 2 or b > a for a, b in zip(taken, size, strict=True)):
            raise ValueError(
                f"`model` must answer for the middle of its input, and of {taken} pixels it "
                f"answers for {size}: the difference must be even."
            )
        if any(isinstance(layer, ScaleByMax) for layer in model._flatten_layers()):
            raise ValueError(
                "`model` scales what it sees by its brightest pixel, so that the tiles of an image "
                "would be scaled apart: give another normalization, or fit='letterbox'."
            )
        tiling = tiling or Tiling()
        radius = _receptive_radius(model, (*taken, preparation.channels), tiling.stride)
        return tiling.of_tile(size, radius=radius)
    if tiling is not None:
        raise ValueError(
            f"`tiling` is for images at their own resolution, fit='pad', and `preparation` has "
            f"fit={preparation.fit!r}."
        )
    if size != taken:
        raise ValueError(
            f"`model` must answer for each pixel of its input where images are scaled, and of "
            f"{taken} pixels it answers for {size}: take a preparation with fit='pad'."
        )
    return None


def _receptive_radius(model, shape, stride):
    """How far an answer may lie from what it reads, in pixels; None where that is not known."""
    field = report(model, shape).receptive_field
    if not isinstance(field, tuple) or not all(isinstance(side, int) for side in field):
        return None
    # An answer is anywhere in its cell of the coarsest map, in whose middle the field lies.
    return (max(field) + stride) // 2


def logits_of(outputs):
    """The logits of a model that may give more, as one with an auxiliary head does."""
    return outputs["logits"] if isinstance(outputs, dict) else outputs


def answered_shape(model, preparation):
    """(h', w', K) of the logits that a model gives for a prepared image."""
    pixels = (1, preparation.height, preparation.width, preparation.channels)
    outputs = model.compute_output_spec(keras.KerasTensor(pixels, "float32"))
    return tuple(logits_of(outputs).shape[1:])


def _probabilities(model, pixels):
    """float32 (h, w, C) to float32 (h', w', K), static shapes."""
    if keras.backend.backend() == "tensorflow":
        logits = logits_of(model(pixels[None], training=False))
    else:
        logits = logits_of(model.predict_on_batch(pixels[None].numpy()))
        logits = tf.convert_to_tensor(keras.ops.convert_to_numpy(logits))
    return tf.nn.softmax(tf.cast(logits, tf.float32))[0]


def _scaled(network, preparation, image):
    """Of the whole image, brought to the network's size, and back bilinearly."""
    found = network(tf.cast(preparation.resize(image), tf.float32))
    size = tf.shape(image)[:2]
    scale, shift = preparation.geometry(size)
    return tf.raw_ops.ScaleAndTranslate(
        images=found[None],
        size=size,
        scale=1.0 / scale,
        translation=-shift / scale,
        kernel_type="triangle",
        antialias=False,
    )[0]


def _tiled(network, preparation, tiling, answered, image):
    """Of an image at its own resolution; `answered` is the shape of a tile's answer."""
    taken, (height, width, classes) = (preparation.height, preparation.width), answered
    shape = tf.shape(image)
    starts = [tiling.starts(answered[axis], shape[axis]) for axis in (0, 1)]
    weights = [tiling.weights(answered[axis], starts[axis]) for axis in (0, 1)]
    for axis in (0, 1):
        border = (taken[axis] - answered[axis]) // 2
        image = _continued(image, axis, border, starts[axis][-1] + answered[axis])

    def row_of_tiles(row):
        def tile(column):
            top, left = starts[0][row], starts[1][column]
            pixels = image[top : top + taken[0], left : left + taken[1]]
            pixels = tf.ensure_shape(tf.round(preparation.colors(pixels)), (*taken, None))
            found = tf.transpose(network(pixels), (1, 0, 2))
            return found * weights[1][column][:, None, None]

        strip = overlap_add(tile, starts[1], tf.zeros((width, height, classes)))[: shape[1]]
        return tf.transpose(strip, (1, 0, 2)) * weights[0][row][:, None, None]

    return overlap_add(row_of_tiles, starts[0], tf.zeros((height, shape[1], classes)))[: shape[0]]


def _continued(image, axis, border, length):
    """The image with what tiles see beyond it along an axis.

    A net that pads its maps sees grey 114 behind the image, as `Preparation` has it: once
    normalised that is near the zeros that its own padding puts there. One that does not needs
    `border` pixels more on each side, and sees the image mirrored there, as U-Net's authors do.
    """
    size = tf.shape(image)[axis]
    if not border:
        paddings = [[0, 0], [0, 0], [0, 0]]
        paddings[axis] = [0, length - size]
        return tf.pad(image, paddings, constant_values=LETTERBOX_FILL)
    place = tf.math.floormod(tf.range(-border, length + border), 2 * size)
    return tf.gather(image, tf.minimum(place, 2 * size - 1 - place), axis=axis)
