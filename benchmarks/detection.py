"""Detection's operations beside torchvision's.

python -m benchmarks.detection [--rounds 9] [--only align] [--json FILE]

RoI align of 1024 boxes on 2 x 80 x 80 x 256, 7 x 7 bins of 2 x 2 samples, forward, and forward
with the gradient of the features; non-maximum suppression of 5,000 boxes at IoU 0.7, at most 1,000
kept. Under `tf.function`, as on a CPU, where Keras leaves XLA off, and compiled by XLA. torchvision
keeps all that it finds; the boxes are of two kinds, as its time goes with their number: around 60
objects, as a proposal network makes them, and anywhere.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# PyTorch first: imported after TensorFlow it ends the process (torch 2.14, TensorFlow 2.21).
# isort: off
import torch
import torchvision
import keras
import numpy as np
import tensorflow as tf

# isort: on

from benchmarks.alternate import alternate, command_line, report
from kerakit import ops

FEATURES, BINS, SAMPLES, SCALE = (2, 80, 80, 256), 7, 2, 1 / 8
NUM_BOXES, IMAGE_SIDE = 1024, 640
CANDIDATES, KEPT, IOU = 5000, 1000, 0.7


def drawn_boxes(generator, count, kind):
    """(count, 4) in an image of 640 x 640."""
    if kind == "around objects":
        middle, side = (
            generator.uniform(0, IMAGE_SIDE, (60, 2)),
            generator.uniform(20, 250, (60, 2)),
        )
        one = generator.integers(0, 60, count)
        middle = middle[one] + generator.normal(size=(count, 2)) * side[one] * 0.15
        side = side[one] * np.exp(generator.normal(size=(count, 2)) * 0.2)
    else:
        middle = generator.uniform(0, IMAGE_SIDE, (count, 2))
        side = generator.uniform(16, 300, (count, 2))
    boxes = np.concatenate([middle - side / 2, middle + side / 2], axis=1)
    return boxes.clip(0, IMAGE_SIDE).astype("float32")


def forms(function, *arrays):
    """The function on TensorFlow's kernels and by XLA, without arguments."""
    tensors = tuple(map(tf.constant, arrays))
    graph = tf.function(function, jit_compile=False)
    compiled = tf.function(function, jit_compile=True)

    def call(run):
        return lambda: keras.tree.map_structure(np.asarray, run(*tensors))

    return {"kernels": call(graph), "XLA": call(compiled)}


def compare_align(options):
    generator = np.random.default_rng(0)
    features = generator.standard_normal(FEATURES).astype("float32")
    boxes = drawn_boxes(generator, NUM_BOXES, "anywhere").reshape(2, -1, 4)
    slopes = generator.standard_normal((2, NUM_BOXES // 2, BINS, BINS, FEATURES[-1]))
    slopes = slopes.astype("float32")
    maps = torch.tensor(features).movedim(-1, 1).contiguous().requires_grad_()
    their_boxes = [torch.tensor(x) for x in boxes]
    their_slopes = torch.tensor(slopes).flatten(0, 1).movedim(-1, 1).contiguous()

    def align(features, boxes):
        return ops.roi_align(features, boxes, output_size=BINS, scale=SCALE, sampling_ratio=SAMPLES)

    def step(features, boxes, slopes):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = align(features, boxes)
        return pooled[0, 0], tape.gradient(pooled, features, slopes)

    def their_align():
        return torchvision.ops.roi_align(maps, their_boxes, BINS, SCALE, SAMPLES)

    def their_forward():
        with torch.no_grad():
            return their_align()

    def their_step():
        maps.grad = None
        their_align().backward(their_slopes)

    work = {
        "forward": (forms(align, features, boxes), their_forward),
        "forward and backward": (forms(step, features, boxes, slopes), their_step),
    }
    for name, (ours, theirs) in work.items():
        for form, call in ours.items():
            if options.form in (None, form):
                contestants = {"kerakit": call, "torchvision": theirs}
                yield alternate(
                    f"RoI align, {form}, {name}", contestants, rounds=options.rounds, warmup=1
                )


def compare_suppression(options):
    generator = np.random.default_rng(1)
    for kind in ("around objects", "anywhere"):
        boxes = drawn_boxes(generator, CANDIDATES, kind)
        scores = generator.uniform(size=CANDIDATES).astype("float32")
        theirs = tuple(map(torch.tensor, (boxes, scores)))

        def their_suppression(theirs=theirs):
            return torchvision.ops.nms(*theirs, IOU)

        found = their_suppression().numpy()

        def suppress(boxes, scores):
            return ops.non_max_suppression(boxes, scores, iou_threshold=IOU, max_output=KEPT)

        for form, call in forms(suppress, boxes[None], scores[None]).items():
            if options.form in (None, form):
                assert np.array_equal(call()[0][0], found[:KEPT]), "they differ"
                yield alternate(
                    f"NMS, {form}, boxes {kind}, {len(found)} kept",
                    {"kerakit": call, "torchvision": their_suppression},
                    rounds=options.rounds,
                    calls=3,
                )


def main():
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["align", "suppression"], help="one operation")
    parser.add_argument("--form", choices=["kernels", "XLA"], help="one form of kerakit's")
    options = parser.parse_args()
    tables = {"align": compare_align, "suppression": compare_suppression}
    comparisons = [
        comparison
        for name in ([options.only] if options.only else tables)
        for comparison in tables[name](options)
    ]
    versions = {"tensorflow": tf.__version__, "torchvision": torchvision.__version__}
    report(comparisons, json_file=options.json, versions=versions)


if __name__ == "__main__":
    main()
