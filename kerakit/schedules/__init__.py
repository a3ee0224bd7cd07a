"""Learning rates over time: three decays, warm-up and joining, in steps or epochs."""

from kerakit.schedules.decay import ExponentialDecay, InverseTimeDecay, StepDecay
from kerakit.schedules.join import Join
from kerakit.schedules.warmup import Warmup

__all__ = ["ExponentialDecay", "InverseTimeDecay", "Join", "StepDecay", "Warmup"]
