"""Model builders, a folder a task."""

from kerakit.models import classification, detection, segmentation, video

__all__ = ["classification", "detection", "segmentation", "video"]
