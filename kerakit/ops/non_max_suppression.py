"""Non-maximum suppression: of boxes that cover each other, the one with the highest score."""

import keras
from keras import ops

from kerakit.ops.box_formats import in_box_precision
from kerakit.ops.box_iou import pairwise_iou

# Boxes that are decided together; each tile is one pass over the boxes kept before it.
_TILE = 256


def non_max_suppression(
    boxes, scores, *, iou_threshold, max_output, score_threshold=None, classes=None
):
    """Boxes in order of their scores, without those that cover a better one too far.

    Greedy: the best box is kept, every box of its class with an IoU above `iou_threshold` is
    dropped, and so on with the best that is left. Of equal scores the lower index comes first.
    A box of no area drops none and is dropped by none. The sizes are fixed: `max_output`
    rows, of which the first `num_valid` count. `keras.ops.image` has no such function;
    TensorFlow's returns a length that depends on the data, or knows no classes.

    On TensorFlow outside XLA, without classes, its own kernel does the work. Else boxes are
    decided 256 at a time: each tile is compared with the boxes kept so far and with itself, and
    the loop ends once `max_output` boxes are kept.

    Args:
        boxes: (B, N, 4) xyxy in pixels, not inside out.
        scores: (B, N) float scores; a row of -inf (padding) or NaN is never kept.
        iou_threshold: Largest IoU of two boxes that are both kept, in [0, 1].
        max_output: D, rows of the result.
        score_threshold: Only boxes with a score above it take part; None: all.
        classes: (B, N) int; boxes of different classes do not drop each other. None: of one.

    Returns:
        Tuple of `indices` (B, D) int32, best first, 0 where there are none left, and
        `num_valid` (B,) int32.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Felzenszwalb et al., Object Detection with Discriminatively Trained Part-Based Models,
        2010, Section 7.2. Deviations: overlap is IoU.

    Example:

    >>> boxes = [[[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 10.0], [20.0, 0.0, 29.0, 9.0]]]
    >>> indices, num_valid = non_max_suppression(
    ...     boxes, [[0.3, 0.8, 0.8]], iou_threshold=0.5, max_output=4)
    >>> [int(v) for v in indices[0]], int(num_valid[0])
    ([1, 2, 0, 0], 2)
    """
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"`iou_threshold` must be in [0, 1], got {iou_threshold}.")
    if not isinstance(max_output, int) or max_output < 1:
        raise ValueError(f"`max_output` must be a positive integer, got {max_output!r}.")
    boxes = ops.stop_gradient(ops.cast(in_box_precision(boxes), "float32"))
    scores = ops.stop_gradient(ops.cast(in_box_precision(scores), "float32"))
    if len(boxes.shape) != 3 or boxes.shape[-1] != 4 or len(scores.shape) != 2:
        raise ValueError(
            "`boxes` and `scores` must be (B, N, 4) and (B, N), got shapes "
            f"{tuple(boxes.shape)} and {tuple(scores.shape)}."
        )
    # NaN is above nothing.
    takes_part = scores > (float("-inf") if score_threshold is None else score_threshold)
    scores = ops.where(takes_part, scores, float("-inf"))
    if keras.backend.backend() == "tensorflow" and classes is None:
        from kerakit.ops import tensorflow_kernels

        if not tensorflow_kernels.under_xla():
            return tensorflow_kernels.non_max_suppression(boxes, scores, iou_threshold, max_output)
    return _by_tiles(boxes, scores, classes, iou_threshold, max_output)


