"""Classifiers of clips: (B, T, H, W, C) pixels to logits."""

from kerakit.models.video.c3d import c3d
from kerakit.models.video.frame_models import early_fusion, late_fusion, single_frame
from kerakit.models.video.i3d import i3d
from kerakit.models.video.inflation import inflate
from kerakit.models.video.slowfast import slowfast, slowfast_r50_4x16, slowfast_r50_8x8
from kerakit.models.video.video_resnet import mc3_18, r2plus1d_18, r3d_18
from kerakit.models.video.video_transformer import video_transformer

__all__ = [
    "c3d",
    "early_fusion",
    "i3d",
    "inflate",
    "late_fusion",
    "mc3_18",
    "r2plus1d_18",
    "r3d_18",
    "single_frame",
    "slowfast",
    "slowfast_r50_4x16",
    "slowfast_r50_8x8",
    "video_transformer",
]
