"""Watching a training: a callback that says what goes wrong in it."""

import math
import pathlib
import warnings

import keras
import numpy as np
from keras import ops

from kerakit.diagnose.during import during_training
from kerakit.diagnose.finding import Diagnosis
from kerakit.diagnose.looked import to_numpy
from kerakit.diagnose.probe import Probe, kernels_of, norm_of, path_of
from kerakit.diagnose.scalars import Scalars
from kerakit.diagnose.watched import Look, Watched, looks_of, write_looks, write_rows

# Faults of the start show in the first steps, and a look costs about a step each.
FIRST_LOOKS = (0, 1, 10, 30)
LOOKS, EPOCHS, LOG, DIAGNOSIS = "watch.csv", "epochs.csv", "log.csv", "diagnosis.json"


class Watch(keras.callbacks.Callback):
    """Looks at a model while it trains, and says what is wrong.

    Each step it reads the loss from the logs. At steps 0, 1, 10, 30, then every `every`, and at
    the end, it looks closer, on one fixed batch that is never trained on through it: gradients
    by layer, units that are 0 for all of it, the moving statistics of batch normalisation
    against the batch's own. It also takes the share by which one real step changes the weights.
    All of it is read, nothing written: the training is bit for bit the same without. The cost is
    about a step a look, `python -m benchmarks.watch_cost` measures it.

    Where no probe batch is given, `kerakit.training.fit` shows one (`see`); with stock `fit` and
    none, gradients, dead units and moving statistics are not looked at.

    It can be resumed (`get_state`, `set_state`). A model that cannot be looked at (a training
    step of its own, several devices) is watched by its logs and weights alone, with a warning.

    Args:
        x: Inputs of the probe batch as `fit` takes them, some of the training set's: an array
            (B, ...), or a list or dict of arrays. At most 64 examples are used, of large images
            fewer. Or None.
        y: Its targets, likewise.
        every: Steps between two closer looks; at least 1.
        folder: Folder for `watch.csv` and `epochs.csv` (the figures), `diagnosis.json`, and
            TensorBoard's `tensorboard/diagnosis`; or None, to write nothing.

    Attributes:
        watched: `Watched`, the figures so far.
        diagnosis: `Diagnosis` of them; ask whenever you like.

    Raises:
        ValueError: If `every` is less than 1, or only one of `x` and `y` is given.

    Example:

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> y = (x[:, 0] > 0).astype("int32")
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile(keras.optimizers.SGD(1e-7), loss=loss)
    >>> watch = Watch(x, y)
    >>> history = model.fit(x, y, batch_size=8, epochs=20, verbose=0, callbacks=[watch])
    >>> watch.diagnosis.first.rule
    'learning_rate_too_low'
    """

    def __init__(self, x=None, y=None, *, every=100, folder=None):
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` must be at least 1, got {every}.")
        if (x is None) != (y is None):
            raise ValueError(
                "`x` and `y` must be given both or neither, got one of them; of a dataset give "
                "the first batch: `x, y = next(iter(dataset))`."
            )
        self.every = every
        self.folder = None if folder is None else pathlib.Path(folder)
        self._given = None if x is None else (x, y)
        self._resumed = False
        self._start_over()

    def _start_over(self):
        self._step, self._looks, self._epochs = 0, [], []
        self._begun_at, self._made = 0, 1
        self._batch_losses, self._sum, self._seen = [], 0.0, 0
        self._probe = self._before = self._look = None
        self._broken = False

    @property
    def watched(self):
        """The figures so far."""
        return Watched(tuple(self._looks), tuple(self._epochs))

    @property
    def diagnosis(self):
        """What is wrong, as far as can be said now."""
        return during_training(self.watched) if self._looks or self._epochs else Diagnosis()

    def see(self, batches):
        """Takes the probe batch from a training's batches, if none was given.

        Args:
            batches: What `kerakit.training.fit` is given: an object with `starting_at(step)`.
        """
        if self._given is None:
            x, y, *_ = next(iter(batches.starting_at(0)))
            self._given = x, y

    def on_train_begin(self, logs=None):
        if not self._resumed:
            self._start_over()
        self._resumed = False
        self._probe = self._board = None
        if self.folder is not None:
            self._board = Scalars(self.folder / "tensorboard" / "diagnosis")
        strategy = getattr(self.model, "distribute_strategy", None)
        if self._given is not None and getattr(strategy, "num_replicas_in_sync", 1) == 1:
            self._probe = Probe(self.model, *self._given)

    def on_train_batch_begin(self, batch, logs=None):
        self._begun_at = batch
        if self._step >= self._next_look():
            self._look = self._closer_look()
            self._before = self._kernels()

    def on_train_batch_end(self, batch, logs=None):
        # Several steps in one call, if compiled with `steps_per_execution`.
        self._made = batch - self._begun_at + 1
        loss = (logs or {}).get("loss")
        if loss is not None:
            self._batch_losses.append(self._batch_loss(float(loss)))
        self._step += self._made
        if self._look is not None:
            self._finish(self._look)
        elif loss is not None and not math.isfinite(loss) and not self._broken:
            # What is to be left of a run that this ends.
            self._finish(Look(self._step))

    def on_epoch_end(self, epoch, logs=None):
        # A metric may be a vector, a figure for each class.
        figures = {k: float(np.ravel(v)[0]) for k, v in (logs or {}).items() if np.size(v) == 1}
        figures.pop("data_wait", None)  # of the machine, and another one in each run
        self._epochs.append({"epoch": epoch + 1, **figures})
        self._sum, self._seen = 0.0, 0
        self._write()

    def on_train_end(self, logs=None):
        if self._step and (not self._looks or self._looks[-1].step != self._step):
            self._finish(self._closer_look())
        self._write()
        if self._board is not None:
            self.diagnosis.write_tensorboard(self._board.folder, step=self._step)

    def get_state(self):
        """The figures so far, to go on from."""
        rows = [row for look in self._looks for row in look.rows()]
        return {
            "step": self._step,
            "looks": rows,
            "epochs": self._epochs,
            "batch_losses": self._batch_losses,
            "sum": self._sum,
            "seen": self._seen,
        }

    def set_state(self, state):
        """Goes on from a state in the next `fit`.

        Args:
            state: What `get_state` returned.
        """
        self._start_over()
        self._step = int(state["step"])
        self._looks = list(looks_of(state["looks"]))
        self._epochs = list(state["epochs"])
        self._batch_losses = list(state["batch_losses"])
        self._sum, self._seen = state["sum"], state["seen"]
        self._resumed = True

    def _next_look(self):
        """The step that is to be looked at next, or that it is over already."""
        after = self._looks[-1].step + 1 if self._looks else 0
        first = [step for step in FIRST_LOOKS if step >= after]
        return min([*first, -(-after // self.every) * self.every])

    def _batch_loss(self, mean):
        """The mean loss of one call's batches, of that over the epoch, which the logs have."""
        self._seen += self._made
        total = mean * self._seen
        loss, self._sum = total - self._sum, total
        return loss / self._made

    def _closer_look(self):
        model = {"learning_rate": self._rate()}
        layers = {}
        if self._probe is not None:
            try:
                figures, layers = self._probe.look()
                model |= figures
            except Exception as error:  # whatever a model of one's own may raise
                self._probe = None
                text = (str(error).splitlines() or [""])[0]
                warnings.warn(
                    f"The model cannot be looked at closer while it trains "
                    f"({type(error).__name__}: {text[:200]}); its logs and weights are watched.",
                    stacklevel=2,
                )
        return Look(self._step, model, layers)

    def _finish(self, look):
        """Adds to a look what the steps before and the one after it tell."""
        model, layers = dict(look.model), {k: dict(v) for k, v in look.layers.items()}
        if not look.step:
            chance = chance_of(self.model)
            model |= {} if chance is None else {"chance": chance}
        if self._batch_losses:
            # A sum that is no number stays so in the running mean: it says that it broke.
            model["loss"] = float(np.mean(self._batch_losses))
            model["highest_loss"] = float(np.max(self._batch_losses))
            self._broken = not math.isfinite(model["loss"])
        if self._before is not None:
            for name, after in self._kernels().items():
                before = self._before[name]
                norm = norm_of(before)
                with np.errstate(over="ignore", invalid="ignore"):
                    change = norm_of(after - before)
                row = layers.setdefault(name, {})
                row.setdefault("weight_norm", norm)
                if norm > 0:
                    ratio = change / norm / self._made
                    row["update_ratio"] = ratio if np.isfinite(norm) else math.nan
        self._look, self._before, self._batch_losses = None, None, []
        self._looks.append(Look(look.step, model, layers))
        if self._board is not None:
            self._board.write(self._looks[-1])
        self._write()

    def _kernels(self):
        # On JAX, asking for the model brings the steps' results back to its weights. The arrays
        # are copies, as a step gives the old ones' memory away.
        kernels = kernels_of(self.model)
        return {
            path_of(kernel): np.array(to_numpy(ops.convert_to_tensor(kernel)), "float32")
            for kernel in kernels
        }

    def _rate(self):
        return float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def _write(self):
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_looks(self.folder / LOOKS, self._looks)
        if self._epochs and not (self.folder / LOG).exists():  # a recipe's run has it
            write_rows(self.folder / EPOCHS, self._epochs)
        self.diagnosis.write_json(self.folder / DIAGNOSIS)


def chance_of(model):
    """The cross-entropy of a model that gives all classes the same, or None.

    Args:
        model: A compiled `keras.Model`.
    """
    loss, shape = getattr(model, "loss", None), getattr(model, "output_shape", None)
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or ""
    if not isinstance(name, str) or not shape or not isinstance(shape[-1], int | None):
        return None
    if "binary_crossentropy" in name:
        return math.log(2)
    is_categorical = "categorical_crossentropy" in name or name == "pixel_cross_entropy"
    return math.log(shape[-1]) if is_categorical and (shape[-1] or 0) > 1 else None
