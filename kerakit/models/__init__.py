"""Model builders, a folder a task."""

from kerakit.models import classification

__all__ = ["classification"]
