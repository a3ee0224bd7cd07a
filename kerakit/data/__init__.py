"""One door to data, one preparation of images, batches that can be resumed."""

from kerakit.data.batches import Batches, evaluation_batches, training_batches
from kerakit.data.decode import decode
from kerakit.data.load import load
from kerakit.data.prepare import Preparation
from kerakit.data.source import Data, IndexedSource, StreamSource

__all__ = [
    "Batches",
    "Data",
    "IndexedSource",
    "Preparation",
    "StreamSource",
    "decode",
    "evaluation_batches",
    "load",
    "training_batches",
]
