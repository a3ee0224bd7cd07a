"""Which truth each candidate box stands for, and a balanced random choice among candidates."""

from keras import ops

BACKGROUND = -1
BETWEEN = -2


def match_boxes(quality, valid=None, *, high, low, allow_low_quality=False):
    """The truth that each candidate is matched with, by thresholds on their overlap.

    A candidate takes the truth of highest quality, the first of equal ones, if that quality is
    at least `high`; below `low` it is background (-1), between the two neither (-2).
    `allow_low_quality` lets every truth have its candidates: those of highest quality with it,
    all of equal ones, take back the truth that they fit best (which need not be this one).

    Args:
        quality: (..., M, N) overlap of M truths with N candidates, such as `pairwise_iou`.
        valid: (..., M) bool, False for padding; None: all are truths.
        high: Least quality of a match.
        low: Quality below which a candidate is background, at most `high`.
        allow_low_quality: Whether a truth without a match takes what is nearest.

    Returns:
        (..., N) int32: the truth's row, -1 for background, -2 for neither. Without any truth
        all are background.

    Raises:
        ValueError: If `low` is above `high`.

    Reference:
        Ren et al., Faster R-CNN: Towards Real-Time Object Detection with Region Proposal
        Networks, 2015, Section 3.1.2; ties are torchvision's. Deviations: a truth that no
        candidate touches takes none, where torchvision gives it every candidate of overlap 0.

    Example:

    >>> quality = [[0.8, 0.4, 0.1, 0.0], [0.0, 0.0, 0.2, 0.2]]
    >>> [int(v) for v in match_boxes(quality, high=0.7, low=0.3)]
    [0, -2, -1, -1]
    >>> [int(v) for v in match_boxes(quality, high=0.7, low=0.3, allow_low_quality=True)]
    [0, -2, 1, 1]
    """
    if low > high:
        raise ValueError(f"`low` must be at most `high`, got {low} and {high}.")
    quality = ops.convert_to_tensor(quality)
    if valid is not None:
        quality = ops.where(ops.cast(valid, "bool")[..., None], quality, -1.0)
    best = ops.max(quality, axis=-2)
    nearest = ops.cast(ops.argmax(quality, axis=-2), "int32")
    matches = ops.where(best >= low, BETWEEN, BACKGROUND)
    is_match = best >= high
    if allow_low_quality:
        top = ops.max(quality, axis=-1, keepdims=True)
        is_top = ops.logical_and(ops.equal(quality, top), top > 0)
        is_match = ops.logical_or(is_match, ops.any(is_top, axis=-2))
    return ops.cast(ops.where(is_match, nearest, matches), "int32")


def sample_matches(matches, keys, *, size, positive_fraction):
    """A random choice of candidates with a limited share of matched ones, of fixed size.

    At most `int(size * positive_fraction)` matched candidates, and background up to `size`.
    Which ones depends on the key of their image and their position alone: the same image gives
    the same choice on any backend, in any batch and on any replica.

    Args:
        matches: (B, N) int as of `match_boxes`: at least 0 matched, -1 background, others left
            out.
        keys: (B,) int, one an image and step; see `random_keys`.
        size: Candidates chosen an image.
        positive_fraction: Largest share of matched ones, in [0, 1].

    Returns:
        Tuple of `indices` (B, size) int32 positions, matched ones first, 0 where there are too
        few; `is_positive` and `is_chosen` (B, size) bool, the second False for such padding.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Girshick, Fast R-CNN, 2015, Section 2.3. Deviations: none.

    Example:

    >>> matches = [[-1, 0, -1, -2, 2, -1, 0]]
    >>> indices, is_positive, is_chosen = sample_matches(
    ...     matches, random_keys([3], seed=7, step=0), size=4, positive_fraction=0.25)
    >>> [bool(v) for v in is_positive[0]], sorted(int(v) for v in indices[0][1:])
    ([True, False, False, False], [0, 2, 5])
    """
    if size < 1 or not 0 <= positive_fraction <= 1:
        raise ValueError(
            "`size` must be positive and `positive_fraction` in [0, 1], got "
            f"{size} and {positive_fraction}."
        )
    matches = ops.cast(matches, "int32")
    count = matches.shape[-1]
    lack = max(size - count, 0)  # rows that are never chosen, so that there are enough
    matches = ops.pad(matches, ((0, 0), (0, lack)), constant_values=BETWEEN)
    position = ops.arange(count + lack, dtype="int32")
    draws = _mixed(ops.cast(keys, "int32")[:, None] + _mixed(position + 1)[None])
    draws = ops.bitwise_and(draws, 0x7FFFFFFF)

    def first(is_kind, limit):
        """The `limit` of a kind drawn first, and how many of them there are."""
        _, found = ops.top_k(ops.where(is_kind, draws, -1), limit)
        number = ops.sum(ops.cast(is_kind, "int32"), axis=-1, keepdims=True)
        return ops.cast(found, "int32"), ops.minimum(number, limit)

    most = int(size * positive_fraction)
    negative, num_negative = first(ops.equal(matches, BACKGROUND), size)
    slot = ops.arange(size, dtype="int32")[None]
    if most == 0:
        num_positive, indices = ops.zeros_like(num_negative), negative
    else:
        positive, num_positive = first(matches >= 0, most)
        positive = ops.pad(positive, ((0, 0), (0, size - most)))
        behind = ops.maximum(slot - num_positive, 0)
        behind = ops.take_along_axis(negative, behind, axis=-1)
        indices = ops.where(slot < num_positive, positive, behind)
    is_chosen = slot < num_positive + num_negative
    is_positive = ops.logical_and(slot < num_positive, is_chosen)
    return ops.where(is_chosen, indices, 0), is_positive, is_chosen


def random_keys(example_ids, *, seed, step):
    """A number for each image and step from which its random choices follow.

    Args:
        example_ids: (B,) int, of the images.
        seed: Integer or int tensor, of the run.
        step: Integer or int tensor, of the optimizer.

    Returns:
        (B,) int32 keys of `sample_matches`.

    Example:

    >>> keys = random_keys([3, 4], seed=7, step=100)
    >>> int(keys[0]) == int(random_keys([4, 3], seed=7, step=100)[1])
    True
    """
    key = _mixed(ops.cast(seed, "int32") + 1)
    key = _mixed(key + ops.cast(step, "int32"))
    return _mixed(key + ops.cast(example_ids, "int32"))


def _mixed(x):
    """32 bits of which each depends on all 32 before, one to one: shifts and odd products."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - (1 << 32)), (16, 1)):
        # An int32 is shifted with its sign; the mask makes it a shift of plain bits.
        bits = ops.bitwise_and(ops.right_shift(x, shift), (1 << (32 - shift)) - 1)
        x = ops.bitwise_xor(x, bits) * factor
    return x
