"""Callbacks: what watches a training and steers it.

A callback with `get_state()` and `set_state(state)` can be resumed: the state is a flat
dictionary of plain numbers, strings and NumPy arrays, and a state that is set before `fit`
is gone on with once. A `fit` after that starts over.
"""

from kerakit.callbacks.early_stopping import EarlyStopping
from kerakit.callbacks.gradient_clipping import GradientClipping
from kerakit.callbacks.layer_figures import LayerFigures

__all__ = [
    "EarlyStopping",
    "GradientClipping",
    "LayerFigures",
]
