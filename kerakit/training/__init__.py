"""Training that can be stopped and goes on."""

from kerakit.training.best_model import BestModel
from kerakit.training.epoch_log import EpochLog
from kerakit.training.fit import fit
from kerakit.training.start_from import start_from
from kerakit.training.state import Progress, restore_state, save_state

__all__ = ["BestModel", "EpochLog", "Progress", "fit", "restore_state", "save_state", "start_from"]
