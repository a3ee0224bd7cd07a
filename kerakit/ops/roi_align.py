"""RoI align: a grid of features out of each box, by interpolation, from one map or a pyramid."""

import math

from keras import ops

from kerakit.ops.box_geometry import box_area
from kerakit.ops.convolution_geometry import per_axis
from kerakit.ops.roi_taps import read_regions


def roi_align(features, boxes, *, output_size, scale=1.0, sampling_ratio=2, aligned=False):
    """Features inside each box as a grid of fixed size, without rounding the box.

    The box is divided into bins; each bin is the mean of S x S bilinear samples at the centres
    of its parts. A sample up to a cell outside the map takes the border's value, farther outside
    it is 0. With `aligned` the box is shifted by half a cell, as cell centres lie at 0.5;
    without it nothing is shifted and boxes narrower than a cell are as wide as one (torchvision's
    detectors; 7 x 7 bins of a constant slope then read half a cell too far).

    Boxes take no gradient, as in torchvision. On TensorFlow outside XLA, on a CPU, the sums are
    one sparse matrix product, forward and backward the same bits on every run
    (the gradient of `tf.image.crop_and_resize` loses updates where two threads meet in a cell:
    over 512 equal boxes one run in 8 was off by 5 of 78). Elsewhere they are gathers. 1024 boxes
    on 2 x 80 x 80 x 256, 7 x 7, S = 2, two busy cores: 73 ms, 87 ms with the gradient, by XLA 51
    and 284 ms; beside torchvision's: `python -m benchmarks.detection`.

    Args:
        features: (B, H, W, C) float tensor, H, W and C known.
        boxes: (B, R, 4) xyxy in pixels of the image; a row of zeros is read like any other.
        output_size: Bins, an integer or (rows, columns).
        scale: Cells a pixel, such as 1 / 16.
        sampling_ratio: S, positive.
        aligned: Whether cells have their centres at 0.5.

    Returns:
        (B, R, rows, columns, C) tensor of the dtype of `features`, computed in float32.

    Raises:
        ValueError: If shapes or arguments are out of range.

    Reference:
        He et al., Mask R-CNN, 2017, Section 3. Deviations: `aligned=False` is that paper's first
        code, torchvision's default.

    Example:

    >>> ramp = ops.reshape(ops.arange(16.0), (1, 4, 4, 1))  # row 4 i + column j
    >>> y = roi_align(ramp, [[[0.0, 0.0, 4.0, 4.0]]], output_size=2, aligned=True)
    >>> [[float(v) for v in row] for row in y[0, 0, :, :, 0]]
    [[2.5, 4.5], [10.5, 12.5]]
    """
    return multi_level_roi_align(
        [features],
        boxes,
        scales=(scale,),
        output_size=output_size,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
    )


def multi_level_roi_align(
    features,
    boxes,
    *,
    scales,
    output_size,
    sampling_ratio=2,
    aligned=False,
    canonical_size=224,
    canonical_level=4,
):
    """RoI align of each box from the level of a feature pyramid that fits its size.

    See `roi_align` for the sampling and `roi_levels` for the levels.

    Args:
        features: List of (B, H, W, C) float tensors, finest first; H, W and C known.
        boxes: (B, R, 4) xyxy in pixels of the image.
        scales: Cells a pixel of each level, such as (1/4, 1/8, 1/16, 1/32): powers of 2.
        output_size: Bins, an integer or (rows, columns).
        sampling_ratio: S, positive.
        aligned: Whether cells have their centres at 0.5.
        canonical_size: Side in pixels of a box that is read from `canonical_level`.
        canonical_level: Logarithm of that level's stride, 4 for 1/16.

    Returns:
        (B, R, rows, columns, C) tensor of the dtype of the features.

    Raises:
        ValueError: If shapes or arguments are out of range.

    Example:

    >>> pyramid = [ops.zeros((1, 8, 8, 1)), ops.ones((1, 4, 4, 1))]
    >>> boxes = [[[0.0, 0.0, 20.0, 20.0], [0.0, 0.0, 30.0, 30.0]]]
    >>> y = multi_level_roi_align(
    ...     pyramid, boxes, scales=(1 / 4, 1 / 8), output_size=1, canonical_size=28,
    ...     canonical_level=3)
    >>> [float(v) for v in y[0, :, 0, 0, 0]]
    [0.0, 1.0]
    """
    features, boxes = [ops.convert_to_tensor(x) for x in features], ops.convert_to_tensor(boxes)
    output_size = per_axis(output_size, 2, "output_size")
    if not isinstance(sampling_ratio, int) or sampling_ratio < 1:
        raise ValueError(f"`sampling_ratio` must be a positive integer, got {sampling_ratio!r}.")
    if len(features) != len(scales) or not features:
        raise ValueError(
            f"`scales` must be as many as the levels, got {len(scales)} for {len(features)}."
        )
    for x in features:
        if len(x.shape) != 4 or None in x.shape[1:] or x.shape[-1] != features[0].shape[-1]:
            raise ValueError(
                "`features` must be (B, H, W, C) with H, W and one C known, got shapes "
                f"{', '.join(str(tuple(x.shape)) for x in features)}."
            )
    if len(boxes.shape) != 3 or boxes.shape[-1] != 4:
        raise ValueError(f"`boxes` must be (B, R, 4), got shape {tuple(boxes.shape)}.")
    levels = None
    if len(features) > 1:
        levels = roi_levels(
            boxes, scales=scales, canonical_size=canonical_size, canonical_level=canonical_level
        )
    return read_regions(
        features,
        boxes,
        scales=scales,
        levels=levels,
        output_size=output_size,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
    )


def roi_levels(boxes, *, scales, canonical_size=224, canonical_level=4):
    """Which level of a pyramid each box is read from, 0 the finest.

    `floor(k0 + log2(sqrt(area) / canonical_size) + 1e-6)`, within the levels there are; a box
    of no area is read from the finest.

    Args:
        boxes: (..., 4) xyxy in pixels.
        scales: Cells a pixel of each level, finest first, each half of the one before.
        canonical_size: Side in pixels of a box that is read from `canonical_level`.
        canonical_level: k0, logarithm of that level's stride.

    Returns:
        (...) int32 in [0, number of levels).

    Raises:
        ValueError: If `scales` are not powers of 2, each half of the one before.

    Reference:
        Lin et al., Feature Pyramid Networks for Object Detection, 2017, Eq. 1. Deviations: 1e-6
        is added before rounding down, as in torchvision.

    Example:

    >>> boxes = [[0.0, 0.0, 223.9, 224.0], [0.0, 0.0, 224.0, 224.0], [0.0, 0.0, 9.0, 9.0]]
    >>> [int(v) for v in roi_levels(boxes, scales=(1 / 4, 1 / 8, 1 / 16, 1 / 32))]
    [1, 2, 0]
    """
    strides = [-math.log2(scale) for scale in scales]
    if any(s != strides[0] + i or s != int(s) for i, s in enumerate(strides)):
        raise ValueError(
            f"`scales` must be powers of 2, each half of the one before, got {tuple(scales)}."
        )
    side = ops.sqrt(box_area(boxes))
    is_box = side > 0
    exact = canonical_level + ops.log2(ops.where(is_box, side, 1.0) / canonical_size)
    level = ops.where(is_box, ops.floor(exact + 1e-6), strides[0])
    level = ops.clip(level, strides[0], strides[-1])
    return ops.cast(level, "int32") - int(strides[0])
