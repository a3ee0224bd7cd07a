"""A function of an export: what it takes, checked, and what it gives."""

import functools

import numpy as np
import tensorflow as tf

from kerakit.errors import InputError
from kerakit.export.refusal import reason
from kerakit.serve.image_check import check_decodes, pixels_of
from kerakit.serve.protocol import Refusal


class Signature:
    """A signature of a SavedModel, from arrays to arrays.

    Args:
        function: The function that TensorFlow loaded.
        given: `Images` or `Clips`, what its model is sent.
        most_pixels: Most pixels of an image.

    Attributes:
        specs: Dict from the inputs' names to their `tf.TensorSpec`.
    """

    def __init__(self, function, given, *, most_pixels):
        self._function, self._given, self._most_pixels = function, given, most_pixels
        self.specs = function.structured_input_signature[1]

    def weights(self, inputs, form):
        """What each row of a request takes: its pixels by the headers of its images.

        Args:
            inputs: Dict of arrays.
            form: "instances" or "inputs", for messages.

        Returns:
            (rows,) numbers of pixels; 0 of what is sent decoded.

        Raises:
            Refusal: If an image has too many; the message names its row.
        """
        ((name, rows),) = inputs.items()  # the exports have one input each
        sampling = getattr(self._given, "sampling", None)
        if sampling and rows.shape[1] != sampling.frames:
            raise Refusal(
                400, f"`{name}` must hold {sampling.frames} frames a clip, got {rows.shape[1]}."
            )
        weights = np.zeros(len(rows), np.int64)
        for row, *image in self._images(inputs, form):
            weights[row] += _named(*image, functools.partial(pixels_of, most=self._most_pixels))
        return weights

    def check(self, inputs, form):
        """Decodes each image of a request by itself, so that a broken one spoils no batch.

        Args:
            inputs: Dict of arrays.
            form: "instances" or "inputs", for messages.

        Raises:
            Refusal: If one is broken; the message names its row.
        """
        for _, *image in self._images(inputs, form):
            _named(*image, check_decodes)

    def _images(self, inputs, form):
        """Row, name and bytes of each encoded image."""
        for number, row in enumerate(inputs.get(self._given.encoded, ())):
            if isinstance(row, bytes):
                yield number, f"Image {number} of `{form}` (counted from 0)", row
                continue
            for i, frame in enumerate(row):
                name = f"Frame {i} of clip {number} of `{form}` (both counted from 0)"
                yield number, name, frame

    def compute(self, inputs):
        """The function's outputs for a batch.

        Args:
            inputs: Dict of arrays.

        Returns:
            Dict of arrays.

        Raises:
            InputError: If the function refuses the inputs.
        """
        tensors = {name: tf.constant(inputs[name], spec.dtype) for name, spec in self.specs.items()}
        try:
            outputs = self._function(**tensors)
        except tf.errors.InvalidArgumentError as error:
            raise InputError(f"What was sent {reason(str(error))}.") from None
        return {name: value.numpy() for name, value in outputs.items()}


def _named(name, encoded, look):
    """What a function finds of an image, or a refusal that names it."""
    try:
        return look(encoded)
    except InputError as error:
        raise Refusal(400, f"{name} {error}.") from None
