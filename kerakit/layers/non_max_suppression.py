"""Non-maximum suppression as a layer."""

import keras

from kerakit.ops.non_max_suppression import non_max_suppression


@keras.saving.register_keras_serializable(package="kerakit")
class NonMaxSuppression(keras.layers.Layer):
    """Boxes in order of their scores, without those that cover a better one too far.

    See `kerakit.ops.non_max_suppression`. Boxes and scores are kept in float32 under mixed
    precision too.

    Args:
        iou_threshold: Largest IoU of two boxes that are both kept, in [0, 1].
        max_output: D, rows of the result.
        score_threshold: Only boxes with a score above it take part; None: all.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        boxes: (B, N, 4) xyxy in pixels.
        scores: (B, N) scores.
        classes: (B, N) int; boxes of different classes do not drop each other. None: of one.

    Returns:
        Tuple of `indices` (B, D) int32, best first, and `num_valid` (B,) int32.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> import numpy as np
    >>> boxes = np.array(
    ...     [[[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 10.0], [20.0, 0.0, 29.0, 9.0]]])
    >>> scores = np.array([[0.3, 0.8, 0.9]])
    >>> indices, num_valid = NonMaxSuppression(0.5, max_output=2)(boxes, scores)
    >>> [int(v) for v in indices[0]], int(num_valid[0])
    ([2, 1], 2)
    """

    def __init__(self, iou_threshold=0.5, *, max_output=100, score_threshold=None, **options):
        super().__init__(autocast=False, **options)
        if not 0 <= iou_threshold <= 1:
            raise ValueError(f"`iou_threshold` must be in [0, 1], got {iou_threshold}.")
        if not isinstance(max_output, int) or max_output < 1:
            raise ValueError(f"`max_output` must be a positive integer, got {max_output!r}.")
        self.iou_threshold = iou_threshold
        self.max_output = max_output
        self.score_threshold = score_threshold

    def call(self, boxes, scores, classes=None):
        return non_max_suppression(
            boxes,
            scores,
            iou_threshold=self.iou_threshold,
            max_output=self.max_output,
            score_threshold=self.score_threshold,
            classes=classes,
        )

    def compute_output_spec(self, boxes, scores, classes=None):
        batch = boxes.shape[0]
        return (
            keras.KerasTensor((batch, self.max_output), dtype="int32"),
            keras.KerasTensor((batch,), dtype="int32"),
        )

    def get_config(self):
        own = {
            "iou_threshold": self.iou_threshold,
            "max_output": self.max_output,
            "score_threshold": self.score_threshold,
        }
        return {**super().get_config(), **own}
