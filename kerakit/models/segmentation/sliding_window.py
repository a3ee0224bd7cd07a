"""A patch classifier run on every window of an image."""

import keras
from keras import ops

from kerakit.ops.convolution_geometry import per_axis


def sliding_window(classifier, *, input_shape, strides=1, name="sliding_window"):
    """A patch classifier on every window of an image: the plain way to segment by classifying.

    Neighbouring windows share nearly all of their pixels, and each is computed from the start:
    `as_convolution` gives the same scores for a fraction of the work. A window's answer is that
    of its central pixel.

    Args:
        classifier: Functional or sequential `keras.Model` from (B, h, w, C) patches to (B, K)
            scores, with any layers. It is copied.
        input_shape: (H, W, C) of the images, known and no smaller than a patch.
        strides: Pixels from one window to the next, an integer or (rows, columns).
        name: Name of the model.

    Returns:
        `keras.Model` from (B, H, W, C) pixels to (B, H', W', K) scores, of which that at (i, j) is
        the classifier's of the patch that begins at pixel (i S, j S);
        `H' = floor((H - h) / S) + 1`.

    Raises:
        ValueError: If the classifier's shapes are others, or no window fits.
    """
    copy = keras.models.clone_model(classifier)
    copy.set_weights(classifier.get_weights())
    images = keras.Input(input_shape, name="images")
    scores = SlidingWindow(copy, strides=strides, name="windows")(images)
    return keras.Model(images, scores, name=name)


@keras.saving.register_keras_serializable(package="kerakit")
class SlidingWindow(keras.layers.Layer):
    """Calls a model on every window; at inference on one row of windows at a time.

    So memory grows with an image's width alone. In training all windows make one batch, as each
    layer may draw or keep statistics once a step.

    Args:
        classifier: Built `keras.Model` from (B, h, w, C) to (B, K).
        strides: Pixels from one window to the next, an integer or (rows, columns).
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Returns:
        (B, H', W', K) scores of (B, H, W, C) images.

    Raises:
        ValueError: If the classifier's shapes are others, or no window fits.
    """

    def __init__(self, classifier, *, strides=1, **options):
        # Pixels go to the classifier as they are: it has precisions of its own.
        super().__init__(autocast=False, **options)
        _, *self._patch = check_patch_classifier(classifier)
        self.classifier = classifier
        self.strides = per_axis(strides, 2, "strides")
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: self._patch[-1]})

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def call(self, inputs, training=False):
        rows, _ = self._counts(inputs.shape)
        if training:
            return self._scores(inputs, ops.arange(rows), training=True)
        scores = ops.map(lambda row: self._scores(inputs, row[None])[:, 0], ops.arange(rows))
        return ops.moveaxis(scores, 0, 1)

    def _scores(self, images, rows, training=False):
        """(B, rows, W', K) scores of the windows of some rows."""
        height, width, channels = self._patch
        _, columns = self._counts(images.shape)
        down, right = self.strides
        places = rows[:, None] * down + ops.arange(height)
        windows = ops.take(images, places, axis=1)  # (B, rows, h, W, C)
        places = ops.arange(columns)[:, None] * right + ops.arange(width)
        windows = ops.take(windows, places, axis=3)  # (B, rows, h, W', w, C)
        windows = ops.transpose(windows, (0, 1, 3, 2, 4, 5))
        windows = ops.reshape(windows, (-1, height, width, channels))
        scores = self.classifier(windows, training=training)
        return ops.reshape(scores, (-1, rows.shape[0], columns, scores.shape[-1]))

    def _counts(self, shape):
        sizes = zip(shape[1:3], self._patch, self.strides, strict=False)
        return [None if n is None else (n - patch) // s + 1 for n, patch, s in sizes]

    def compute_output_shape(self, input_shape):
        counts = self._counts(input_shape)
        if None in counts or min(counts) < 1:
            raise ValueError(
                f"`input_shape` must be known and at least a patch of {tuple(self._patch[:2])}, "
                f"got {tuple(input_shape[1:3])}."
            )
        return (input_shape[0], *counts, self.classifier.output_shape[-1])

    def compute_output_spec(self, inputs, training=False):
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.classifier.outputs[0].dtype)

    def get_config(self):
        classifier = keras.saving.serialize_keras_object(self.classifier)
        return {**super().get_config(), "classifier": classifier, "strides": self.strides}

    @classmethod
    def from_config(cls, config):
        classifier = keras.saving.deserialize_keras_object(config["classifier"])
        return cls(**{**config, "classifier": classifier})


def check_patch_classifier(classifier):
    """The (B, h, w, C) of a classifier's patches; a ValueError for another kind of model."""
    shape = getattr(classifier, "input_shape", None)
    fits = isinstance(shape, tuple) and len(shape) == 4 and None not in shape[1:]
    outputs = getattr(classifier, "output_shape", None)
    if not fits or not isinstance(outputs, tuple) or len(outputs) != 2:
        raise ValueError(
            "`classifier` must be a built model from (B, h, w, C) patches of a known size to "
            f"(B, K) scores, got shapes {shape} and {outputs}."
        )
    return shape
