"""Regions cut out of images and warped to one size, as R-CNN's network takes them."""

from keras import ops

from kerakit.ops import roi_align
from kerakit.ops.box_formats import in_box_precision


def warp_regions(images, regions, *, size, context=16, fill=(0.0, 0.0, 0.0)):
    """Each region stretched to a square, with some of what lies around it.

    The region takes the inner `size - 2 context` pixels of the square; around them lie `context`
    pixels of its surroundings on each side, of the same scale. What lies outside of the image is
    `fill`. Pixels are read by bilinear interpolation at their centres.

    Args:
        images: (B, H, W, C) pixels, H, W and C known.
        regions: (B, R, 4) xyxy in pixels; of no area: a finite crop of no meaning.
        size: Side of the result in pixels.
        context: Pixels of the result on each side, less than half of `size`.
        fill: Value of each channel outside of the image, such as the mean pixel.

    Returns:
        (B, R, size, size, C) float32.

    Raises:
        ValueError: If `context` leaves nothing of the region.

    Reference:
        Girshick, Donahue, Darrell and Malik, Rich Feature Hierarchies for Accurate Object
        Detection and Semantic Segmentation, 2014, Section 2.1 and Appendix A. Deviations: none.

    Example:

    >>> image = ops.reshape(ops.arange(64.0), (1, 8, 8, 1))  # row 8 i + column j
    >>> crop = warp_regions(image, [[[2.0, 2.0, 4.0, 4.0]]], size=4, context=1, fill=(0.0,))
    >>> [float(v) for v in crop[0, 0, 1, :, 0]]
    [17.0, 18.0, 19.0, 20.0]
    """
    if not 0 <= 2 * context < size:
        raise ValueError(f"`context` must be in [0, {size} / 2), got {context}.")
    regions = in_box_precision(regions)
    around = (regions[..., 2:] - regions[..., :2]) * (context / (size - 2 * context))
    regions = ops.concatenate([regions[..., :2] - around, regions[..., 2:] + around], axis=-1)
    fill = ops.convert_to_tensor(fill, "float32")
    # Outside of the map RoI align reads 0.
    pixels = ops.cast(images, "float32") - fill
    crops = roi_align(pixels, regions, output_size=size, sampling_ratio=1, aligned=True)
    return crops + fill