def _by_tiles(boxes, scores, classes, iou_threshold, max_output):
    count = scores.shape[1]
    size = min(_TILE, count)
    num_tiles = -(-count // size)
    # Stable, so that of equal scores the lower index comes first.
    order = ops.cast(ops.argsort(-scores, axis=-1), "int32")
    lack = ((0, 0), (0, num_tiles * size - count))
    order = ops.pad(order, lack)
    boxes = ops.take_along_axis(boxes, order[..., None], axis=1)
    alive = ops.take_along_axis(scores, order, axis=1) > float("-inf")
    rows = ops.arange(num_tiles * size, dtype="int32") < count
    alive = ops.logical_and(alive, rows[None])
    kinds = ops.zeros_like(order)
    if classes is not None:
        kinds = ops.take_along_axis(ops.cast(classes, "int32"), order, axis=1)
    batch = ops.shape(boxes)[0]
    # One row more: what is not kept is written there.
    start = (
        0,
        ops.zeros((batch, max_output + 1, 4), "float32"),
        ops.zeros((batch, max_output + 1), "int32") - 1,
        ops.zeros((batch, max_output + 1), "int32"),
        ops.zeros((batch,), "int32"),
    )

    def tile_of(x, number):
        first = (0, number * size, *(0,) * (len(x.shape) - 2))
        return ops.slice(x, first, (batch, size, *x.shape[2:]))

    def more_to_do(number, kept, kept_kinds, indices, num_kept):
        return ops.logical_and(number < num_tiles, ops.any(num_kept < max_output))

    def step(number, kept, kept_kinds, indices, num_kept):
        tile, kind, index, chosen = (tile_of(x, number) for x in (boxes, kinds, order, alive))
        covered = _covers(tile, kind, kept, kept_kinds, iou_threshold)
        chosen = ops.logical_and(chosen, ops.logical_not(ops.any(covered, axis=-1)))
        covers = _covers(tile, kind, tile, kind, iou_threshold)
        chosen = _greedy(chosen, ops.logical_and(covers, _before(size)))
        place = num_kept[:, None] + ops.cumsum(ops.cast(chosen, "int32"), axis=-1) - 1
        place = ops.where(chosen, ops.minimum(place, max_output), max_output)
        image = ops.broadcast_to(ops.arange(batch, dtype="int32")[:, None], ops.shape(place))
        place = ops.reshape(ops.stack([image, place], axis=-1), (-1, 2))

        def written(whole, part):
            return ops.scatter_update(whole, place, ops.reshape(part, (-1, *part.shape[2:])))

        num_kept = num_kept + ops.sum(ops.cast(chosen, "int32"), axis=-1)
        # The last row holds nobody's box: none must be dropped for it.
        kept = ops.concatenate(
            [written(kept, tile)[:, :-1], ops.zeros((batch, 1, 4), "float32")], axis=1
        )
        return number + 1, kept, written(kept_kinds, kind), written(indices, index), num_kept

    _, _, _, indices, num_kept = ops.while_loop(more_to_do, step, start)
    num_valid = ops.minimum(num_kept, max_output)
    is_valid = ops.arange(max_output, dtype="int32")[None] < num_valid[:, None]
    return ops.where(is_valid, indices[:, :-1], 0), num_valid


def _covers(boxes, kinds, others, other_kinds, iou_threshold):
    """(B, N, M): whether they are of one class and overlap too far."""
    is_same = ops.equal(kinds[..., :, None], other_kinds[..., None, :])
    return ops.logical_and(is_same, pairwise_iou(boxes, others) > iou_threshold)


def _before(size):
    """(size, size): whether the column comes before the row."""
    number = ops.arange(size, dtype="int32")
    return number[None, :] < number[:, None]


def _greedy(alive, covers):
    """Who is left of a tile in order of score, (B, T): dropped by nobody who is left.

    Starting from all that are alive, each pass settles at least one more box for good: the
    first of those that are not settled depends on settled ones only.
    """

    def is_changing(chosen, before):
        return ops.any(ops.not_equal(chosen, before))

    def settle(chosen, _):
        dropped = ops.any(ops.logical_and(covers, chosen[:, None, :]), axis=-1)
        return ops.logical_and(alive, ops.logical_not(dropped)), chosen

    chosen, _ = ops.while_loop(is_changing, settle, settle(alive, alive))
    return chosen
