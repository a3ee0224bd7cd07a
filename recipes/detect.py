"""Object detection and instance segmentation: what is where in an image, scored by mAP.

Expect, on two busy CPU cores, 2026-11-24, for images held out: blood-cells mAP@50 0.881, mAP
0.555 (14 minutes of training); nuclei mask mAP@50 0.832, mask mAP 0.434 (12 minutes):
    python -m recipes.detect nuclei --data coco:DIR --weights mobilenet_v2-b0353104.pth

Your own images, with COCO's, VOC's or YOLO's annotations in DIR:
    python -m recipes.detect folder --data coco:DIR --model yolo_n

A run writes runs/<name>/, and goes on when it was stopped and the same command is given again.
"""

from dataclasses import dataclass
from typing import Literal

import keras

import kerakit
from kerakit import augment, training
from kerakit.errors import one_sentence


@dataclass(frozen=True, kw_only=True)
class Config:
    data: str = "digit-scenes"
    """What to learn from: digit-scenes, coco:DIR, voc:DIR, yolo:DIR or tfds:NAME."""
    model: str = "yolo_n"
    """Architecture: a builder of kerakit.models.detection; maskrcnn_... needs masks."""
    width: float | None = None
    """Factor on the network's filters; a smaller one trains faster."""
    normalization: Literal["imagenet", "image_max", "image_max_imagenet"] | None = "imagenet"
    """First layer: ImageNet's statistics, each image over its brightest pixel, or both."""
    weights: str = ""
    """Backbone of an R-CNN: a file of torchvision's classifier; none: from random weights."""
    anchors: tuple[float, ...] = ()
    """Sides in pixels of an R-CNN's anchors, one a level and one more; none: the builder's."""
    size: tuple[int, int] = (320, 320)
    """Rows and columns of the image that the network sees; divisible by 32."""
    fit: Literal["stretch", "letterbox"] = "letterbox"
    """How an image of another shape comes to that size."""
    mosaic: float = 0.0
    """Augmentation: part of the images that are put together from four."""
    jitter: float = 1.0
    """Augmentation: smallest scale of an image, the largest being its inverse; 1: none."""
    flip: Literal["none", "horizontal", "both"] = "none"
    """Augmentation: mirror half of the images, upside down too."""
    color: float = 0.0
    """Augmentation: largest change of brightness, contrast and saturation, as a part."""
    plain_epochs: int = 0
    """Last epochs without mosaic."""
    epochs: int = 30
    """Passes over the training images."""
    batch_size: int = 16
    """Images a step."""
    accumulate: int = 1
    """Steps whose gradients are averaged for one update, as of a batch so many times as large."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum, or AdamW."""
    learning_rate: float = 0.01
    """Rate at its highest, after the warm-up."""
    warmup_epochs: float = 1.0
    """Epochs over which the rate rises from 0."""
    schedule: Literal["cosine", "step", "exponential", "inverse-time", "constant"] = "cosine"
    """How the rate falls after that; each but constant to about a hundredth."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 5e-4
    """Weight decay: coupled in SGD, a part of the rate in AdamW."""
    clip_norm: float = 10.0
    """Clip gradients to this global norm, and log it; 0: no clipping."""
    ema: float = 0.0
    """Evaluate and export the weights' running average with this momentum; 0: the weights."""
    patience: int = 0
    """Stop after so many epochs in a row of rising validation loss; 0: never."""
    keep: Literal["best", "last"] = "best"
    """Weights to export: of the best epoch on the validation images, or of the last one."""
    val_fraction: float = 0.2
    """Part held out where the data have no validation part of their own."""
    group_by: str = ""
    """voc:DIR: regular expression; files of which it finds the same text are held out together."""
    skip_bad: bool = False
    """Leave out what is bad in the data, instead of stopping."""
    init: str = ""
    """A .keras or .weights.h5 file of the same network to start from."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """What layers compute in while they learn; the export computes in float32 always."""
    devices: Literal["auto", "cpu", "mirrored", "multiworker", "tpu"] = "auto"
    """Where to train; the batch, of the same size everywhere, is shared by all replicas."""
    workers: int = 1
    """Processes on this machine that train together."""
    jit: bool = False
    """Compile with XLA."""
    save_every: float = 60.0
    """Seconds between two saves of the run's state; 0: after each step."""
    seed: int = 0
    """Seed of weights, order, sampling and augmentation."""
    workdir: str = "runs"
    """Folder of the runs."""
    name: str = ""
    """Name of the run; by default made from the data."""


