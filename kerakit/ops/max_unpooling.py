"""Values put back where a max pooling took them from."""

import itertools

from keras import ops

from kerakit.ops.max_pooling import pooling_geometry


def max_unpooling(values, indices, *, pool_size, strides=None, padding=0, output_size=None):
    """Puts each value at its index in a plane of zeros, the inverse of max pooling.

    `y[row, column] = value` of the window whose index is `row W_out + column`, else 0. Where
    windows overlap and several took the same place, they hold the same value, which is set once
    (not added up), and the gradient goes to the last of them alone. PyTorch gives it to each, so
    that there the gradient of `max_unpool2d(max_pool2d(x))` counts such a place several times.

    No scatter: the entries of the windows are compared with the indices one by one and
    interleaved, which XLA fuses (TensorFlow without XLA, 2 x 2 to 4 x 112 x 112 x 64, two cores:
    5.4 ms, by a scatter 18.9 ms).

    Args:
        values: (B, h, w, C) float tensor.
        indices: (B, h, w, C) integers as of `max_pooling_with_indices` with the same
            `pool_size`, `strides` and `padding`. One outside its window is left out.
        pool_size: F, an integer or (height, width).
        strides: S, likewise; None: `pool_size`.
        padding: P, likewise, at most half of `pool_size`.
        output_size: (H_out, W_out), the size that was pooled; None: `(h - 1) S + F - 2 P`. It is
            needed where the pooling left a rest, as the indices count by its width: 2 x 2
            pooling of 5 x 5 gives 2 x 2, of which None makes 4 x 4.

    Returns:
        (B, H_out, W_out, C) tensor of the dtype of `values`.

    Raises:
        ValueError: If the shapes differ, an argument is out of range, or `output_size` is not
            within a stride of its default.

    Example:

    >>> values = ops.reshape(ops.array([7.0, 8.0]), (1, 1, 2, 1))
    >>> indices = ops.reshape(ops.array([5, 2]), (1, 1, 2, 1))
    >>> y = max_unpooling(values, indices, pool_size=2)
    >>> [[float(v) for v in row] for row in y[0, :, :, 0]]
    [[0.0, 0.0, 8.0, 0.0], [0.0, 7.0, 0.0, 0.0]]
    """
    values, indices = ops.convert_to_tensor(values), ops.cast(indices, "int32")
    if len(values.shape) != 4 or tuple(values.shape) != tuple(indices.shape):
        raise ValueError(
            "`values` and `indices` must be (B, h, w, C) both, got shapes "
            f"{tuple(values.shape)} and {tuple(indices.shape)}."
        )
    form = pooling_geometry((None, None), pool_size, strides, padding)
    size, room = ops.shape(values)[1:3], _room(form)
    if output_size is None:
        output_size = unpooled_size(size, form)
    else:
        output_size = _checked_size(output_size, values.shape[1:3], form)
        room = [n + 1 for n in room]  # up to a stride more than the windows reach
    # Windows that cover a place begin at most `reach` windows before it.
    reach = _room(form)
    edges = [(0, 0), *zip(reach, room, strict=True), (0, 0)]
    values, indices = ops.pad(values, edges), ops.pad(indices, edges, constant_values=-1)
    grid = [n + more for n, more in zip(size, room, strict=True)]

    def entries(a, b):
        """Plane of the places that lie (a, b) after the start of a window."""
        row = ops.arange(grid[0], dtype="int32") * form.strides[0] + (a - form.pads[0][0])
        column = ops.arange(grid[1], dtype="int32") * form.strides[1] + (b - form.pads[1][0])
        place = row[:, None, None] * output_size[1] + column[None, :, None]
        plane = ops.zeros_like(values[:, : grid[0], : grid[1]])
        steps = itertools.product(
            range(-(-(form.kernel_size[0] - a) // form.strides[0])),
            range(-(-(form.kernel_size[1] - b) // form.strides[1])),
        )
        for u, v in steps:  # the window that began u and v windows earlier
            top, left = reach[0] - u, reach[1] - v
            window = (slice(None), slice(top, top + grid[0]), slice(left, left + grid[1]))
            plane = ops.where(ops.equal(indices[window], place), values[window], plane)
        return plane

    rows = [
        ops.stack([entries(a, b) for b in range(form.strides[1])], axis=3)
        for a in range(form.strides[0])
    ]
    whole = ops.reshape(
        ops.stack(rows, axis=2),
        (-1, *(n * s for n, s in zip(grid, form.strides, strict=True)), values.shape[-1]),
    )
    top, left = (before for before, _ in form.pads)
    return whole[:, top : top + output_size[0], left : left + output_size[1]]


def _room(form):
    """How many windows, beside the last, cover a place."""
    return [-(-f // s) - 1 for f, s in zip(form.kernel_size, form.strides, strict=True)]


def unpooled_size(size, form):
    """What a pooling without a rest was of: `(h - 1) S + F - 2 P`; None where unknown."""
    return tuple(
        None if n is None else (n - 1) * s + f - 2 * p
        for n, s, f, (p, _) in zip(size, form.strides, form.kernel_size, form.pads, strict=True)
    )


def _checked_size(output_size, size, form):
    if len(output_size) != 2:
        raise ValueError(f"`output_size` must be (H_out, W_out), got {output_size!r}.")
    if all(isinstance(n, int) for n in (*size, *output_size)):
        default = unpooled_size(size, form)
        if any(abs(n - d) >= s for n, d, s in zip(output_size, default, form.strides, strict=True)):
            raise ValueError(
                f"`output_size` must be within a stride of {default}, got {tuple(output_size)}."
            )
    return tuple(output_size)
