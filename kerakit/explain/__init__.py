"""What a model looks at: heat maps of its answers, and pictures of what it has inside.

Functions take a model and raw pixels, on any backend, and return arrays with a `plot`.
"""

from kerakit.explain.attention import attention_maps
from kerakit.explain.cam import cam
from kerakit.explain.feature_maps import feature_maps
from kerakit.explain.filters import filters
from kerakit.explain.grad_cam import grad_cam, grad_cam_plus_plus, hires_cam
from kerakit.explain.heat_map import HeatMap
from kerakit.explain.rollout import attention_rollout
from kerakit.explain.saliency import saliency, smooth_grad
from kerakit.explain.targets import Detection, Pixel, Region
from kerakit.explain.templates import templates

__all__ = [
    "Detection",
    "HeatMap",
    "Pixel",
    "Region",
    "attention_maps",
    "attention_rollout",
    "cam",
    "feature_maps",
    "filters",
    "grad_cam",
    "grad_cam_plus_plus",
    "hires_cam",
    "saliency",
    "smooth_grad",
    "templates",
]
