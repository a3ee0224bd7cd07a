"""A small Mask R-CNN trained by kerakit and by torchvision, on the same images, for as many steps.

python -m benchmarks.mask_rcnn_training --data coco:DIR --weights FILE [--steps 300] [--seed 0]

Both: MobileNetV2 with torchvision's ImageNet weights and fixed norms, a pyramid of 64 filters, a
box head of 256 units, a mask head of 64 filters, the same anchors, numbers of proposals and
samples, images of 384 x 384 from the same file, each over its brightest pixel and then ImageNet's
statistics, batches of 2, flips both ways, AdamW with the same falling rate. Each side is a process
of its own, one after the other; counted is the wall time from its first line to its last step,
imports and tracing included, evaluation left out. Both are scored by the same metric on the masks
in original pixels.

Not alike: the order of the images and the draws of flips and samples; kerakit's time has the
reading and checking of the set in it, torchvision gets images and masks as arrays. kerakit trains
as `recipes.detect nuclei` does, without its validation after each epoch.

On two cores, nothing else running, 600 steps, seeds 0, 1 and 2 (2026-11-24 and 28; the second on a
slower machine): kerakit 203, 318 and 244 s, mask mAP@50 0.833, 0.823 and 0.832; torchvision 251,
420 and 294 s, 0.822, 0.823 and 0.822. 300 steps, seed 0: kerakit 116 s, 0.779, torchvision 126 s,
0.780.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import importlib.util
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZE, BATCH = 384, 2
ANCHORS = (12, 24, 48, 96, 192)
RATE, DECAY, WARM_UP = 5e-4, 1e-4, 100
PRE_NMS, POST_NMS, ANCHOR_SAMPLES, BOX_SAMPLES = (500, 300), (300, 150), 128, 64


def rate_at(step, steps):
    """A rise over `WARM_UP` steps, then a cosine to a hundredth."""
    falling = 0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2
    return RATE * falling * min(1.0, (step + 1) / WARM_UP)


def kerakit(arguments, start):
    import keras

    from kerakit import augment, data, weights
    from kerakit.models.detection import maskrcnn_mobilenet_v2_fpn
    from kerakit.runs import validation_of

    keras.utils.set_random_seed(arguments.seed)
    images = data.load(arguments.data, task="instance_segmentation")
    preparation = data.Preparation(height=SIZE, width=SIZE)
    model = maskrcnn_mobilenet_v2_fpn(
        input_shape=(SIZE, SIZE, 3),
        num_classes=len(images.classes),
        normalization="image_max_imagenet",
        anchor_sizes=tuple((side,) for side in ANCHORS),
        pre_nms=PRE_NMS,
        post_nms=POST_NMS,
        anchor_samples=ANCHOR_SAMPLES,
        box_samples=BOX_SAMPLES,
    )
    weights.load_torchvision(model.backbone, arguments.weights, skip=("classifier.",))
    batches = data.DetectionBatches(
        images.train_source, preparation, batch_size=BATCH, seed=arguments.seed,
        augment=augment.RandomFlip(vertical=True),
    )  # fmt: skip
    validation, metrics = validation_of(
        images, preparation, batch_size=BATCH, max_detections=model.max_detections
    )

    class Rate(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = rate_at(batch, arguments.steps)

    optimizer = keras.optimizers.AdamW(RATE, weight_decay=DECAY, global_clipnorm=10.0)
    model.compile(optimizer, metrics=metrics())
    model.fit(
        batches.starting_at(0), steps_per_epoch=arguments.steps, callbacks=[Rate()], verbose=2
    )
    seconds = time.time() - start
    figures = model.evaluate(validation, return_dict=True, verbose=0)
    return seconds, {name: float(figures[f"mask_{name}"]) for name in ("mAP", "mAP@50")}


def torchvision(arguments, start):
    import torch
    from torchvision.models import mobilenet_v2
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import BackboneWithFPN
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
    from torchvision.ops import FrozenBatchNorm2d

    torch.manual_seed(arguments.seed)
    draw = np.random.default_rng(arguments.seed)
    stored = np.load(arguments.stored)
    classes = int(stored["classes"])
    trained = mobilenet_v2(norm_layer=FrozenBatchNorm2d)
    state = {name: torch.tensor(value) for name, value in np.load(arguments.weights).items()}
    wanted = trained.state_dict()
    trained.load_state_dict({name: value for name, value in state.items() if name in wanted})
    backbone = BackboneWithFPN(
        trained.features, {"3": "0", "6": "1", "13": "2", "18": "3"}, [24, 32, 96, 1280], 64
    )
    model = MaskRCNN(
        backbone,
        min_size=SIZE,
        max_size=SIZE,
        rpn_anchor_generator=AnchorGenerator(
            tuple((side,) for side in ANCHORS), ((0.5, 1.0, 2.0),) * len(ANCHORS)
        ),
        box_head=TwoMLPHead(64 * 49, 256),
        box_predictor=FastRCNNPredictor(256, classes + 1),
        mask_head=MaskRCNNHeads(64, (64,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(64, 64, classes + 1),
        rpn_pre_nms_top_n_train=PRE_NMS[0],
        rpn_pre_nms_top_n_test=PRE_NMS[1],
        rpn_post_nms_top_n_train=POST_NMS[0],
        rpn_post_nms_top_n_test=POST_NMS[1],
        rpn_batch_size_per_image=ANCHOR_SAMPLES,
        box_batch_size_per_image=BOX_SAMPLES,
    )
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)

    def pixels(part, index):
        image = torch.tensor(stored[f"{part}_{index}_image"]).permute(2, 0, 1).float()
        return image / image.max().clamp(min=1)

    def example(index):
        image, boxes = pixels("train", index), torch.tensor(stored[f"train_{index}_boxes"])
        masks = torch.tensor(stored[f"train_{index}_masks"])
        height, width = image.shape[1:]
        if draw.random() < 0.5:
            image, masks = image.flip(2), masks.flip(2)
            boxes = torch.stack(
                [width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1
            )
        if draw.random() < 0.5:
            image, masks = image.flip(1), masks.flip(1)
            boxes = torch.stack(
                [boxes[:, 0], height - boxes[:, 3], boxes[:, 2], height - boxes[:, 1]], 1
            )
        labels = torch.tensor(stored[f"train_{index}_labels"]).long() + 1
        return image, {"boxes": boxes, "labels": labels, "masks": masks}

    count, order = int(stored["train"]), []
    model.train()
    for step in range(arguments.steps):
        if len(order) < BATCH:
            order = list(draw.permutation(count))
        images, targets = zip(*(example(order.pop()) for _ in range(BATCH)), strict=True)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, arguments.steps)
        losses = model(list(images), list(targets))
        loss = sum(losses.values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        if step % 20 == 0:
            print(f"step {step}: loss {float(loss):.3f}, {time.time() - start:.0f} s", flush=True)
    seconds = time.time() - start
    model.eval()
    found = {}
    with torch.no_grad():
        for index in range(int(stored["val"])):
            (answer,) = model([pixels("val", index)])
            found[f"{index}_boxes"] = answer["boxes"].numpy()
            found[f"{index}_scores"] = answer["scores"].numpy()
            found[f"{index}_classes"] = answer["labels"].numpy() - 1
            found[f"{index}_masks"] = answer["masks"][:, 0].numpy() >= 0.5
    np.savez_compressed(arguments.found, **found)
    return seconds, {}


def store(images, path):
    """Writes the images and their objects for a process that has no kerakit."""
    stored = {"classes": len(images.classes)}
    for part, source in (("train", images.train_source), ("val", images.val_source)):
        stored[part] = source.size
        for index, example in enumerate(source.dataset()):
            stored[f"{part}_{index}_image"] = example["image"].numpy()
            if part == "train":
                found = {name: value.numpy() for name, value in source.objects.of(index).items()}
                number = len(found["labels"])
                masks = source.objects.full_masks(
                    np.array([index]), max_boxes=max(number, 1), size=example["image"].shape[:2]
                )
                stored[f"{part}_{index}_masks"] = np.asarray(masks)[0, :number]
                stored[f"{part}_{index}_boxes"] = found["boxes"]
                stored[f"{part}_{index}_labels"] = found["labels"]
    np.savez(path, **stored)


def scored(images, path):
    """The metric on what torchvision's side found."""
    from kerakit.metrics import MeanAveragePrecision

    objects, found = images.val_source.objects, np.load(path)
    rows, size = 100, objects.largest_size
    metric = MeanAveragePrecision(
        len(images.classes), len(objects.sizes), iou_type="segm", mask_size=size,
        max_boxes=objects.largest_count, max_detections=rows,
    )  # fmt: skip
    for index in range(len(objects.sizes)):
        ids = np.array([index])
        masks = objects.full_masks(ids, max_boxes=objects.largest_count, size=size)
        truth = {**objects.padded(ids, objects.largest_count), "example_id": ids, "masks": masks}
        number = len(found[f"{index}_scores"])
        boxes, scores, classes = np.zeros((1, rows, 4)), np.zeros((1, rows)), np.full((1, rows), -1)
        masks = np.zeros((1, rows, *size), bool)
        boxes[0, :number], scores[0, :number] = found[f"{index}_boxes"], found[f"{index}_scores"]
        classes[0, :number] = found[f"{index}_classes"]
        own = found[f"{index}_masks"]
        masks[0, :number, : own.shape[1], : own.shape[2]] = own
        metric.update_state(
            truth, {"boxes": boxes, "scores": scores, "classes": classes, "masks": masks}
        )
    figures = metric.result()
    return {name: float(figures[name]) for name in ("mAP", "mAP@50")}


