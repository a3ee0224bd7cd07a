"""Golden file `video_two_paths.npz`: shapes and logits of pytorchvideo's I3D and SlowFast."""

import importlib.metadata
import json

import numpy as np
import torch
from pytorchvideo.models.hub import i3d_r50
from pytorchvideo.models.slowfast import create_slowfast

from tests.golden import seeding
from tests.golden.video_two_paths import ALPHAS, LENGTHS, SIZES, clips

MEAN, DEVIATION = 0.45, 0.225  # of all channels
# Alpha, and frames of a lateral convolution. 8x8: `slowfast_r50` of pytorchvideo's hub. Of 4x16
# it publishes figures and weights but no builder; these are the settings of the authors' code.
SETTINGS = {"4x16": (8, 5), "8x8": (4, 7)}


def slow_frames(frames, alpha):
    """As `PackPathway` of pytorchvideo's tutorial takes them."""
    return torch.linspace(0, frames - 1, frames // alpha).long()


def network(name):
    """pytorchvideo's model in eval mode, alpha or None, and the shapes of its state dict."""
    frames, height, width = SIZES[name]
    cells = (7, 7) if name.endswith("_windows") else (-(-height // 32), -(-width // 32))
    if name.startswith("i3d"):
        alpha, model = None, i3d_r50(head_pool_kernel_size=(4, *cells))
    else:
        alpha, kernel = SETTINGS[name.split("_")[2]]
        fast = min(frames, 32)
        model = create_slowfast(
            slowfast_fusion_conv_kernel_size=(kernel, 1, 1),
            slowfast_fusion_conv_stride=(alpha, 1, 1),
            head_pool_kernel_sizes=((fast // alpha, *cells), (fast, *cells)),
        )
    shapes = {
        key: list(value.shape)
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    values = {key: torch.from_numpy(x) for key, x in seeding.parameters(shapes).items()}
    model.load_state_dict(values, strict=False)
    return model.eval(), alpha, shapes


def make(directory):
    """Writes the golden file into the directory, and returns its path."""
    content = {"pytorchvideo_version": importlib.metadata.version("pytorchvideo")}
    for frames in LENGTHS:
        for alpha in ALPHAS:
            content[f"slow_frames.{frames}.{alpha}"] = slow_frames(frames, alpha).numpy()
    for name in SIZES:
        model, alpha, shapes = network(name)
        x = ((torch.from_numpy(clips(name)) / 255 - MEAN) / DEVIATION).permute(0, 4, 1, 2, 3)
        x = x if alpha is None else [x[:, :, slow_frames(x.shape[2], alpha)], x]
        with torch.no_grad():
            answer = model(x).numpy()
        content[f"{name}.logits"] = answer
        content[f"{name}.parameters"] = sum(p.numel() for p in model.parameters())
        content[f"{name}.shapes"] = json.dumps(shapes)
        print(name, content[f"{name}.parameters"], np.abs(answer).max(), np.ptp(answer))
    path = directory / "video_two_paths.npz"
    np.savez_compressed(path, **content)
    return path
