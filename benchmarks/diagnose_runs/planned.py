"""A training run with, or without, one planted fault."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedRun:
    """One run of the table that `benchmarks.diagnose` prints.

    Attributes:
        name: What it is, in a few words.
        fault: Name of the rule that finds what was planted; None: a healthy run.
        why: One sentence: what was planted.
        prepare: Makes it: a dict of the compiled `model`, the arrays `x` and `y`, `validation`
            (a pair of arrays, or None), `epochs`, `batch_size` and, if need be, `callbacks`.
    """

    name: str
    fault: str | None
    why: str
    prepare: Callable[[], dict]