# fmt: off
PRESETS = {
    "scenes": (
        "Embedded digits, composed into scenes; minutes.",
        Config(size=(96, 96), normalization="image_max", epochs=20),
    ),
    "folder": ("Images of your own: add --data coco:DIR.", Config(data="coco:images")),
    "blood-cells": (
        "Blood cells by YOLO, from random weights: add --data coco:DIR.",
        # The cells held out choose nothing (keep), so that the figure on them is fair.
        Config(data="coco:blood-cells", mosaic=0.5, plain_epochs=5, jitter=0.75, flip="both",
               color=0.3, epochs=25, batch_size=8, optimizer="adamw", learning_rate=2e-3,
               weight_decay=0.05, ema=0.99, keep="last"),
    ),
    "nuclei": (
        "Nuclei of cells and their masks, by Mask R-CNN: add --data coco:DIR --weights FILE.",
        Config(data="coco:nuclei", model="maskrcnn_mobilenet_v2_fpn", size=(384, 384),
               normalization="image_max_imagenet", anchors=(12, 24, 48, 96, 192), flip="both",
               batch_size=2, epochs=6, optimizer="adamw", learning_rate=5e-4, weight_decay=1e-4,
               weights="mobilenet_v2-b0353104.pth", keep="last"),
    ),
    "coco": (
        "Faster R-CNN with ResNet-50 by the recipe of torchvision's weights (37.0); not run here.",
        # Theirs: 16 images a step. Deviation: one size for all images.
        Config(data="coco:coco", model="fasterrcnn_resnet50_fpn", weights="resnet50-0676ba61.pth",
               size=(800, 800), flip="horizontal", epochs=26, batch_size=16, learning_rate=0.02,
               schedule="step", weight_decay=1e-4),
    ),
}
# fmt: on


def train(config):
    check(config)
    place = training.Place(config.devices, config.precision)
    keras.utils.set_random_seed(config.seed)
    task = "instance_segmentation" if config.model.startswith("maskrcnn") else "detection"
    data = kerakit.runs.load_data(config, task=task)
    preparation = kerakit.data.Preparation(
        height=config.size[0], width=config.size[1], fit=config.fit
    )
    batches = training_batches(config, data, preparation)
    model = place.made(build, config, len(data.classes))
    if config.weights:
        kerakit.runs.load_backbone(config.weights, model)
    if config.init:
        training.start_from(config.init, model)
    validation, metrics = kerakit.runs.validation_of(
        data, preparation, batch_size=config.batch_size, max_detections=model.max_detections
    )
    with place.scope():
        model.compile(
            training.optimizer_of(config, steps_per_epoch=batches.steps_per_epoch),
            metrics=metrics(),
            # Keras's choice is XLA on a GPU and none on a CPU, where it is slower.
            jit_compile=True if config.jit else "auto",
        )  # fmt: skip

    # Only now that all is in order does a run begin.
    name = config.name or f"detect-{kerakit.runs.place(config.data)}"
    monitor = "val_mask_mAP" if task == "instance_segmentation" else "val_mAP"
    run = kerakit.runs.Run(config, name=name, data=data, monitor=monitor)
    run.introduce(config.model, model)
    training.fit(
        model, batches, epochs=config.epochs, state=run.state, save_every=config.save_every,
        validation=validation, callbacks=run.callbacks(),
    )  # fmt: skip
    model = place.plain(model)
    return kerakit.runs.finish_detector(
        run, model, recipe="detect", data=data, preparation=preparation,
        batch_size=config.batch_size, keep=config.keep,
    )  # fmt: skip


def build(config, num_classes):
    # From random weights norms learn; the statistics of a pretrained backbone stay.
    return kerakit.runs.build_detector(
        config.model,
        input_shape=(*config.size, 3),
        num_classes=num_classes,
        normalization=config.normalization,
        optional={"width": config.width},
        of_rcnn={
            "freeze_norms": bool(config.weights),
            "anchor_sizes": tuple((side,) for side in config.anchors) or None,
            "seed": config.seed,
        },
    )


def training_batches(config, data, preparation):
    def batches(*transforms, max_boxes=None):
        if config.jitter < 1:
            transforms += (augment.ScaleJitter(scale=(config.jitter, 1 / config.jitter)),)
        if config.flip != "none":
            transforms += (augment.RandomFlip(vertical=config.flip == "both"),)
        if config.color:
            change = dict.fromkeys(("brightness", "contrast", "saturation"), config.color)
            transforms += (augment.ColorJitter(**change),)
        return kerakit.data.DetectionBatches(
            data.train_source, preparation, batch_size=config.batch_size, seed=config.seed,
            augment=augment.chain(*transforms) if transforms else None, max_boxes=max_boxes,
        )  # fmt: skip

    plain = batches()
    if not config.mosaic:
        return plain
    rows = 2 * plain.max_boxes  # a mosaic shows the objects of four images, smaller or in part
    return kerakit.data.BatchesInTurn(
        batches(augment.Mosaic(probability=config.mosaic, max_boxes=rows)),
        batches(max_boxes=rows),
        from_epoch=config.epochs - config.plain_epochs,
    )


def check(config):
    one = "epochs batch_size accumulate workers"
    zero = "seed weight_decay clip_norm warmup_epochs momentum plain_epochs mosaic color ema"
    zero += " save_every patience"
    kerakit.runs.require(
        config,
        at_least=dict.fromkeys(one.split(), 1) | dict.fromkeys(zero.split(), 0),
        above=dict.fromkeys(("learning_rate", "val_fraction", "width", "jitter"), 0),
        at_most={"width": 16, "seed": 2**31 - 1, "plain_epochs": config.epochs}
        | dict.fromkeys(("color", "mosaic", "jitter"), 1),
        below=dict.fromkeys(("momentum", "val_fraction", "ema"), 1),
    )
    kerakit.runs.require_size(config)


def main():
    with one_sentence():
        config = kerakit.runs.parse_settings(PRESETS, __doc__, prog="python -m recipes.detect")
        training.on_workers(train, config)


if __name__ == "__main__":
    main()
