"""Training step and inference of U-Net beside segmentation_models_pytorch's.

python -m benchmarks.segmentation [--rounds 9] [--json FILE]

U-Net on ResNet-18, decoder of (256, 128, 64, 32, 16), 3 classes, 8 images of 256 x 320, float32:
14,328,499 parameters on both sides, layer for layer the same net (`tests/models/segmentation`
compares what they answer). Each contestant has a process of its own, as in
`benchmarks.classifiers`.

- training step: forward, cross-entropy of each pixel, backward, SGD with momentum. Kerakit runs
  `train_on_batch`, compiled without XLA, on tensors that are there already; PyTorch the usual
  loop, channels last, with the loss read at the end.
- inference: logits. Kerakit's graph from float32 pixels, norms folded as in its exports; PyTorch
  `eval()` under `no_grad`, channels last.

Not alike: kerakit normalises the pixels inside.

On two quiet cores, 2026-11-24, median of 9: 0.84 of segmentation_models_pytorch's time in
training, 0.79 in inference. Beside other work PyTorch loses more, as its threads wait for each
other: 0.39 and 0.48 were seen. The load is printed.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import contextlib

import numpy as np

from benchmarks.alternate import alternate, command_line, report
from benchmarks.classifiers import TRAINING, WORKS, contestant

BATCH, HEIGHT, WIDTH, CLASSES = 8, 256, 320, 3
RATE, MOMENTUM = 1e-3, 0.9


def batch():
    """Pixels 0..255 and the class of each."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (BATCH, HEIGHT, WIDTH, 3)).astype("float32")
    return images, generator.integers(0, CLASSES, (BATCH, HEIGHT, WIDTH))


def kerakit(name, work):
    import keras
    import tensorflow as tf

    from kerakit.export.folding import fold
    from kerakit.models import segmentation

    model = getattr(segmentation, f"unet_{name}")(
        input_shape=(HEIGHT, WIDTH, 3), num_classes=CLASSES
    )
    images, mask = map(tf.constant, batch())
    if work == TRAINING:
        model.compile(
            keras.optimizers.SGD(RATE, momentum=MOMENTUM),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        return lambda: model.train_on_batch(images, mask)
    folded = fold(model)
    answer = tf.function(lambda x: folded(x, training=False), jit_compile=False)
    return lambda: answer(images).numpy()


def segmentation_models_pytorch(name, work):
    import segmentation_models_pytorch
    import torch

    torch.set_num_threads(os.cpu_count())  # TensorFlow's default
    model = segmentation_models_pytorch.Unet(name, encoder_weights=None, classes=CLASSES)
    model = model.to(memory_format=torch.channels_last)
    images, mask = batch()
    images = torch.from_numpy((images / 127.5 - 1).transpose(0, 3, 1, 2))
    images, mask = images.to(memory_format=torch.channels_last), torch.from_numpy(mask)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), mask)
        loss.backward()
        optimizer.step()
        return loss.item()

    def answer():
        with torch.no_grad():
            return model(images).numpy()

    model.train(work == TRAINING)
    return step if work == TRAINING else answer


def main():
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--work", choices=WORKS, help="one kind of work")
    options = parser.parse_args()
    comparisons = []
    for work in [options.work] if options.work else WORKS:
        with contextlib.ExitStack() as stack:
            contestants = {
                peer.__name__: stack.enter_context(contestant(peer, "resnet18", work))
                for peer in (kerakit, segmentation_models_pytorch)
            }
            comparisons.append(
                alternate(f"unet_resnet18, {work}", contestants, rounds=options.rounds)
            )
    load, *_ = os.getloadavg()
    print(f"{BATCH} x {HEIGHT} x {WIDTH} x 3, {os.cpu_count()} cores, load {load:.1f} at the end")
    report(comparisons, json_file=options.json, batch=BATCH, size=[HEIGHT, WIDTH], load=load)


if __name__ == "__main__":
    main()
