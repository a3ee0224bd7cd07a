"""The signature `explain` of an export: the answer, with a heat map of where it comes from."""

import numpy as np
import tensorflow as tf

from kerakit.ops.original_boxes import original_boxes

EXPLAIN = "explain"  # name of the signature
EXPLAINED_TASKS = ("classification", "multi_label", "video")
UNITS = {
    "heat_map": "0 (least) to 1 (most) of each example by itself, all 0 where the map is flat; of "
    "the prepared pixels, what the model sees, whatever the file's size",
    "heat_map_box": "xyxy in pixels of the file's image: where the heat map lies in it, also "
    "beyond its edges where the preparation adds bars",
}


def check_explanation(explain, task):
    """Refuses an explanation of what has none.

    Raises:
        ValueError: If `explain` is no function, or the task is not of classes.
    """
    if task not in EXPLAINED_TASKS:
        raise ValueError(
            f"`explain` is for the tasks {', '.join(EXPLAINED_TASKS)}, got one for {task}."
        )
    if not callable(explain):
        raise ValueError(
            "`explain` must be a function (model, images) that gives a heat map (B, H, W), got "
            f"{explain!r}."
        )


def explained(heat, frame=()):
    """The outputs that an explanation adds to an answer.

    Args:
        heat: Heat maps as of `raw_heat_map`.
        frame: Geometry (B, 4) and size (B, 2) of the files' images, where they are known.

    Returns:
        Dict of tensors, by the names of `UNITS`.
    """
    outputs = {"heat_map": normalized(heat)}
    if frame:
        height, width = heat.shape[-2:]
        whole = tf.tile([[[0.0, 0.0, width, height]]], [tf.shape(heat)[0], 1, 1])
        outputs["heat_map_box"] = original_boxes(whole, frame[0])[:, 0]
    return outputs


def raw_heat_map(explain, model, images):
    """What an explanation gives for prepared pixels (B, H, W, C) or (B, T, H, W, C).

    Args:
        explain: Function (model, images) that gives a tensor (B, H, W), or (B, T, H, W).
        model: Keras model.
        images: Prepared pixels.

    Returns:
        That tensor, float32.

    Raises:
        ValueError: If its size is not the images'.
    """
    heat = tf.cast(explain(model, tf.cast(images, tf.float32)), tf.float32)
    wanted = images.shape[1:-1]
    if heat.shape.rank is None or not heat.shape[1:].is_compatible_with(wanted):
        raise ValueError(
            f"`explain` must give heat maps of the images' size {tuple(wanted)}, got {heat.shape}."
        )
    return tf.ensure_shape(heat, (None, *wanted))


def normalized(heat):
    """Each example's map from 0, its least value, to 1, its greatest; 0 where it is flat."""
    axes = list(range(1, heat.shape.rank))
    least, greatest = (
        reduce(heat, axis=axes, keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max)
    )
    return tf.math.divide_no_nan(heat - least, greatest - least)


def expected_explanation(explain, model, pixels, *, frame, at_once):
    """The outputs as the model itself explains them.

    Args:
        explain: As of `raw_heat_map`.
        model: Keras model.
        pixels: Array of prepared pixels.
        frame: As of `explained`.
        at_once: Examples that are computed at once.

    Returns:
        Dict of arrays, those of `explained` and "heat_range" (B,), the range of each raw map.
    """
    spec = tf.TensorSpec((None, *pixels.shape[1:]), pixels.dtype)
    traced = tf.function(
        lambda images: raw_heat_map(explain, model, images), input_signature=[spec], autograph=False
    )
    parts = [pixels[first : first + at_once] for first in range(0, len(pixels), at_once)]
    heat = tf.concat([traced(tf.constant(part)) for part in parts], axis=0)
    outputs = {name: value.numpy() for name, value in explained(heat, frame).items()}
    return {**outputs, "heat_range": np.ptp(heat.numpy().reshape(len(pixels), -1), axis=1)}


def explanation_differences(expected, served, *, largest):
    """Differences between two explanations of the same images.

    A map is scaled by its own range, so that rounding alone fills one that should be 0. Differences
    therefore count by the share that the expected map's range has of the largest of all; and not
    where another class is the most probable, which is judged by itself. Counted is the mean of
    their squares over a map's cells: where a ReLU is at 0 rounding decides whether its gradient
    counts, so that a few cells may differ by more than rounding.

    Args:
        expected: Dict of arrays, with the range of each raw map as "heat_range".
        served: Dict of arrays.
        largest: The largest range of all checks.

    Returns:
        Dict of floats: the largest difference of an example.
    """
    if not np.isfinite(served["heat_map"]).all():
        return {"heat_map": float("inf")}
    apart = (expected["heat_map"] - served["heat_map"]).reshape(len(served["heat_map"]), -1)
    shares = expected["heat_range"] / max(largest, 1e-30)
    same = expected["logits"].argmax(axis=-1) == served["logits"].argmax(axis=-1)
    squares = np.mean(np.square(apart * (shares * same)[:, None]), axis=1)
    differences = {"heat_map": float(squares.max())}
    if "heat_map_box" in expected:
        box = expected["heat_map_box"]
        apart = np.abs(box - served["heat_map_box"]).max()
        differences["heat_map_box"] = float(apart / np.abs(box).max())
    return differences
