"""Training that can be stopped and goes on."""

from kerakit.training.averages import EvaluateAverages, averages_in
from kerakit.training.best_model import BestModel
from kerakit.training.epoch_log import EpochLog
from kerakit.training.features import (
    FeatureBatches,
    cached_features,
    feature_batches,
    split_head,
)
from kerakit.training.fine_tuning import freeze_batch_normalization, layer_depths
from kerakit.training.fit import fit
from kerakit.training.multi_worker import Workers, place_among_workers
from kerakit.training.objective import Objective, objective, pixel_objective
from kerakit.training.on_workers import on_workers
from kerakit.training.optimizer import optimizer, optimizer_of
from kerakit.training.place import Place
from kerakit.training.precision import precision
from kerakit.training.pretrained import load_body
from kerakit.training.rate import falling_rate
from kerakit.training.start_from import start_from
from kerakit.training.state import Progress, restore_state, save_state, states_at
from kerakit.training.strategy import replicas, strategy, synchronize_batch_normalization
from kerakit.training.whole_batches import whole_batches

__all__ = [
    "BestModel",
    "EpochLog",
    "EvaluateAverages",
    "FeatureBatches",
    "Objective",
    "Place",
    "Progress",
    "Workers",
    "averages_in",
    "cached_features",
    "falling_rate",
    "feature_batches",
    "fit",
    "freeze_batch_normalization",
    "layer_depths",
    "load_body",
    "objective",
    "on_workers",
    "optimizer",
    "optimizer_of",
    "pixel_objective",
    "place_among_workers",
    "precision",
    "replicas",
    "restore_state",
    "save_state",
    "split_head",
    "start_from",
    "states_at",
    "strategy",
    "synchronize_batch_normalization",
    "whole_batches",
]
