"""The figures of every epoch, in a CSV file that a resumed run carries on."""

import csv
import pathlib
import time

import keras

from kerakit.atomic import replaced
from kerakit.training.multi_worker import Workers

# Columns that are times, other ones in each run.
TIMES = ("seconds", "data_wait")


class EpochLog(keras.callbacks.Callback):
    """Writes one CSV row an epoch: epoch, learning rate, every figure, seconds.

    `keras.callbacks.CSVLogger` repeats the rows of an epoch that was logged but not
    yet saved when a run was killed. Here the rows are state: the file is written anew
    from them, whole, after each epoch. Of several workers the chief writes it.

    Args:
        path: File to write, `.csv`.

    Attributes:
        rows: List of dicts, one an epoch.
    """

    def __init__(self, path):
        super().__init__()
        self.path = pathlib.Path(path)
        self.rows = []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        row = {"epoch": epoch + 1, "learning_rate": float(rate)}
        row |= {key: float(value) for key, value in (logs or {}).items()}
        row["seconds"] = round(time.perf_counter() - self._start, 3)
        self.rows.append(row)
        if Workers(self.model).is_chief:
            self._write()

    def get_state(self):
        return {"rows": self.rows}

    def set_state(self, state):
        self.rows = list(state["rows"])

    def _write(self):
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        with replaced(self.path) as place, open(place, "w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)
