"""One door to data, one preparation of images, batches that can be resumed."""

from kerakit.data.batches import TrainingBatches, evaluation_batches, validation_batches
from kerakit.data.batches_in_turn import BatchesInTurn
from kerakit.data.clip_batches import (
    ClipBatches,
    clip_evaluation_batches,
    clip_validation_batches,
)
from kerakit.data.clip_source import IndexedClips, StreamedClips
from kerakit.data.decode import decode
from kerakit.data.detection_batches import DetectionBatches, detection_evaluation_batches
from kerakit.data.frame_sampling import FrameSampling
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
from kerakit.data.video_file import Video, read_video

__all__ = [
    "BatchesInTurn",
    "ClipBatches",
    "Data",
    "DetectionBatches",
    "FrameSampling",
    "IndexedClips",
    "IndexedSource",
    "Preparation",
    "ProposalBatches",
    "SegmentationBatches",
    "StreamSource",
    "StreamedClips",
    "TrainingBatches",
    "Video",
    "class_weights",
    "clip_evaluation_batches",
    "clip_validation_batches",
    "decode",
    "detection_evaluation_batches",
    "evaluation_batches",
    "load",
    "proposal_evaluation_batches",
    "read_video",
    "segmentation_evaluation_batches",
    "selective_search",
    "soft_labels",
    "source_proposals",
    "validation_batches",
]
