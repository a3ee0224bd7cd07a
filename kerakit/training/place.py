"""Where a model is trained, and in which precision, and what is left of that afterwards."""

import contextlib
import functools

from kerakit.training.multi_worker import Workers
from kerakit.training.precision import convolve_as_float32
from kerakit.training.precision import precision as computing_in
from kerakit.training.strategy import replicas, strategy, synchronize_batch_normalization


class Place:
    """The devices and the precision of a training.

    To be made before anything else is computed: TensorFlow takes no workers later.

    Args:
        devices: As in `kerakit.training.strategy`.
        precision: As in `kerakit.training.precision`.

    Raises:
        InputError: If the devices are not there.
    """

    def __init__(self, devices="auto", precision="float32"):
        self.precision = precision
        self.strategy = strategy(devices)

    @contextlib.contextmanager
    def scope(self):
        """Within this a model, its optimizer and its metrics are made."""
        with self.strategy.scope(), computing_in(self.precision):
            yield

    def made(self, build, *arguments):
        """The model `build(*arguments)`, made for this place.

        Replicas normalise batches as wholes, not each its own part.

        Args:
            build: Function that returns a `keras.Model`.
        """
        self._build = functools.partial(build, *arguments)
        with self.scope():
            model = self._build()
            if replicas(model) > 1:
                synchronize_batch_normalization(model)
        convolve_as_float32(model)
        return model

    def plain(self, model):
        """The trained model in float32 and on one device, to be judged and exported.

        Of several workers all have to call it.

        Args:
            model: What `made` made, trained.
        """
        if self.precision == "float32" and replicas(model) == 1:
            return model
        weights = model.get_weights()
        Workers(model).wait_for_each_other()
        model = self._build()
        model.set_weights(weights)
        return model
