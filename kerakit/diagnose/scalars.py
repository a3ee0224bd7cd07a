"""The figures of a watched training as curves in TensorBoard."""

import math
import pathlib
import socket
import time

from kerakit.extras import need

# What of a layer is drawn: a curve each.
DRAWN = ("gradient_norm", "update_ratio", "dead_share", "mean_drift")


class Scalars:
    """One event file of scalars.

    Args:
        folder: Where the file goes; made when the first look is written.

    Raises:
        MissingExtraError: If TensorBoard is not installed.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._events = need("tensorboard.compat.proto.event_pb2", extra="recipes")
        self._summaries = need("tensorboard.compat.proto.summary_pb2", extra="recipes")
        # The record writer, as TensorBoard's event writer imports TensorFlow when it is there.
        self._records = need("tensorboard.summary.writer.record_writer", extra="recipes")
        self._path = None

    def write(self, look):
        """Adds the figures of a `Look`, those of the model and the `DRAWN` of layers.

        Args:
            look: The look.
        """
        named = {f"watch/{name}": value for name, value in look.model.items()}
        for layer, figures in look.layers.items():
            named |= {f"{name}/{layer}": figures[name] for name in DRAWN if name in figures}
        values = [
            self._summaries.Summary.Value(tag=tag, simple_value=value)
            for tag, value in named.items()
            if math.isfinite(value)
        ]
        event = self._events.Event(
            wall_time=time.time(), step=look.step, summary=self._summaries.Summary(value=values)
        )
        events = [event]
        if self._path is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.watch"
            self._path = self.folder / name
            version = self._events.Event(wall_time=time.time(), file_version="brain.Event:2")
            events = [version, event]
        with open(self._path, "ab") as file:
            writer = self._records.RecordWriter(file)
            for each in events:
                writer.write(each.SerializeToString())
