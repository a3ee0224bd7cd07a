"""Writes into the logs of `fit` what layers have counted in training."""

import keras
from keras import ops


class LayerFigures(keras.callbacks.Callback):
    """Puts the figures that layers keep, such as a mixture's dropped tokens, into the logs.

    A layer cannot write logs itself: a Python value kept in a step is lost on JAX, and a Keras
    metric updated in `call` raises there. So it sums its figures up in a weight, and this
    callback writes their means over the epoch's steps, as `<layer's path>_<figure>` with "_"
    for "/". Put it before those that read logs, such as `keras.callbacks.CSVLogger`.

    A layer takes part that has `figure_names`, a tuple of strings, and `figure_totals`, a
    weight that holds the number of steps and then the sum of each figure over them.

    Example:

    >>> import numpy as np
    >>> from kerakit.layers import MixtureOfExperts
    >>> moe = MixtureOfExperts(2, 1, hidden_dim=4, capacity_factor=2.0, name="moe")
    >>> model = keras.Sequential([keras.Input((6, 3)), moe])
    >>> model.compile("sgd", loss="mse")
    >>> x = np.ones((4, 6, 3))
    >>> history = model.fit(x, x, verbose=0, callbacks=[LayerFigures()]).history
    >>> history["moe_dropped_fraction"]  # with places for all
    [0.0]
    """

    def __init__(self):
        super().__init__()
        self._epoch = None
        self._resumed = None

    def on_epoch_begin(self, epoch, logs=None):
        # A training that was broken off inside an epoch goes on with the totals of its weights.
        resumed, self._resumed = self._resumed, None
        self._epoch = epoch
        if resumed is not None and resumed.get("epoch") == epoch:
            return
        for layer in self._layers():
            layer.figure_totals.assign(ops.zeros(layer.figure_totals.shape))

    def on_epoch_end(self, epoch, logs=None):
        for layer in self._layers():
            steps, *sums = ops.convert_to_numpy(layer.figure_totals)
            for name, total in zip(layer.figure_names, sums, strict=True):
                # A Sequential's own name leads the paths in it, a functional model's does not.
                path = layer.path.removeprefix(f"{self.model.name}/").replace("/", "_")
                logs[f"{path}_{name}"] = float(total / steps) if steps else float("nan")

    def get_state(self):
        """The epoch that runs, from 0; its totals are weights of the model. Empty before one."""
        return {} if self._epoch is None else {"epoch": self._epoch}

    def set_state(self, state):
        """Goes on in the next epoch to begin, if it is the state's.

        Args:
            state: What `get_state` returned.
        """
        self._resumed = dict(state)

    def _layers(self):
        # On JAX, asking for the model brings the steps' results back to its weights.
        layers = self.model._flatten_layers()
        return [layer for layer in layers if hasattr(layer, "figure_totals")]
