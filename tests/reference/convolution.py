"""Convolution, window by window and entry by entry, over any number of spatial axes."""

import numpy as np


def windows(size, kernel_size, *, strides=1, padding=0, dilation_rate=1):
    """Along one axis: (zeros before, zeros after, number of windows)."""
    span = dilation_rate * (kernel_size - 1) + 1
    if padding == "same":
        count = int(np.ceil(size / strides))
        zeros = max((count - 1) * strides + span - size, 0)
        return zeros // 2, zeros - zeros // 2, count
    padding = 0 if padding == "valid" else padding
    return padding, padding, int(np.floor((size + 2 * padding - span) / strides)) + 1


def convolution_by_loop(x, w, *, strides=1, padding=0, dilation_rate=1, groups=1):
    """`sum over entries j and a group's channels of x[o s + j d - p] w[j]`."""
    sizes, rank = x.shape[1:-1], w.ndim - 2
    of_axes = [
        v if isinstance(v, tuple) else (v,) * rank for v in (strides, padding, dilation_rate)
    ]
    axes = [
        windows(n, k, strides=s, padding=p, dilation_rate=d)
        for n, k, s, p, d in zip(sizes, w.shape[:rank], *of_axes, strict=True)
    ]
    x = np.pad(x, [(0, 0), *[(before, after) for before, after, _ in axes], (0, 0)])
    y = np.zeros((len(x), *[count for _, _, count in axes], w.shape[-1]))
    inputs, outputs = w.shape[-2], w.shape[-1] // groups
    for o in np.ndindex(*y.shape[1:-1]):
        for j in np.ndindex(*w.shape[:rank]):
            at = tuple(np.array(o) * of_axes[0] + np.array(j) * of_axes[2])
            for g in range(groups):
                of_group = slice(g * outputs, (g + 1) * outputs)
                met = x[(slice(None), *at)][:, g * inputs : (g + 1) * inputs]
                y[(slice(None), *o, of_group)] += met @ w[j][:, of_group]
    return y
