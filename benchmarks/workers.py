"""Two workers on two cores beside one process on both: resnet18 at 64 x 64, batches of 64.

python -m benchmarks.workers [--rounds 5] [--steps 20] [--workers 2] [--own-statistics]
    [--json FILE]

One process with all cores, then as many workers as given with their share of them, and again: in
each of the rounds each is started anew, takes one epoch to trace and settle and is timed over the
next three, by `kerakit.training.fit` with a batch in memory. The workers' normalisation is by the
whole batch, as in every recipe, or with `--own-statistics` by each worker's part, which is cheaper
and other numbers. Printed: seconds a step, and the workers' throughput over that of one process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from kerakit.training.on_workers import worker_environments

BATCH, SIZE, CLASSES, EPOCHS = 64, 64, 10, 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--own-statistics", action="store_true", help="normalise by own parts")
    parser.add_argument("--json", help="write the figures there too")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(seconds_a_step(arguments.steps, arguments.own_statistics)), flush=True)
        return
    found = {1: [], arguments.workers: []}
    for number in range(arguments.rounds):
        for count, times in found.items():
            times.append(statistics.median(timed(count, arguments.steps, arguments.own_statistics)))
            print(f"round {number + 1}, {count} process(es): {times[-1]:.3f} s a step", flush=True)
    one, several = found.values()
    ratios = sorted(a / b for a, b in zip(one, several, strict=True))
    print(
        f"one process {statistics.median(one):.3f} s a step, {arguments.workers} workers "
        f"{statistics.median(several):.3f} s; throughput {statistics.median(ratios):.2f} of one "
        f"process's, by round {' '.join(f'{ratio:.2f}' for ratio in ratios)}"
    )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(found, file, indent=2)


def timed(count, steps, own_statistics):
    """Seconds a step of each timed epoch, by the first of `count` processes."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.workers", "--one"]
    command += ["--own-statistics"] if own_statistics else []
    processes = [
        subprocess.Popen(
            [*command, "--steps", str(steps)],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for environment in (worker_environments(count) if count > 1 else [{}])
    ]
    printed = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, printed, strict=True):
        if process.returncode:
            raise SystemExit(errors[-3000:])
    return json.loads(printed[0][0].splitlines()[-1])


def seconds_a_step(steps, own_statistics):
    """A training, as one of those that the environment names; seconds a step by epoch."""
    import keras
    import numpy as np
    import tensorflow as tf

    from kerakit import training
    from kerakit.models.classification import resnet18

    place = training.Place()
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (BATCH, SIZE, SIZE, 3)).astype("float32")
    labels = draw.integers(0, CLASSES, BATCH)
    model = place.made(lambda: resnet18(input_shape=(SIZE, SIZE, 3), num_classes=CLASSES))
    with place.scope():
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=loss)
    for layer in model.layers if own_statistics else ():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = False

    class Batches:
        steps_per_epoch = steps

        def starting_at(self, step):
            return tf.data.Dataset.from_tensors((images, labels)).repeat()

    class Timer(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.epochs = []

        def on_epoch_begin(self, epoch, logs=None):
            self._start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append((time.perf_counter() - self._start) / steps)

    timer = Timer()
    with tempfile.TemporaryDirectory() as folder:
        training.fit(
            model, Batches(), epochs=EPOCHS, state=f"{folder}/state.ckpt", callbacks=[timer]
        )
    return timer.epochs[1:]


if __name__ == "__main__":
    main()
