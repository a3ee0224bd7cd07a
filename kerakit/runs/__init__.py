"""A run's folder, its log, pictures, report and end."""

from kerakit.runs.classification import finish_classifier
from kerakit.runs.run import Run
from kerakit.runs.settings import require

__all__ = ["Run", "finish_classifier", "require"]
