"""Augmented images a second, beside torchvision's transforms.v2 on the same images.

    python -m benchmarks.augment [--rounds 9] [--json FILE] [WORK ...]

Each side reads uint8 images from memory, draws parameters for each image, and gives whole batches
of 64 at 224 x 224, in a process of its own. torchvision runs in its faster way, found by trial: a
loop over the images with a thread a core, or a DataLoader with a worker a core. Mixing works on
whole batches; torchvision draws once a batch there, and mixes float32 only.
"""

import contextlib
import functools
import importlib.util
import multiprocessing
import os

import numpy as np

from benchmarks.alternate import alternate, command_line, report

BATCH, SIZE, LARGE = 64, 224, 320
CORES = os.cpu_count() or 1
# Work -> side of the images it begins with, batches a pass (about half a second).
WORKS = {
    "flip": (SIZE, 48),
    "crop": (LARGE, 48),
    "resized crop": (LARGE, 16),
    "affine": (SIZE, 12),
    "color jitter": (SIZE, 4),
    "cutout": (SIZE, 48),
    "RandAugment": (SIZE, 8),
    "mixup": (SIZE, 24),
    "cutmix": (SIZE, 48),
    "resized crop, flip, jitter": (LARGE, 4),
}


def images(work):
    side = WORKS[work][0]
    return np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), dtype=np.uint8)


def kerakit_pass(work):
    """A callable that augments a pass's batches in tf.data."""
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
    batch = {"image": tf.constant(images(work)), "label": tf.range(BATCH) % 10}

    def augmented(step):
        return transform(batch, tf.random.experimental.stateless_fold_in((0, 1), step))

    dataset = tf.data.Dataset.range(WORKS[work][1]).map(
        augmented, num_parallel_calls=tf.data.AUTOTUNE
    )
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
    """A callable that augments a pass's batches, by worker processes or, with 0, by threads."""
    import torch

    torch.set_num_threads(CORES)
    transform, batches = torchvision_transform(work), range(WORKS[work][1])
    pictures = torch.tensor(images(work)).permute(0, 3, 1, 2).contiguous()
    if work in ("mixup", "cutmix"):
        whole = pictures.float() if work == "mixup" else pictures
        labels = torch.arange(BATCH) % 10
        return lambda: [transform(whole, labels) for _ in batches]
    if not workers:
        return lambda: [torch.stack([transform(x) for x in pictures]) for _ in batches]
    loader = torch.utils.data.DataLoader(
        Transformed(pictures, transform, len(batches)),
        batch_size=BATCH,
        num_workers=workers,
        persistent_workers=True,
    )
    return lambda: [None for _ in loader]


class Transformed:
    """A set of images as torch's DataLoader reads it, several times over."""

    def __init__(self, pictures, transform, times):
        self.pictures = pictures
        self.transform = transform
        self.times = times

    def __len__(self):
        return self.times * len(self.pictures)

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


def fastest(makers, work):
    """Name of the maker whose pass takes least, of three after a first one."""
    if len(makers) == 1 or work in ("mixup", "cutmix"):
        return next(iter(makers))
    with in_processes(makers, work) as contestants:
        trial = alternate(work, contestants, rounds=3, warmup=1)
    return min(trial.seconds, key=trial.median)


def compared(work, rounds):
    """A `Comparison` of kerakit and torchvision, or of kerakit alone."""
    makers = {"kerakit": kerakit_pass}
    if importlib.util.find_spec("torchvision"):
        ways = {
            "torchvision, threads": functools.partial(torchvision_pass, workers=0),
            "torchvision, workers": functools.partial(torchvision_pass, workers=CORES),
        }
        way = fastest(ways, work)
        makers[way] = ways[way]
    with in_processes(makers, work) as contestants:
        return alternate(work, contestants, rounds=rounds)


def main():
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"any of {', '.join(WORKS)}")
    options = parser.parse_args()
    # Threads that wait by spinning would take the processor from those that work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not importlib.util.find_spec("torchvision"):
        print("torchvision is not installed: kerakit alone")
    comparisons = []
    for work in options.works or WORKS:
        comparisons.append(compared(work, options.rounds))
        count = BATCH * WORKS[work][1]
        rates = {name: count / comparisons[-1].median(name) for name in comparisons[-1].seconds}
        text = "; ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
        print(f"{work}, images a second: {text}", flush=True)
    report(comparisons, json_file=options.json, batch=BATCH)


if __name__ == "__main__":
    main()
