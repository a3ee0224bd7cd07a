"""How many anchors, proposals and boxes a two-stage detector looks at, and by which thresholds."""

# torchvision's, for pictures of 800 to 1,333 pixels. What each means: `FasterRCNN`.
TORCHVISION = {
    "fpn_filters": 256,
    "head_units": 1024,
    "anchor_sizes": ((32,), (64,), (128,), (256,), (512,)),
    "aspect_ratios": (0.5, 1.0, 2.0),
    "pre_nms": (2000, 1000),
    "post_nms": (2000, 1000),
    "proposal_iou": 0.7,
    "anchor_samples": 256,
    "anchor_positive_fraction": 0.5,
    "anchor_foreground": 0.7,
    "anchor_background": 0.3,
    "box_samples": 512,
    "box_positive_fraction": 0.25,
    "box_foreground": 0.5,
    "score_threshold": 0.05,
    "iou_threshold": 0.5,
    "max_detections": 100,
    "canonical_size": 224,
    "seed": 0,
}
# What a modest machine trains on, with pictures of some hundred pixels.
SMALL = {
    "fpn_filters": 64,
    "head_units": 256,
    "anchor_sizes": ((16,), (32,), (64,), (128,), (256,)),
    "pre_nms": (500, 300),
    "post_nms": (300, 150),
    "anchor_samples": 128,
    "box_samples": 64,
    "canonical_size": 112,
}
PAIRS = ("pre_nms", "post_nms")


def checked_numbers(options):
    """The options with torchvision's numbers for those that are not given.

    Args:
        options: Dict from names of `TORCHVISION` to values.

    Returns:
        Dict of all of them, lists as tuples.

    Raises:
        ValueError: If a name is unknown, or what must be a pair of positive integers is none.

    Example:

    >>> checked_numbers({"pre_nms": [200, 100]})["pre_nms"]
    (200, 100)
    """
    unknown = sorted(set(options) - set(TORCHVISION))
    if unknown:
        raise ValueError(
            f"`options` must be of {', '.join(TORCHVISION)}, got {', '.join(unknown)}."
        )
    numbers = {name: _as_tuple(value) for name, value in {**TORCHVISION, **options}.items()}
    for name in PAIRS:
        pair = numbers[name]
        is_pair = isinstance(pair, tuple) and len(pair) == 2
        if not is_pair or not all(isinstance(n, int) and n > 0 for n in pair):
            raise ValueError(
                f"`{name}` must be two positive integers (in training, in inference), got {pair!r}."
            )
    return numbers


def _as_tuple(value):
    """A list, which JSON makes of a tuple, as one again."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list | tuple) else value
