"""Kills runs at random moments until they are done, and compares them with runs never killed.

python -m tests.soak [classifier detector video] [--kills 30] [--seed 0] [--folder DIR]

Each run is a recipe in processes of its own, with augmentation, shuffling, an average of the
weights, a warm-up, early stopping and, where its network has some, dropout. It is killed (SIGKILL)
after a part of what the run that is never killed takes, then started again, until it is done; then
another one, until there were `--kills` in all. Compared to the last bit are the state (weights,
optimizer, averages, random generators, callbacks, early stopping's decision) and the log, its times
apart. TensorFlow's operations are made deterministic. The suite has a short one.
"""

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.chosen import add_chosen
from kerakit.training.epoch_log import TIMES

COMMON = "--ema 0.98 --patience 1 --save-every 2 --keep last --seed 3"
RUNS = {
    "classifier": "classify digits --model mobilenet_v2 --size 32 32 --stem None --epochs 6",
    "detector": "detect scenes --epochs 2",
    "video": "video moving-digits --model c3d --epochs 2 --width 0.125 --stem None",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_chosen(parser, "kinds", RUNS)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp())
    same = True
    for kind in arguments.kinds or RUNS:
        start = time.monotonic()
        whole = started(kind, folder, "whole")
        if whole.wait():
            raise SystemExit(f"{kind}: the run failed; {folder / kind}-whole.txt says why.")
        seconds = time.monotonic() - start
        draw, kills, runs, found = random.Random(arguments.seed), 0, 0, []
        while kills < arguments.kills:
            runs += 1
            kills += killed(kind, folder, runs, seconds, draw, arguments.kills - kills)
            found += differences(folder / f"{kind}-whole", folder / f"{kind}-killed{runs}")
        rows = log_of(folder / f"{kind}-whole")
        print(
            f"{kind}: {kills} kills in {runs} runs of {len(rows)} epochs, {seconds:.0f} s when "
            f"left alone: {'; '.join(found) or 'the same, bit for bit'}",
            flush=True,
        )
        same = same and not found
    raise SystemExit(0 if same else 1)


def killed(kind, folder, run, seconds, draw, most):
    """Kills a run at random moments until it is done, `most` times at most, and says how often."""
    kills = 0
    while True:
        process = started(kind, folder, f"killed{run}")
        # Half of the moments within the start, where a run is read and restored.
        moment = draw.uniform(0, seconds * draw.choice((0.3, 0.8))) if kills < most else None
        try:
            code = process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        if code:
            raise SystemExit(f"{kind}: failed after {kills} kills; see {folder}.")
        return kills


def started(kind, folder, name):
    """A process of the recipe; what it prints is added to a file."""
    recipe, *flags = f"{RUNS[kind]} {COMMON} --workdir {folder} --name {kind}-{name}".split()
    with open(folder / f"{kind}-{name}.txt", "a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"recipes.{recipe}", *flags],
            env={**os.environ, "TF_DETERMINISTIC_OPS": "1"},
            stdout=log,
            stderr=log,
        )


def differences(one, other):
    """What is not the same in two runs' folders, as sentences."""
    found = []
    first, second = (arrays_of(folder / "state.ckpt") for folder in (one, other))
    for name in sorted(first.keys() | second.keys()):
        if name not in first or name not in second:
            found.append(f"{name} is in one state alone")
        elif first[name].tobytes() != second[name].tobytes():
            found.append(f"{name} differs")
    if log_of(one) != log_of(other):
        found.append("the logs differ")
    return found


def arrays_of(path):
    with np.load(path) as file:
        arrays = dict(file)
    progress = json.loads(str(arrays.pop("progress")))
    arrays["progress"] = np.array(json.dumps(without_times(progress), sort_keys=True))
    return arrays


def without_times(value):
    """The value without what a log says of seconds."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def log_of(folder):
    with open(folder / "log.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


if __name__ == "__main__":
    main()
