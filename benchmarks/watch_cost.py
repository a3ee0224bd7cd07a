"""What watching a training costs: resnet18 at 64 x 64, batches of 32, with and without a `Watch`.

python -m benchmarks.watch_cost [--steps 1000] [--pieces 10] [--backend tensorflow]

One model each, trained by stock `fit` on random images in memory. The steps are done in pieces,
with and without in turn, so that a machine's moods hit both alike. Each `Watch` goes on from the
state of the one before, as in one long training; what it costs to trace the look is in the first
piece. Left out is the first call of each training step, which traces it.

The watch's time is also measured directly: the sum of what its calls took.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

BATCH, SIZE, CLASSES = 32, 64, 10


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--pieces", type=int, default=10)
    parser.add_argument("--backend", default="tensorflow", choices=("tensorflow", "jax"))
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = arguments.backend
    import keras

    from kerakit.diagnose.watch import Watch
    from kerakit.models.classification import resnet18

    steps = arguments.steps // arguments.pieces
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (steps * BATCH, SIZE, SIZE, 3)).astype("float32")
    y = rng.integers(0, CLASSES, steps * BATCH)

    class TimedWatch(Watch):
        """A watch that adds up its own time, and keeps its probe over the pieces."""

        spent, probe = 0.0, None

    def timed(name):
        method = getattr(Watch, name)

        def call(self, *values, **options):
            start = time.perf_counter()
            method(self, *values, **options)
            TimedWatch.probe = self._probe = TimedWatch.probe or self._probe
            TimedWatch.spent += time.perf_counter() - start

        return call

    for name in (
        "on_train_begin", "on_train_batch_begin", "on_train_batch_end", "on_epoch_end",
    ):  # fmt: skip
        setattr(TimedWatch, name, timed(name))
    # The last look of a piece belongs to the end of the training alone.
    TimedWatch.on_train_end = lambda self, logs=None: None

    def new_model():
        keras.utils.set_random_seed(0)
        model = resnet18(input_shape=(SIZE, SIZE, 3), num_classes=CLASSES)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=loss)
        model.fit(x[:BATCH], y[:BATCH], batch_size=BATCH, verbose=0)
        return model

    models = {"with": new_model(), "without": new_model()}
    seconds, state = {"with": [], "without": []}, None
    for piece in range(arguments.pieces):
        order = list(models) if piece % 2 else list(models)[::-1]
        for name in order:
            callbacks = []
            if name == "with":
                watch = TimedWatch(x[:BATCH], y[:BATCH])
                # One probe, traced once, as in one training.
                if state is not None:
                    watch.set_state(state)
                callbacks = [watch]
            start, spent = time.perf_counter(), TimedWatch.spent
            models[name].fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=callbacks)
            seconds[name].append(time.perf_counter() - start)
            if name == "with":
                state = watch.get_state()
                print(f"piece {piece + 1}: watch {TimedWatch.spent - spent:.2f} s", flush=True)
        print(
            f"piece {piece + 1}: with {seconds['with'][-1]:.2f} s, "
            f"without {seconds['without'][-1]:.2f} s",
            flush=True,
        )
    whole = {name: sum(times) for name, times in seconds.items()}
    looks = len(watch.watched.looks)
    print(
        f"{arguments.backend}, {steps * arguments.pieces} steps, {looks} looks: with "
        f"{whole['with']:.1f} s, without {whole['without']:.1f} s: "
        f"{whole['with'] / whole['without'] - 1:+.2%}; the watch's own calls "
        f"{TimedWatch.spent:.1f} s, {TimedWatch.spent / whole['without']:.2%}"
    )


if __name__ == "__main__":
    main()
