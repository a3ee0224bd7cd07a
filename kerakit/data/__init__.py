"""One door to data, one preparation of images, batches that can be resumed."""

from kerakit.data.batches import TrainingBatches, evaluation_batches, validation_batches
from kerakit.data.decode import decode
from kerakit.data.labels import class_weights, soft_labels
from kerakit.data.load import load
from kerakit.data.prepare import Preparation
from kerakit.data.source import Data, IndexedSource, StreamSource

__all__ = [
    "Data",
    "IndexedSource",
    "Preparation",
    "StreamSource",
    "TrainingBatches",
    "class_weights",
    "decode",
    "evaluation_batches",
    "load",
    "soft_labels",
    "validation_batches",
]
