"""Model builders, a folder a task."""

from kerakit.models import classification, detection

__all__ = ["classification", "detection"]
