"""Anchor boxes of a pyramid of feature maps, and grid points for heads without anchors."""

import numpy as np
from keras import ops


def pyramid_anchors(grid_sizes, *, image_size, sizes, aspect_ratios=(0.5, 1.0, 2.0)):
    """Anchors of every level, one after another, in the order of a head's outputs.

    A level's anchors at row i and column j lie around (j, i) times its stride, the whole number
    `image side // grid side`; theirs are width `s / sqrt(r)` and height `s sqrt(r)` for each
    ratio r and size s, halves of them rounded to whole pixels (to even where between two).
    They are constants: static sizes in, one constant out.

    Args:
        grid_sizes: (H, W) of each level's feature map.
        image_size: (height, width) of the images in pixels.
        sizes: For each level a tuple of sizes in pixels: sides of the square anchors.
        aspect_ratios: Height over width; a tuple for all levels, or one tuple a level.

    Returns:
        (A, 4) float32 xyxy: level by level, row by row, in each place all sizes of the first
        ratio, then of the next.

    Raises:
        ValueError: If the levels are not as many everywhere, or a grid is larger than the image.

    Reference:
        Lin et al., Feature Pyramid Networks for Object Detection, 2017, Section 4.1; places and
        rounding are torchvision's. Deviations: none.

    Example:

    >>> anchors = pyramid_anchors([(1, 2)], image_size=(32, 64), sizes=[(32,)], aspect_ratios=(1,))
    >>> [[float(v) for v in row] for row in anchors]
    [[-16.0, -16.0, 16.0, 16.0], [16.0, -16.0, 48.0, 16.0]]
    """
    ratios = aspect_ratios
    if not isinstance(ratios[0], (tuple, list)):
        ratios = [ratios] * len(grid_sizes)
    if not len(grid_sizes) == len(sizes) == len(ratios):
        raise ValueError(
            "`grid_sizes`, `sizes` and `aspect_ratios` must be of as many levels, got "
            f"{len(grid_sizes)}, {len(sizes)} and {len(ratios)}."
        )
    levels = [
        _places(grid, image_size)[:, None] + cell_anchors(level, aspect_ratios=shapes)[None]
        for grid, level, shapes in zip(grid_sizes, sizes, ratios, strict=True)
    ]
    return ops.convert_to_tensor(np.concatenate([x.reshape(-1, 4) for x in levels]))


def cell_anchors(sizes, *, aspect_ratios):
    """Anchors of one place, around (0, 0), as a NumPy array.

    Args:
        sizes: Sizes in pixels.
        aspect_ratios: Height over width.

    Returns:
        (A, 4) float32 xyxy, whole numbers.

    Example:

    >>> cell_anchors((32,), aspect_ratios=(0.5, 2.0)).tolist()
    [[-23.0, -11.0, 23.0, 11.0], [-11.0, -23.0, 11.0, 23.0]]
    """
    # In float32 throughout, as torchvision: what lies between two pixels rounds alike.
    scales = np.asarray(sizes, "float32")
    tall = np.sqrt(np.asarray(aspect_ratios, "float32"))
    wide = (np.float32(1) / tall)[:, None] * scales[None]
    wide, tall = wide.reshape(-1), (tall[:, None] * scales[None]).reshape(-1)
    return np.round(np.stack([-wide, -tall, wide, tall], axis=1) / np.float32(2))


def grid_points(grid_sizes, *, image_size):
    """Centres of the cells of every level, for heads that predict without anchors.

    Cell (i, j) of a level of stride s has its centre at `((j + 0.5) s, (i + 0.5) s)`.

    Args:
        grid_sizes: (H, W) of each level's feature map.
        image_size: (height, width) of the images in pixels.

    Returns:
        Tuple of (A, 2) float32 centres (x, y) and (A, 2) float32 strides (along x, along y), in
        pixels, level by level and row by row.

    Raises:
        ValueError: If a grid is larger than the image.

    Example:

    >>> points, strides = grid_points([(1, 2)], image_size=(8, 16))
    >>> [[float(v) for v in row] for row in points], [float(v) for v in strides[0]]
    ([[4.0, 4.0], [12.0, 4.0]], [8.0, 8.0])
    """
    points, strides = [], []
    for grid in grid_sizes:
        stride = np.asarray(_strides(grid, image_size)[::-1], "float32")
        points.append(_places(grid, image_size)[:, :2] + stride / 2)
        strides.append(np.tile(stride, (len(points[-1]), 1)))
    return tuple(ops.convert_to_tensor(np.concatenate(x)) for x in (points, strides))


def _strides(grid, image_size):
    strides = [side // cells for side, cells in zip(image_size, grid, strict=True)]
    if min(strides) < 1:
        raise ValueError(
            f"`image_size` must be at least as large as each grid, got {tuple(image_size)} for "
            f"the grid {tuple(grid)}."
        )
    return strides


def _places(grid, image_size):
    """(H W, 4) corners (x, y, x, y) of the cells in pixels."""
    along = [np.arange(n) * s for n, s in zip(grid, _strides(grid, image_size), strict=True)]
    y, x = (a.reshape(-1) for a in np.meshgrid(*along, indexing="ij"))
    return np.stack([x, y, x, y], axis=1).astype("float32")
