"""The last step of an export that answers with a class for each pixel."""

import numpy as np
import tensorflow as tf

from kerakit.data.decode import decode
from kerakit.data.prepare import IGNORE
from kerakit.export.task import Task, check_ends_in_logits
from kerakit.export.whole_image import logits_of, traced_whole_image

UNITS = {
    "mask": "number of the most probable class of each pixel, from 0, a line of "
    "assets/classes.txt; in serving_default of the file's image, upright, and 255 behind an image "
    "that is smaller than the largest of its batch",
    "probabilities": "0 to 1, summing to 1 over the classes; then 0",
    "image_size": "height and width of each image in pixels",
}


def mask_answer(outputs, class_names):
    """The class of each pixel of prepared images, with all probabilities."""
    del class_names  # a name a pixel would be of no use
    probabilities = tf.nn.softmax(tf.cast(logits_of(outputs), tf.float32))
    return {"mask": _ids(probabilities), "probabilities": probabilities}


def whole_answer(model, preparation, tiling=None):
    """A function from encoded images (B,) to the answer for their own pixels, for a graph."""
    probabilities_of = traced_whole_image(model, preparation, tiling)

    def answer(encoded):
        count = tf.size(encoded)
        images, size = _decoded(encoded)
        largest = tf.reduce_max(size, axis=0)

        def one(number):
            probabilities = probabilities_of(images.read(number))
            behind = largest - size[number]
            paddings = [[0, behind[0]], [0, behind[1]]]
            mask = tf.pad(_ids(probabilities), paddings, constant_values=IGNORE)
            return mask, tf.pad(probabilities, [*paddings, [0, 0]])

        # One image after the other, as each takes the memory of its answer.
        mask, probabilities = tf.map_fn(
            one, tf.range(count), parallel_iterations=1, fn_output_signature=(tf.uint8, tf.float32)
        )
        classes = logits_of(model.output).shape[-1]
        return {
            "mask": tf.ensure_shape(mask, (None, None, None)),
            "probabilities": tf.ensure_shape(probabilities, (None, None, None, classes)),
            "image_size": size,
        }

    return answer


def _ids(probabilities):
    return tf.cast(tf.argmax(probabilities, axis=-1, output_type=tf.int32), tf.uint8)


def _decoded(encoded):
    """Images of unlike sizes, a TensorArray to read once from, and their sizes (B, 2)."""
    count = tf.size(encoded)
    images = tf.TensorArray(tf.uint8, size=count, infer_shape=False, element_shape=(None, None, 3))
    sizes = tf.TensorArray(tf.int32, size=count, element_shape=(2,))

    def add(number, images, sizes):
        name = tf.strings.join(
            ["Image ", tf.strings.as_string(number), " of the batch (counted from 0)"]
        )
        image = decode(encoded[number], name=name)
        return (
            number + 1,
            images.write(number, image),
            sizes.write(number, tf.shape(image)[:2]),
        )

    _, images, sizes = tf.while_loop(
        lambda number, *_: number < count, add, (tf.constant(0), images, sizes)
    )
    return images, sizes.stack()


def mask_differences(expected, served):
    """Largest differences between two answers to the same images.

    A pixel may have another class than expected where the two are as good as equally probable:
    counted is what the served one lacks in probability.
    """
    differences = {}
    if "image_size" in expected:
        is_same = np.array_equal(expected["image_size"], served["image_size"])
        differences["image_size"] = 0.0 if is_same else float("inf")
    probabilities, mask = expected["probabilities"], served["mask"]
    if served["probabilities"].shape != probabilities.shape or mask.shape != expected["mask"].shape:
        return {**differences, "mask": float("inf"), "probabilities": float("inf")}
    largest = float(np.max(np.abs(served["probabilities"] - probabilities), initial=0.0))
    differences["probabilities"] = largest if np.isfinite(largest) else float("inf")

    is_pixel = expected["mask"] != IGNORE
    fits = np.array_equal(is_pixel, mask != IGNORE)
    if not fits or mask[is_pixel].max(initial=0) >= probabilities.shape[-1]:
        return {**differences, "mask": float("inf")}
    of_pixels = probabilities[is_pixel]
    chosen = np.take_along_axis(of_pixels, mask[is_pixel][:, None], axis=-1)[:, 0]
    return {**differences, "mask": float(np.max(of_pixels.max(axis=-1) - chosen, initial=0.0))}


def check_segmenter(model, classes):
    """Refuses a model that gives other than one logit a class for each pixel."""
    if len(classes) > IGNORE:
        raise ValueError(
            f"`classes` may have {IGNORE} names for masks of 8 bits, in which {IGNORE} is no "
            f"class, got {len(classes)}."
        )
    output = model.output
    if isinstance(output, dict) and "logits" not in output:
        raise ValueError(f"`model` must give 'logits', and it gives {', '.join(output)}.")
    logits = logits_of(output)
    if len(logits.shape) != 4 or logits.shape[-1] != len(classes):
        raise ValueError(
            f"`classes` has {len(classes)} names, and the model's outputs are "
            f"{tuple(logits.shape[1:])} an image; one number a class is needed for each pixel."
        )
    check_ends_in_logits(model)


SEGMENTATION = Task(
    units=UNITS,
    answer=mask_answer,
    differences=mask_differences,
    check=check_segmenter,
    whole=whole_answer,
)
