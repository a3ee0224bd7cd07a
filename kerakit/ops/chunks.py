"""A function of many rows, computed on some of them at a time."""

from keras import ops


def in_chunks(function, rows, size, *, like):
    """Calls a function on `size` rows after another, so that its memory does not grow with them.

    Neighbouring chunks overlap where `size` does not divide the number of rows: all have the
    same size without padding, and what is computed twice is the same. Fewer rows than `size`
    make one chunk.

    Args:
        function: From (size, ...) rows to a tuple of tensors (size, ...), row by row.
        rows: (N, ...) tensor; N may be unknown while a graph is traced.
        size: Rows at a time.
        like: A (shape of one row, dtype) for each output.

    Returns:
        Tuple of tensors (N, ...).

    Example:

    >>> squares, = in_chunks(lambda x: (x * x,), ops.arange(5.0), 2, like=[((), "float32")])
    >>> [float(x) for x in squares]
    [0.0, 1.0, 4.0, 9.0, 16.0]
    """
    rows = ops.convert_to_tensor(rows)
    count = ops.shape(rows)[0]
    if isinstance(count, int) and count <= size:
        return function(rows)
    if not isinstance(count, int):
        size = ops.minimum(size, count)
    rest = tuple(rows.shape[1:])
    outputs = tuple(ops.zeros((count, *shape), dtype) for shape, dtype in like)

    def step(number, outputs):
        start = ops.minimum(number * size, count - size)
        chunk = ops.slice(rows, (start, *(0 for _ in rest)), (size, *rest))
        return number + 1, tuple(
            ops.slice_update(whole, (start, *(0 for _ in whole.shape[1:])), part)
            for whole, part in zip(outputs, function(chunk), strict=True)
        )

    _, outputs = ops.while_loop(lambda number, outputs: number * size < count, step, (0, outputs))
    return outputs
