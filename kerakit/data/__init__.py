"""One door to data, one preparation of images, batches that can be resumed."""

from kerakit.data.batches import TrainingBatches, evaluation_batches
from kerakit.data.decode import decode
from kerakit.data.load import load
from kerakit.data.prepare import Preparation
from kerakit.data.source import Data, IndexedSource, StreamSource

__all__ = [
    "Data",
    "IndexedSource",
    "Preparation",
    "StreamSource",
    "TrainingBatches",
    "decode",
    "evaluation_batches",
    "load",
]
