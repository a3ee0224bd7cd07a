"""What is wrong with a model, its data or its training, and what to do about it."""

from kerakit.diagnose.before import before_training
from kerakit.diagnose.during import during_training
from kerakit.diagnose.finding import ORDER, Diagnosis, Finding
from kerakit.diagnose.overfit import overfit_one_batch
from kerakit.diagnose.rate_range import RateRange, learning_rate_range
from kerakit.diagnose.run_folder import RunRead, read_run
from kerakit.diagnose.starts import Starts, compare_starts
from kerakit.diagnose.watch import Watch
from kerakit.diagnose.watched import Look, Watched

__all__ = [
    "ORDER",
    "Diagnosis",
    "Finding",
    "Look",
    "RateRange",
    "RunRead",
    "Starts",
    "Watch",
    "Watched",
    "before_training",
    "compare_starts",
    "during_training",
    "learning_rate_range",
    "overfit_one_batch",
    "read_run",
]
