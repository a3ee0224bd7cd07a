"""Augmented images a second, beside torchvision's transforms.v2 on the same images.

    python -m benchmarks.augment [--rounds 9] [--json FILE] [WORK ...]

Each side reads uint8 images from memory, draws parameters for each image, and gives whole batches
of 64 at 224 x 224, in a process of its own. torchvision runs twice: a loop over the images with a
thread a core, and a DataLoader with a worker a core; its faster one is the bar. Mixing works on
whole batches; torchvision draws once a batch there, and mixes float32 only.
"""

import contextlib
import functools
import importlib.util
import multiprocessing
import os

import numpy as np

from benchmarks.alternate import alternate, command_line, report

BATCH, BATCHES, SIZE, LARGE = 64, 4, 224, 320
CORES = os.cpu_count() or 1
WORKS = {  # work -> side of the images it begins with
    "flip": SIZE,
    "crop": LARGE,
    "resized crop": LARGE,
    "affine": SIZE,
    "color jitter": SIZE,
    "cutout": SIZE,
    "RandAugment": SIZE,
    "mixup": SIZE,
    "cutmix": SIZE,
    "resized crop, flip, jitter": LARGE,
}


def images(side):
    return np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), dtype=np.uint8)


def kerakit_pass(work):
    """A callable that augments BATCHES batches in tf.data."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    from kerakit import augment as ours

    jitter = ours.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    transform = {
        "flip": lambda: ours.RandomFlip(),
        "crop": lambda: ours.RandomCrop((SIZE, SIZE)),
        "resized crop": lambda: ours.RandomResizedCrop((SIZE, SIZE)),
        "affine": lambda: ours.RandomAffine(rotation=20, translation=0.1, zoom=0.2, shear=10),
        "color jitter": lambda: jitter,
        "cutout": lambda: ours.Cutout(),
        "RandAugment": lambda: ours.RandAugment(),
        "mixup": lambda: ours.Mixup(10),
        "cutmix": lambda: ours.CutMix(10),
        "resized crop, flip, jitter": lambda: ours.chain(
            ours.RandomResizedCrop((SIZE, SIZE)), ours.RandomFlip(), jitter
        ),
    }[work]()
    batch = {"image": tf.constant(images(WORKS[work])), "label": tf.range(BATCH) % 10}

    def augmented(step):
        return transform(batch, tf.random.experimental.stateless_fold_in((0, 1), step))

    dataset = tf.data.Dataset.range(BATCHES).map(augmented, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)

    def call():
        for _ in dataset:
            pass

    return call


def torchvision_transform(work):
    from torchvision.transforms import v2

    crop = v2.RandomResizedCrop(SIZE, antialias=True)
    bilinear = v2.InterpolationMode.BILINEAR
    jitter = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)
    return {
        "flip": lambda: v2.RandomHorizontalFlip(),
        "crop": lambda: v2.RandomCrop(SIZE),
        "resized crop": lambda: crop,
        "affine": lambda: v2.RandomAffine(
            20, (0.1, 0.1), (0.8, 1.2), (-10, 10), interpolation=bilinear
        ),
        "color jitter": lambda: jitter,
        "cutout": lambda: v2.RandomErasing(),
        "RandAugment": lambda: v2.RandAugment(),
        "mixup": lambda: v2.MixUp(num_classes=10, alpha=0.2),
        "cutmix": lambda: v2.CutMix(num_classes=10),
        "resized crop, flip, jitter": lambda: v2.Compose([crop, v2.RandomHorizontalFlip(), jitter]),
    }[work]()


def torchvision_pass(work, *, workers):
    """A callable that augments BATCHES batches, by worker processes or, with 0, by threads."""
    import torch

    torch.set_num_threads(CORES)
    transform = torchvision_transform(work)
    pictures = torch.tensor(images(WORKS[work])).permute(0, 3, 1, 2).contiguous()
    if work in ("mixup", "cutmix"):
        whole = pictures.float() if work == "mixup" else pictures
        labels = torch.arange(BATCH) % 10
        return lambda: [transform(whole, labels) for _ in range(BATCHES)]
    if not workers:
        return lambda: [torch.stack([transform(x) for x in pictures]) for _ in range(BATCHES)]
    loader = torch.utils.data.DataLoader(
        Transformed(pictures, transform),
        batch_size=BATCH,
        num_workers=workers,
        persistent_workers=True,
    )
    return lambda: [None for _ in loader]


class Transformed:
    """A set of images as torch's DataLoader reads it, BATCHES times over."""

    def __init__(self, pictures, transform):
        self.pictures = pictures
        self.transform = transform

    def __len__(self):
        return BATCHES * len(self.pictures)

    def __getitem__(self, index):
        return self.transform(self.pictures[index % len(self.pictures)])


def serve(pipe, make, work):
    """A contestant's process: makes its pass, then runs it each time it is asked."""
    call = make(work)
    while pipe.recv():
        call()
        pipe.send(None)


@contextlib.contextmanager
def in_processes(makers, work):
    """Name -> callable that runs one pass in a process of its own, one for each maker."""
    context = multiprocessing.get_context("spawn")
    processes, pipes = [], {}
    for name, make in makers.items():
        pipes[name], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(theirs, make, work)))
        processes[-1].start()
    yield {name: functools.partial(ask, pipe) for name, pipe in pipes.items()}
    for pipe in pipes.values():
        pipe.send(False)
    for process in processes:
        process.join()


def ask(pipe):
    pipe.send(True)
    pipe.recv()


def main():
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"any of {', '.join(WORKS)}")
    options = parser.parse_args()
    makers = {"kerakit": kerakit_pass}
    if importlib.util.find_spec("torchvision"):
        makers["torchvision, threads"] = functools.partial(torchvision_pass, workers=0)
        makers["torchvision, workers"] = functools.partial(torchvision_pass, workers=CORES)
    else:
        print("torchvision is not installed: kerakit alone")
    comparisons = []
    for work in options.works or WORKS:
        in_batches = work in ("mixup", "cutmix")
        chosen = {n: m for n, m in makers.items() if not (in_batches and n.endswith("workers"))}
        with in_processes(chosen, work) as contestants:
            comparisons.append(alternate(work, contestants, rounds=options.rounds))
    for comparison in comparisons:
        rates = (
            f"{name} {BATCH * BATCHES / comparison.median(name):,.0f}"
            for name in comparison.seconds
        )
        print(f"{comparison.work}, images a second: {'; '.join(rates)}")
    report(comparisons, json_file=options.json, batch=BATCH, batches=BATCHES)


if __name__ == "__main__":
    main()
