"""Golden file `layers.npz`: what `torch.nn.functional` makes of the layers' cases."""

import numpy as np
import torch
from torch.nn import functional as F
from torchvision.models.video.resnet import Conv2Plus1D

from tests.golden.layers import (
    CONVOLUTIONS,
    FACTORISED,
    NORMALIZED,
    POOLINGS,
    TRANSPOSED,
    convolution_arrays,
    drawn,
    pooled_array,
    transposed_arrays,
)


def first(x):
    """Channels last to first."""
    return torch.movedim(torch.tensor(x), -1, 1)


def last(x):
    return torch.movedim(x, 1, -1).detach().numpy()


def flipped(kernel):
    """(..., I, O) to (O, I, ...), and (..., O, I) to (I, O, ...)."""
    return torch.movedim(torch.tensor(kernel), (-1, -2), (0, 1)).contiguous()


def convolution(name):
    x, kernel, bias = convolution_arrays(name)
    options = CONVOLUTIONS[name][-1]
    function = getattr(F, f"conv{x.ndim - 2}d")
    return last(function(first(x), flipped(kernel), torch.tensor(bias), **options))


def transposed(name):
    x, kernel, bias = transposed_arrays(name)
    options = TRANSPOSED[name][-1]
    function = getattr(F, f"conv_transpose{x.ndim - 2}d")
    return last(function(first(x), flipped(kernel), torch.tensor(bias), **options))


def pooling(name):
    options = POOLINGS[name][1]
    x = pooled_array(name)
    values, indices = F.max_pool2d(first(x), **options, return_indices=True)
    unpooled = F.max_unpool2d(values, indices, **options, output_size=x.shape[1:3])
    return {
        f"{name}.values": last(values),
        f"{name}.indices": last(indices).astype("int32"),
        f"{name}.unpooled": last(unpooled),
    }


def instance_norm(name):
    shape = NORMALIZED[name]
    weight, bias = (torch.tensor(drawn(f"{name}.{w}", shape[-1:])) for w in ("gamma", "beta"))
    return last(F.instance_norm(first(drawn(name, shape) * 2 + 3), weight=weight, bias=bias))


def factorised(name):
    size, channels, filters, stride = FACTORISED[name]
    middle = (channels * filters * 27) // (channels * 9 + 3 * filters)
    block = Conv2Plus1D(channels, filters, middle, stride)
    block.eval()
    with torch.no_grad():
        for key, value in block.state_dict().items():
            if value.dtype.is_floating_point:
                numbers = torch.tensor(drawn(f"{name}.{key}", tuple(value.shape)))
                value.copy_(numbers.abs() if key.endswith("var") else numbers)
        return last(block(first(drawn(name, (2, *size, channels)))))


def make(directory):
    """Writes the golden file into the directory, and returns its path."""
    arrays = {"check": drawn("check", (8,))}
    for cases, function in (
        (CONVOLUTIONS, convolution),
        (TRANSPOSED, transposed),
        (NORMALIZED, instance_norm),
        (FACTORISED, factorised),
    ):
        arrays |= {name: function(name) for name in cases}
    for name in POOLINGS:
        arrays |= pooling(name)
    path = directory / "layers.npz"
    np.savez_compressed(path, torch_version=torch.__version__, **arrays)
    return path
