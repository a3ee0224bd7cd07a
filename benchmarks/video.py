"""Training step and inference of (2+1)D and 3D networks of clips beside torchvision's.

python -m benchmarks.video [--rounds 9] [--only r2plus1d_18] [--work inference] [--json FILE]

2 clips of 16 x 112 x 112, 400 classes, float32, random weights: the same nets layer for layer
(`tests/models/video` compares what they answer). Each contestant has a process of its own, as in
`benchmarks.classifiers`.

- training step: forward, cross-entropy, backward, SGD with momentum. Kerakit runs
  `train_on_batch`, compiled without XLA, on tensors that are there already; PyTorch the usual
  loop, with the loss read at the end.
- inference: logits. Kerakit's graph from float32 pixels, norms folded as in its exports; PyTorch
  `eval()` under `no_grad`.

Not alike: kerakit normalises the pixels inside.

On two cores, nothing else running, 2026-11-29: `r2plus1d_18` 0.79 (training, 9 rounds) and 0.63
to 0.65 (inference, 15 rounds) of torchvision's time, `r3d_18` 0.94 and 0.90; in other hours down to
0.70, 0.58 and 0.77.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import contextlib
import importlib.util

import numpy as np

from benchmarks.alternate import alternate, command_line, report
from benchmarks.classifiers import TRAINING, WORKS, contestant, training_step

BATCH, FRAMES, SIZE, CLASSES = 2, 16, 112, 400
RATE, MOMENTUM = 1e-3, 0.9
NETS = ("r2plus1d_18", "r3d_18")


def batch():
    """Pixels 0..255 and a class of each clip."""
    generator = np.random.default_rng(0)
    clips = generator.integers(0, 256, (BATCH, FRAMES, SIZE, SIZE, 3)).astype("float32")
    return clips, generator.integers(0, CLASSES, BATCH)


def kerakit(name, work):
    import tensorflow as tf

    from kerakit.export.folding import fold
    from kerakit.models import video

    model = getattr(video, name)(input_shape=(FRAMES, SIZE, SIZE, 3), num_classes=CLASSES)
    clips, labels = batch()
    if work == TRAINING:
        return training_step(model, clips, labels)
    folded, clips = fold(model), tf.constant(clips)
    answer = tf.function(lambda x: folded(x, training=False), jit_compile=False)
    return lambda: answer(clips).numpy()


def torchvision(name, work):
    import torch
    import torchvision

    torch.set_num_threads(os.cpu_count())  # TensorFlow's default
    model = getattr(torchvision.models.video, name)(num_classes=CLASSES)
    clips, labels = batch()
    clips = torch.from_numpy((clips / 127.5 - 1).transpose(0, 4, 1, 2, 3)).contiguous()
    labels = torch.from_numpy(labels)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(clips), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def answer():
        with torch.no_grad():
            return model(clips).numpy()

    model.train(work == TRAINING)
    return step if work == TRAINING else answer


def main():
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--only", choices=NETS, help="one net")
    parser.add_argument("--work", choices=WORKS, help="one kind of work")
    options = parser.parse_args()
    peers = {"kerakit": kerakit, "torchvision": torchvision}
    if not importlib.util.find_spec("torchvision"):
        print("torchvision is not installed: left out")
        del peers["torchvision"]
    comparisons = []
    for name in [options.only] if options.only else NETS:
        for work in [options.work] if options.work else WORKS:
            with contextlib.ExitStack() as stack:
                contestants = {
                    peer: stack.enter_context(contestant(prepare, name, work))
                    for peer, prepare in peers.items()
                }
                label = f"{name}, {work}"
                comparisons.append(alternate(label, contestants, rounds=options.rounds))
    load, *_ = os.getloadavg()
    size = f"{BATCH} x {FRAMES} x {SIZE} x {SIZE} x 3"
    print(f"{size}, {os.cpu_count()} cores, load {load:.1f} at the end")
    report(comparisons, json_file=options.json, batch=BATCH, size=[FRAMES, SIZE, SIZE], load=load)


if __name__ == "__main__":
    main()
