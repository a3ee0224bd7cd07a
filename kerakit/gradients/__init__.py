"""Gradients on any backend: automatic ones, their check by differences, the gates' own."""

from kerakit.gradients import local
from kerakit.gradients.automatic import gradient
from kerakit.gradients.checking import Entry, Report, check
from kerakit.gradients.precision import float64_scope

__all__ = ["Entry", "Report", "check", "float64_scope", "gradient", "local"]
