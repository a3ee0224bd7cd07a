"""Cases of the layers' golden file: sizes, PyTorch's options, and what is drawn for them."""

import zlib
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_suffix(".npz")

# Name -> spatial size, input and output channels, kernel, options in PyTorch's words.
CONVOLUTIONS = {
    "conv1d": ((11,), 3, 4, (3,), {"padding": (1,)}),
    "conv1d_all": ((17,), 4, 6, (3,), {"stride": 2, "padding": 3, "dilation": 2, "groups": 2}),
    "conv2d": ((8, 9), 3, 5, (3, 3), {"padding": 1}),
    "conv2d_even_stride": ((8, 10), 3, 5, (3, 3), {"stride": 2, "padding": 1}),
    "conv2d_odd_stride": ((9, 7), 3, 5, (3, 3), {"stride": 2, "padding": 1}),
    "conv2d_stem": ((14, 12), 3, 4, (7, 7), {"stride": 2, "padding": 3}),
    "conv2d_even_kernel": ((8, 9), 2, 3, (4, 2), {"stride": (1, 3), "padding": (2, 1)}),
    "conv2d_dilated": ((11, 12), 2, 3, (3, 3), {"padding": 2, "dilation": 2}),
    "conv2d_strided_dilated": (
        (13, 12),
        2,
        3,
        (3, 3),
        {"stride": (2, 3), "padding": (3, 1), "dilation": (3, 2)},
    ),
    "conv2d_groups": ((7, 6), 6, 9, (3, 3), {"padding": 1, "groups": 3}),
    "conv2d_depthwise": ((8, 9), 3, 6, (3, 3), {"stride": (2, 1), "padding": 1, "groups": 3}),
    "conv2d_depthwise_dilated": (
        (11, 12),
        3,
        3,
        (3, 3),
        {"stride": (2, 1), "padding": 2, "dilation": 2, "groups": 3},
    ),
    "conv3d": ((4, 6, 5), 2, 3, (3, 3, 3), {"stride": (1, 2, 2), "padding": 1}),
    "conv3d_frames": ((5, 6, 8), 2, 3, (1, 3, 3), {"stride": 2, "padding": (0, 1, 1)}),
    "conv3d_time": ((7, 3, 4), 2, 3, (3, 1, 1), {"padding": (2, 0, 0), "dilation": (2, 1, 1)}),
}

TRANSPOSED = {
    "transposed1d": ((6,), 3, 4, (3,), {"stride": 2, "padding": 1, "output_padding": 1}),
    "transposed2d": ((5, 4), 3, 2, (3, 3), {}),
    "transposed2d_same": ((5, 4), 3, 2, (4, 4), {"stride": 2, "padding": 1}),
    "transposed2d_wide": ((4, 5), 3, 2, (2, 3), {"stride": (4, 3)}),
    "transposed2d_padding": (
        (5, 4),
        3,
        2,
        (3, 5),
        {"stride": 2, "padding": (1, 2), "output_padding": (1, 0)},
    ),
    "transposed2d_extra": ((4, 4), 2, 3, (2, 2), {"stride": 3, "output_padding": (2, 1)}),
    "transposed2d_dilated": (
        (4, 5),
        2,
        3,
        (3, 2),
        {"stride": (2, 3), "padding": 1, "output_padding": (0, 2), "dilation": (2, 3)},
    ),
    "transposed3d": (
        (3, 4, 3),
        2,
        3,
        (2, 3, 2),
        {"stride": (1, 2, 2), "padding": (0, 1, 0), "output_padding": (0, 1, 1)},
    ),
}

# Name -> size, and kernel_size, stride and padding of `max_pool2d`.
POOLINGS = {
    "pool": ((6, 8), {"kernel_size": 2}),
    "pool_rest": ((7, 5), {"kernel_size": 2}),
    "pool_overlap": ((7, 9), {"kernel_size": 3, "stride": 2}),
    "pool_padded": ((7, 8), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "pool_dense": ((5, 6), {"kernel_size": (3, 2), "stride": 1, "padding": (1, 1)}),
    "pool_gaps": ((9, 10), {"kernel_size": 2, "stride": (3, 4)}),
    "pool_uneven": ((9, 11), {"kernel_size": (4, 5), "stride": (3, 2), "padding": (2, 1)}),
}

NORMALIZED = {"instance2d": (3, 5, 4, 2), "instance3d": (2, 3, 4, 5, 2)}

# Of Conv2Plus1D: clips' size, channels in and out, temporal and spatial stride.
FACTORISED = {
    "factorised": ((4, 6, 5), 3, 4, 1),
    "factorised_stride": ((5, 8, 6), 2, 6, 2),
}


def drawn(name, shape):
    """Standard normal numbers of a name, in float32."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    return generator.standard_normal(shape).astype("float32")


def convolution_arrays(name):
    """Inputs (2, ..., C), kernel (..., C / groups, K) and bias (K,) of a convolution."""
    size, channels, filters, kernel, options = CONVOLUTIONS[name]
    inner = channels // options.get("groups", 1)
    return (
        drawn(name, (2, *size, channels)),
        drawn(f"{name}.kernel", (*kernel, inner, filters)),
        drawn(f"{name}.bias", (filters,)),
    )


def transposed_arrays(name):
    """Inputs (2, ..., C), kernel (..., K, C) and bias (K,) of a transposed convolution."""
    size, channels, filters, kernel, _ = TRANSPOSED[name]
    return (
        drawn(name, (2, *size, channels)),
        drawn(f"{name}.kernel", (*kernel, filters, channels)),
        drawn(f"{name}.bias", (filters,)),
    )


def pooled_array(name):
    """Whole numbers from -4 to 4, so that windows have equal maxima; (2, H, W, 3)."""
    return np.clip(np.round(drawn(name, (2, *POOLINGS[name][0], 3)) * 2), -4, 4)


def golden(name):
    """What PyTorch made of a case."""
    with np.load(FILE) as arrays:
        assert np.array_equal(drawn("check", (8,)), arrays["check"]), (
            "NumPy draws other numbers: python -m tests.golden.regenerate layers"
        )
        return arrays[name]


def keras_options(options):
    """PyTorch's options in Keras's words."""
    words = {"stride": "strides", "dilation": "dilation_rate", "kernel_size": "pool_size"}
    return {words.get(name, name): value for name, value in options.items()}
