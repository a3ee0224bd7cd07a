"""What a recipe's training costs beside Keras's bare `fit` of the same model.

python -m benchmarks.training [classify detect segment video] [--rounds 9] [--steps 100]

Each recipe's embedded preset makes its model, batches and callbacks, as for a run; its own `fit` is
taken over here. In turn, an epoch of `--steps` steps that traces and settles and one that is timed
(100, as `Watch` looks closer once in so many):

- bare: `model.fit` on one batch in memory, again and again, no callbacks;
- callbacks: `kerakit.training.fit` on that same batch, with all of the run's callbacks, an epoch's
  end with its logs and best model (what states take each run says itself);
- data: the same on the recipe's own batches, read and augmented.

Validation is left out of the times. Printed are medians, their ratio in steps a second, the
difference a step, the share of the time that waited for data, and the CPU seconds a step beyond the
bare ones, which is what the input costs. One process a recipe.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.chosen import add_chosen

PRESETS = {
    "classify": "digits",
    "detect": "scenes",
    "segment": "scenes",
    "video": "moving-digits",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_chosen(parser, "recipes", PRESETS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--json", help="write the figures there too")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.recipes[0], arguments.rounds, arguments.steps)))
        return
    found = {}
    print(f"{'':9}{'bare':>9}{'callbacks':>11}{'data':>9}   ratios        waiting   input")
    for recipe in arguments.recipes or PRESETS:
        command = [sys.executable, "-m", "benchmarks.training", recipe, "--one"]
        command += ["--rounds", str(arguments.rounds), "--steps", str(arguments.steps)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise SystemExit(run.stderr[-3000:])
        found[recipe] = one = json.loads(run.stdout.splitlines()[-1])
        bare, callbacks, data = (1000 * one[name] for name in ("bare", "callbacks", "data"))
        print(
            f"{recipe:9}{bare:6.1f} ms{callbacks:8.1f} ms{data:6.1f} ms   "
            f"{bare / callbacks:.2f}, {bare / data:.2f}    {one['waiting']:6.1%}   "
            f"{1000 * one['input']:.1f} ms of CPU a step",
            flush=True,
        )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(found, file, indent=2)


class _Taken(Exception):
    """Raised in place of the training that a recipe asks for."""


def measured(recipe, rounds, steps):
    """Median seconds a step of each way, and what the data cost."""
    import importlib
    import statistics

    import tensorflow as tf

    from kerakit import training

    taken = {}

    def take(model, batches, *, validation, callbacks, **_):
        taken.update(model=model, batches=batches, validation=validation, callbacks=callbacks)
        raise _Taken

    real_fit, training.fit = training.fit, take
    module = importlib.import_module(f"recipes.{recipe}")
    _, config = module.PRESETS[PRESETS[recipe]]
    folder = tempfile.mkdtemp()
    with contextlib.suppress(_Taken):
        module.train(dataclasses.replace(config, workdir=folder))
    model, batches = taken["model"], taken["batches"]
    batch = next(iter(batches.starting_at(0)))
    constant = tf.data.Dataset.from_tensors(batch).repeat()
    timer = timer_callback()

    def bare():
        model.fit(constant, epochs=2, steps_per_epoch=steps, verbose=0, callbacks=[timer])

    def fitted(starting_at):
        place = os.path.join(tempfile.mkdtemp(dir=folder), "state.ckpt")
        source = Steps(steps, starting_at)
        real_fit(
            model,
            source,
            epochs=2,
            state=place,
            validation=taken["validation"],
            callbacks=[*taken["callbacks"], timer],
        )

    ways = {
        "bare": bare,
        "callbacks": lambda: fitted(lambda step: constant),
        "data": lambda: fitted(batches.starting_at),
    }
    walls, cpus, waits = ({name: [] for name in ways} for _ in range(3))
    for number in range(rounds + 1):
        for name, way in ways.items():
            way()
            if number:  # the first traces
                walls[name].append(timer.wall / steps)
                cpus[name].append(timer.cpu / steps)
                waits[name].append(timer.waiting)
    medians = {name: statistics.median(values) for name, values in walls.items()}
    cpu = {name: statistics.median(values) for name, values in cpus.items()}
    return {
        **medians,
        "waiting": statistics.median(waits["data"]),
        "input": cpu["data"] - cpu["callbacks"],
    }


class Steps:
    """Batches of which an epoch has a given number."""

    def __init__(self, steps_per_epoch, starting_at):
        self.steps_per_epoch, self.starting_at = steps_per_epoch, starting_at


def timer_callback():
    """A callback that times the last epoch, from its first step to its end, without validation."""
    import keras

    class Timer(keras.callbacks.Callback):
        wall = cpu = waiting = 0.0

        def on_epoch_begin(self, epoch, logs=None):
            self._start, self._cpu = time.perf_counter(), time.process_time()

        def on_test_begin(self, logs=None):
            self._pause, self._cpu_pause = time.perf_counter(), time.process_time()

        def on_test_end(self, logs=None):
            self._start += time.perf_counter() - self._pause
            self._cpu += time.process_time() - self._cpu_pause

        def on_epoch_end(self, epoch, logs=None):
            self.wall = time.perf_counter() - self._start
            self.cpu = time.process_time() - self._cpu
            self.waiting = (logs or {}).get("data_wait", 0.0)

    return Timer()


if __name__ == "__main__":
    main()
