"""Training step and inference of two-stage detectors beside torchvision's.

python -m benchmarks.detectors [--rounds 9] [--only maskrcnn_resnet50_fpn] [--json FILE]

Faster and Mask R-CNN over ResNet-50 with a feature pyramid, 2 images of 320 x 320, float32,
91 classes with background. Both sides have the same weights, drawn by name, and so make the same
proposals of the same images: 2,000 in training and 1,000 in inference, of which 100 become
detections (the number is printed), each with its mask. Fixed norms, 256 anchors and 512 boxes an
image in the loss, 5 objects an image; torchvision resizes nothing (min_size = max_size = 320).
Each contestant has a process of its own, as in `benchmarks.classifiers`.

- training step: `train_on_batch` without XLA; PyTorch the usual loop, its losses summed, the sum
  read at the end; SGD with momentum.
- inference: `predict_on_batch`; PyTorch's model in `eval()` under `no_grad`. torchvision pastes the
  masks into the image, which takes it some hundredths of a second here.

Not alike: kerakit's mask branch computes as many regions of each image as the image with most
objects has, torchvision's those that have an object; its number is printed.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import contextlib

import numpy as np

from benchmarks.alternate import alternate, command_line, report
from benchmarks.classifiers import INFERENCE, TRAINING, WORKS, contestant
from tests.golden import seeding

BATCH, SIZE, CLASSES, OBJECTS = 2, 320, 90, 5
RATE, MOMENTUM = 1e-5, 0.9
NETS = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn")
# Under plainly drawn weights the answer would be one class, as sure as can be.
SCALES = {
    "rpn.head.cls_logits.weight": 0.1,
    "rpn.head.bbox_pred.weight": 0.1,
    "roi_heads.box_predictor.bbox_pred.weight": 0.3,
    "roi_heads.box_predictor.cls_score.weight": 0.3,
}


def parameters(shapes):
    values = seeding.parameters(shapes)
    return {name: value * np.float32(SCALES.get(name, 1.0)) for name, value in values.items()}


def batch():
    """Pixels 0..255, (2, 5, 4) boxes, their classes and full masks."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (BATCH, SIZE // 20, SIZE // 20, 3))
    images = images.repeat(20, 1).repeat(20, 2).astype("float32")
    corner = generator.uniform(0, SIZE / 2, (BATCH, OBJECTS, 2))
    boxes = np.concatenate([corner, corner + generator.uniform(40, 150, corner.shape)], axis=-1)
    labels = generator.integers(0, CLASSES, (BATCH, OBJECTS))
    pixel = np.arange(SIZE) + 0.5
    across = (pixel > boxes[..., :1]) & (pixel < boxes[..., 2:3])
    down = (pixel > boxes[..., 1:2]) & (pixel < boxes[..., 3:])
    masks = across[..., None, :] & down[..., :, None]
    return images, boxes.astype("float32"), labels.astype("int32"), masks.astype("uint8")


def kerakit(name, work):
    import keras
    import tensorflow as tf

    from kerakit import weights
    from kerakit.models import detection

    model = getattr(detection, name)(input_shape=(SIZE, SIZE, 3), num_classes=CLASSES)
    weights.load_torchvision(model, parameters(shapes_of(model)))
    images, boxes, labels, _ = batch()
    images = tf.constant(images)
    model.compile(keras.optimizers.SGD(RATE, momentum=MOMENTUM), jit_compile=False)
    if work == INFERENCE:
        found = model.predict_on_batch(images)
        print("kerakit: detections", found["num_detections"].tolist())
        return lambda: model.predict_on_batch(images)
    # As `DetectionBatches` gives them: masks cropped to their boxes.
    targets = {
        "boxes": boxes,
        "labels": labels,
        "crowd": np.zeros(labels.shape, bool),
        "masks": np.ones((BATCH, OBJECTS, 112, 112), "uint8"),
        "example_id": np.arange(BATCH, dtype="int32"),
    }
    targets = {key: tf.constant(value) for key, value in targets.items()}
    return lambda: model.train_on_batch(images, targets)


def shapes_of(model):
    """PyTorch's names and shapes of a detector's parameters, from torchvision's own model."""
    import json

    from tests.golden.two_stage import golden

    return json.loads(str(golden(f"{model.name}.shapes")))


def torchvision(name, work):
    import torch
    import torchvision
    from torchvision.models import detection

    torch.set_num_threads(os.cpu_count())  # TensorFlow's default
    model = getattr(detection, name)(
        weights=None,
        weights_backbone=None,
        num_classes=CLASSES + 1,
        min_size=SIZE,
        max_size=SIZE,
    )
    _fix_norms(model, torch, torchvision)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    model.load_state_dict({k: torch.from_numpy(v) for k, v in parameters(shapes).items()})
    images, boxes, labels, masks = batch()
    images = list(torch.from_numpy(images / 255).movedim(-1, 1).contiguous())
    model.train(work == TRAINING)

    def answer():
        with torch.no_grad():
            return model(images)

    if work == INFERENCE:
        print("torchvision: detections", [len(found["labels"]) for found in answer()])
        return answer
    targets = [
        {
            "boxes": torch.from_numpy(boxes[i]),
            "labels": torch.from_numpy(labels[i]).long() + 1,
            "masks": torch.from_numpy(masks[i]),
        }
        for i in range(BATCH)
    ]
    if name.startswith("mask"):
        model.roi_heads.mask_head.register_forward_hook(
            lambda _, inputs, __: print(f"torchvision: {len(inputs[0])} masks", flush=True)
        )
    parameters_ = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters_, lr=RATE, momentum=MOMENTUM)

    def step():
        optimizer.zero_grad()
        loss = sum(model(images, targets).values())
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _fix_norms(module, torch, torchvision):
    for name, child in module.named_children():
        if isinstance(child, torch.nn.BatchNorm2d):
            setattr(module, name, torchvision.ops.FrozenBatchNorm2d(child.num_features))
        else:
            _fix_norms(child, torch, torchvision)


def main():
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--only", choices=NETS, help="one net")
    parser.add_argument("--work", choices=WORKS, help="one kind of work")
    options = parser.parse_args()
    comparisons = []
    for name in [options.only] if options.only else NETS:
        for work in [options.work] if options.work else WORKS:
            with contextlib.ExitStack() as stack:
                contestants = {
                    peer.__name__: stack.enter_context(contestant(peer, name, work))
                    for peer in (kerakit, torchvision)
                }
                label = f"{name}, {work}"
                comparisons.append(alternate(label, contestants, rounds=options.rounds, warmup=1))
    load, *_ = os.getloadavg()
    print(f"{BATCH} x {SIZE} x {SIZE} x 3, {os.cpu_count()} cores, load {load:.1f} at the end")
    report(comparisons, json_file=options.json, batch=BATCH, size=SIZE, load=load)


if __name__ == "__main__":
    main()
