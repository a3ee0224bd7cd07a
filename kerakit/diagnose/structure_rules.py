"""Remarks on the design: what costs much and gives little."""

import numpy as np

from kerakit.diagnose.finding import Finding

# A dense layer on flattened features with half of the parameters is worth a look: VGG16 has
# 74 % in one. With nine in ten, and more than the four million that a network for digits may
# well have in it, it is what overfits first.
HINT_SHARE, HINT_PARAMETERS = 0.5, 100_000
WARNING_SHARE, WARNING_PARAMETERS = 0.9, 4_000_000
# Three 3 x 3 layers see 7 x 7 with 27/49 of the weights, five see 11 x 11 with 45/121
# (Simonyan and Zisserman, 2015, section 2.3). First layers with a stride, of AlexNet (11) and
# ResNet (7), and depthwise ones (ConvNeXt: 7) are usual.
HINT_KERNEL, WARNING_KERNEL = 7, 11
# Space that has shrunk by 4 along each side, as after two poolings, should have bought channels.
SHRUNK_AREA = 16


def flatten_dense_heavy(looked):
    """A dense layer on a flattened map that holds most of the parameters.

    Global average pooling gives the dense layer C inputs in place of H W C, and sees the
    object wherever it is (Lin, Chen and Yan, Network in Network, 2014, section 3.2). Evidence:
    the layer's parameters and share. Thresholds: the four constants above.
    """
    if not any(call.is_convolution for call in looked.calls):
        return None
    total = looked.model.count_params()
    for call in looked.kernel_calls:
        kernel = call.kernel.shape
        if call.is_convolution or len(kernel) != 2:
            continue
        map_shape = _flattened(call)
        share, count = int(np.prod(kernel)) / total, int(np.prod(kernel))
        if map_shape is None or share < HINT_SHARE or count < HINT_PARAMETERS:
            continue
        heavy = share >= WARNING_SHARE and count >= WARNING_PARAMETERS
        size = " x ".join(map(str, map_shape))
        return Finding(
            rule="flatten_dense_heavy",
            severity="warning" if heavy else "hint",
            message=f"`{call.name}` on a flattened {size} map holds {share:.0%} of the "
            f"{total:,} parameters.",
            evidence={"layer": call.name, "share": share, "parameters": count, "total": total},
            advice="Pool the map globally in place of flattening it; the dense layer then has "
            f"{map_shape[-1]} inputs.",
        )
    return None


def large_kernel(looked):
    """One large kernel where a stack of 3 x 3 sees as much, with fewer weights and more ReLUs.

    Evidence: the layer and its kernel. Thresholds: `HINT_KERNEL`, `WARNING_KERNEL` for layers
    without a stride that are not depthwise.
    """
    found = [(min(call.layer.kernel_size[-2:]), call) for call in _dense_convolutions(looked)]
    found = [(size, call) for size, call in found if size >= HINT_KERNEL and _slides(call)]
    if not found:
        return None
    size, call = max(found, key=lambda pair: pair[0])
    kernel = " x ".join(map(str, call.layer.kernel_size))
    layers = (size - 1) // 2
    return Finding(
        rule="large_kernel",
        severity="warning" if size >= WARNING_KERNEL else "hint",
        message=f"`{call.name}` has a kernel of {kernel} and no stride.",
        evidence={"layer": call.name, "kernel": size, "layers": len(found)},
        advice=f"{layers} layers of 3 x 3 see as much with {9 * layers / size**2:.0%} of the "
        "weights.",
    )


def pooling_for_stride(looked):
    """Pooling right behind a convolution that could have a stride of 2 itself.

    The convolution computes four outputs where one is kept; with a stride it learns what to
    keep (Springenberg et al., Striving for Simplicity, 2015, section 2). Pooling is usual and
    no fault: always a hint. Evidence: how many.
    """
    found = []
    for call in looked.calls:
        strides = getattr(call.layer, "pool_size", None) and call.layer.strides
        if strides and min(strides[-2:]) >= 2 and _unstrided_convolution_before(call):
            found.append(call)
    if not found:
        return None
    return Finding(
        rule="pooling_for_stride",
        severity="hint",
        message="Poolings stand behind convolutions without a stride: "
        f"{len(found)}, the first `{found[0].name}`.",
        evidence={"layer": found[0].name, "layers": len(found)},
        advice="A stride of 2 in the convolution saves three quarters of its work.",
    )


def channels_do_not_grow(looked):
    """Channels that do not grow as space shrinks, so that the map holds ever less.

    Evidence: the most channels of a convolution at the largest and at the smallest map.
    Threshold: `SHRUNK_AREA`; a warning if a classifier's channels are halved.
    """
    widest = {}
    for call in _dense_convolutions(looked):
        shape = tuple(call.output.shape)
        area = int(np.prod(shape[1:-1]))
        # The last layers' channels are classes.
        if call.following(lambda other: other.kernel is not None):
            widest[area] = max(widest.get(area, 0), int(shape[-1]))
    if not widest or max(widest) < SHRUNK_AREA * max(min(widest), 1):
        return None
    first, last = widest[max(widest)], widest[min(widest)]
    if last > first:
        return None
    outputs = getattr(looked.calls[-1].output, "shape", ())
    halved = 2 * last <= first and len(outputs) == 2
    return Finding(
        rule="channels_do_not_grow",
        severity="warning" if halved else "hint",
        message=f"The map shrinks to 1/{max(widest) // min(widest)} of its area and its channels "
        f"go from {first} to {last}.",
        evidence={"channels_first": first, "channels_last": last},
        advice="Double the channels where the map is halved along each side.",
    )


def _dense_convolutions(looked):
    """Convolutions over images or clips that mix channels."""
    for call in looked.calls:
        sliding = call.is_convolution and len(call.output.shape) >= 4
        depthwise = "Depthwise" in type(call.layer).__name__
        groups = getattr(call.layer, "groups", 1)
        if sliding and not depthwise and groups < max(2, call.inputs[0].shape[-1]):
            yield call


def _slides(call):
    """Whether it has no stride, and does not cover its whole map at once, as a dense layer."""
    space = tuple(call.output.shape)[1:-1][-2:]
    return min(call.layer.strides[-2:]) == 1 and max(space) > 1


def _flattened(call):
    """Shape (H, W, C) of the map that a dense layer reads flat, or None."""
    width, waiting = call.kernel.shape[0], list(call.parents)
    while waiting:
        parent = waiting.pop()
        shape = tuple(parent.output.shape)[1:]
        if len(shape) >= 3:
            flat = int(np.prod(shape)) == width and int(np.prod(shape[:-1])) > 1
            return shape if flat else None
        if parent.kernel is None:
            waiting.extend(parent.parents)
    return None


def _unstrided_convolution_before(call):
    while len(call.parents) == 1:
        call = call.parents[0]
        if call.kernel is not None:
            return call.is_convolution and max(call.layer.strides) == 1
    return False
