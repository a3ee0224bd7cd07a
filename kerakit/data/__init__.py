"""One door to data, one preparation of images, batches that can be resumed."""

from kerakit.data.batches import TrainingBatches, evaluation_batches, validation_batches
from kerakit.data.batches_in_turn import BatchesInTurn
from kerakit.data.decode import decode
from kerakit.data.detection_batches import DetectionBatches, detection_evaluation_batches
from kerakit.data.labels import class_weights, soft_labels
from kerakit.data.load import load
from kerakit.data.prepare import Preparation
from kerakit.data.proposal_batches import ProposalBatches, proposal_evaluation_batches
from kerakit.data.segmentation_batches import (
    SegmentationBatches,
    segmentation_evaluation_batches,
)
from kerakit.data.selective_search import selective_search, source_proposals
from kerakit.data.source import Data, IndexedSource, StreamSource

__all__ = [
    "BatchesInTurn",
    "Data",
    "DetectionBatches",
    "IndexedSource",
    "Preparation",
    "ProposalBatches",
    "SegmentationBatches",
    "StreamSource",
    "TrainingBatches",
    "class_weights",
    "decode",
    "detection_evaluation_batches",
    "evaluation_batches",
    "load",
    "proposal_evaluation_batches",
    "segmentation_evaluation_batches",
    "selective_search",
    "soft_labels",
    "source_proposals",
    "validation_batches",
]
