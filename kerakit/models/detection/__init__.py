"""Detectors: what is where in an image."""

from kerakit.models.detection.detector import Detector as Detector

__all__ = []