SIDES = {"kerakit": kerakit, "torchvision": torchvision}


def main():
    start = time.time()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="coco:DIR with masks")
    parser.add_argument("--weights", required=True, help="MobileNetV2 of torchvision, .npz")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=tuple(SIDES), help="one side")
    parser.add_argument("--json", help="write the figures there too")
    for hidden in ("--side", "--stored", "--found", "--answer"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        seconds, figures = SIDES[arguments.side](arguments, start)
        Path(arguments.answer).write_text(json.dumps({"seconds": seconds, **figures}))
        return
    results = {}
    for side in [arguments.only] if arguments.only else SIDES:
        if importlib.util.find_spec("torch" if side == "torchvision" else "keras") is None:
            print(f"{side}: not installed, skipped")
            continue
        with tempfile.TemporaryDirectory() as folder:
            given = [f"--{name}={Path(folder, name)}" for name in ("stored", "found", "answer")]
            if side == "torchvision":
                from kerakit.data import load

                images = load(arguments.data, task="instance_segmentation")
                store(images, Path(folder, "stored.npz"))
                given[0] += ".npz"
            given[1] += ".npz"
            command = [sys.executable, "-m", "benchmarks.mask_rcnn_training", "--side", side]
            command += ["--data", arguments.data, "--weights", arguments.weights]
            command += [f"--steps={arguments.steps}", f"--seed={arguments.seed}"]
            subprocess.run([*command, *given], check=True)
            results[side] = json.loads(Path(folder, "answer").read_text())
            if side == "torchvision":
                results[side] |= scored(images, Path(folder, "found.npz"))
    print(f"{arguments.steps} steps of {BATCH} images, seed {arguments.seed}")
    for side, result in results.items():
        print(
            f"{side:<12} {result['seconds']:8.0f} s   mask mAP@50 {result['mAP@50']:.3f}   "
            f"mask mAP {result['mAP']:.3f}"
        )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
