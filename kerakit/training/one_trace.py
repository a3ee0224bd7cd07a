"""Whether a training's step is compiled once, or again for each shape of a batch."""

import contextlib

import keras

from kerakit.errors import InputError


class OneTrace(keras.callbacks.Callback):
    """Ends a training whose step is traced, and so compiled, again after its first epoch.

    That happens for batches of another shape or type, and takes seconds on a CPU and minutes on
    a TPU, each time. A step that a callback had made anew is another one. TensorFlow traces a
    batch of unknown shape once, and XLA compiles it for each shape it meets: those are refused
    before the training.

    Args:
        batches: Batches of the training, see `fit`.

    Raises:
        InputError: Before the training, or at the end of the epoch in which that happened.
    """

    def __init__(self, batches):
        super().__init__()
        self.batches = batches
        self._traces, self._known, self._step = 0, None, None

    @contextlib.contextmanager
    def counting(self, model):
        """Within this the traces of the model's training step are counted.

        Args:
            model: Compiled `keras.Model`.
        """
        if keras.backend.backend() == "tensorflow" and model.jit_compile:
            self._require_known_shapes()
        step = model.train_step

        def counted(*inputs):  # compiled, it is only run to be traced
            self._traces += 1
            return step(*inputs)

        model.train_step, model.train_function = counted, None
        try:
            yield
        finally:
            del model.train_step

    def on_epoch_end(self, epoch, logs=None):
        if self.model.run_eagerly:
            return
        same = self._step is self.model.train_function
        if same and self._traces > self._known:
            raise InputError(
                f"The training step was compiled again in epoch {epoch + 1}: batches changed "
                "their shape or type. Give all the same, as kerakit.data's batches have."
            )
        self._step, self._known = self.model.train_function, self._traces

    def _require_known_shapes(self):
        for spec in keras.tree.flatten(self.batches.starting_at(0).element_spec):
            if None in tuple(spec.shape):
                raise InputError(
                    f"A batch of unknown shape {tuple(spec.shape)} cannot be trained under XLA, "
                    "which would compile each shape anew: give whole batches "
                    "(drop_remainder=True) or compile the model with jit_compile=False."
                )
