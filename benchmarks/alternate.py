"""Timing two or more callables in turn in one run, so that a machine's moods hit all alike."""

import argparse
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """What one piece of work took each contestant, in every alternation.

    Attributes:
        work: What was done.
        seconds: Contestant -> seconds a call, one an alternation. The first is
            kerakit, the others are peers.
    """

    work: str
    seconds: dict[str, list[float]]

    @property
    def peers(self):
        return list(self.seconds)[1:]

    def median(self, name):
        return float(np.median(self.seconds[name]))

    def ratio(self, peer):
        """Quartiles (25 %, 50 %, 75 %) of kerakit's time over the peer's, by alternation."""
        ours = np.array(next(iter(self.seconds.values())))
        return [
            float(q) for q in np.quantile(ours / np.array(self.seconds[peer]), [0.25, 0.5, 0.75])
        ]


def alternate(work, contestants, *, rounds=9, warmup=2, calls=1):
    """Times callables in turn: A B, B A, A B, ...

    Args:
        work: What they do, for the table.
        contestants: Name -> callable without arguments that returns when its work is
            done (which on JAX means `block_until_ready`). The first is kerakit's.
        rounds: Alternations.
        warmup: Untimed calls of each before: tracing, compiling, caches.
        calls: Calls of each in an alternation, in turn too; their median counts. More
            than one for work of milliseconds, which one hiccup would double.

    Returns:
        A `Comparison`.
    """
    for function in contestants.values():
        for _ in range(warmup):
            function()
    seconds = {name: [] for name in contestants}
    order = list(contestants)
    for _ in range(rounds):
        timed = {name: [] for name in contestants}
        for _ in range(calls):
            for name in order:
                start = time.perf_counter()
                contestants[name]()
                timed[name].append(time.perf_counter() - start)
            order.reverse()  # whoever goes second finds other caches
        for name, times in timed.items():
            seconds[name].append(float(np.median(times)))
    return Comparison(work, seconds)


def table(comparisons):
    """Text with a line for each comparison and peer: medians, ratio, its quartiles."""
    lines = [("work", "kerakit ms", "peer", "peer ms", "ratio", "quartiles")]
    for comparison in comparisons:
        ours = comparison.median(next(iter(comparison.seconds)))
        for peer in comparison.peers:
            low, middle, high = comparison.ratio(peer)
            lines.append(
                (
                    comparison.work,
                    f"{1e3 * ours:.2f}",
                    peer,
                    f"{1e3 * comparison.median(peer):.2f}",
                    f"{middle:.2f}",
                    f"{low:.2f} {high:.2f}",
                )
            )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def machine():
    """What the figures depend on beside the code."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def command_line(description):
    """Parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=9, help="alternations (default: 9)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all times there too")
    return parser


def report(comparisons, *, json_file=None, **settings):
    """Prints the table and, where a file is given, writes every time into it."""
    print(table(comparisons))
    print("ratio: kerakit's time over the peer's, median of the alternations; below 1 is ahead")
    if json_file:
        content = {
            **machine(),
            **settings,
            "comparisons": [
                {
                    "work": comparison.work,
                    "seconds": comparison.seconds,
                    "ratio": {peer: comparison.ratio(peer) for peer in comparison.peers},
                }
                for comparison in comparisons
            ],
        }
        json_file.write_text(json.dumps(content, indent=1) + "\n")
