"""Detection in regions that selective search proposes: Fast R-CNN, and R-CNN before it.

Your own images, with COCO's, VOC's or YOLO's annotations in DIR, and torchvision's weights:
    python -m recipes.detect_regions folder --data coco:DIR --weights mobilenet_v2-b0353104.pth
    python -m recipes.detect_regions folder --data coco:DIR --model rcnn --weights ...

fast_rcnn  the network sees an image once; its features are pooled for each region. One training.
rcnn       each region is cut out, warped and seen for itself. Three trainings: the network as a
           classifier of regions, then for each class a linear SVM on the features of all regions,
           and a regression of boxes. Dozens of times as many pixels go through the network.

Regions are searched once a set of images and kept (extra: proposals). What is exported elsewhere
is here left out: a server would have to search too. `recipes.detect` has the detectors that
propose for themselves. A run writes runs/<name>/: log, curves, precision over recall, predictions
beside the truth and a report. Stopped, it goes on when the same command is given again.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np

import kerakit
from kerakit import augment, training
from kerakit.data import source_proposals
from kerakit.errors import one_sentence
from kerakit.metrics.detection_metrics import detection_metrics
from kerakit.models import classification, detection
from kerakit.models.detection import (
    RegionClassifier,
    fit_box_regression,
    fit_svms,
    region_table,
)

TAPS = {"fast_rcnn": "features_13_add", "rcnn": "avgpool"}


@dataclass(frozen=True, kw_only=True)
class Config:
    data: str = "coco:images"
    """What to learn from: coco:DIR, voc:DIR, yolo:DIR or digit-scenes."""
    model: Literal["fast_rcnn", "rcnn"] = "fast_rcnn"
    """See above; both over MobileNetV2."""
    weights: str = ""
    """Its weights to start from: a file of torchvision; none: random ones."""
    size: tuple[int, int] = (256, 320)
    """Rows and columns of the image that the network sees; divisible by 32."""
    crop: int = 96
    """rcnn: side in pixels of a warped region."""
    proposals: int = 500
    """Regions an image."""
    quality: Literal["single", "fast", "quality"] = "fast"
    """How thoroughly selective search looks."""
    images: int = 0
    """Learn from so many of the images, the first ones; 0: from all."""
    flip: bool = True
    """Augmentation: mirror half of the images."""
    epochs: int = 10
    """Passes over the training images; of rcnn in its first training."""
    batch_size: int = 4
    """Images a step."""
    learning_rate: float = 5e-4
    """Rate of Adam at its highest, before it falls by a cosine."""
    svm_epochs: int = 20
    """rcnn: passes over the features of all regions for the SVMs."""
    val_fraction: float = 0.2
    """Part held out where the data have no validation part of their own."""
    group_by: str = ""
    """voc:DIR: regular expression; files of which it finds the same text are held out together."""
    skip_bad: bool = False
    """Leave out what is bad in the data, instead of stopping."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """What layers compute in while they learn by steps; rcnn's SVMs learn, and all is judged, in
    float32."""
    devices: Literal["auto", "cpu", "mirrored", "multiworker", "tpu"] = "auto"
    """Where to train; the batch, of the same size everywhere, is shared by all replicas. Regions
    are searched, and rcnn's SVMs learn, on one device."""
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
    "folder": ("Images of your own: add --data coco:DIR.", Config()),
    "blood-cells": (
        "Blood cells by Fast R-CNN: add --data coco:DIR --weights FILE.",
        Config(data="coco:blood-cells", weights="mobilenet_v2-b0353104.pth"),
    ),
    "blood-cells-rcnn": (
        "A part of the blood cells by R-CNN: add --data coco:DIR --weights FILE.",
        Config(data="coco:blood-cells", weights="mobilenet_v2-b0353104.pth", model="rcnn",
               images=60, proposals=250, epochs=8, learning_rate=3e-4),
    ),
}
# fmt: on


def train(config):
    check(config)
    place = training.Place(config.devices, config.precision)
    keras.utils.set_random_seed(config.seed)
    data = kerakit.runs.load_data(config, task="detection")
    if config.images:
        data = dataclasses.replace(data, train_source=data.train_source.first(config.images))
    if config.weights:
        kerakit.runs.require_weights(config.weights)
    preparation = kerakit.data.Preparation(
        height=config.size[0], width=config.size[1], fit="letterbox"
    )
    model = place.made(build, config, len(data.classes))
    workers = training.Workers(model)
    regions = [search(config, source, workers) for source in (data.train_source, data.val_source)]
    batches = kerakit.data.ProposalBatches(
        data.train_source, preparation, proposals=regions[0], batch_size=config.batch_size,
        seed=config.seed, augment=augment.RandomFlip() if config.flip else None,
    )  # fmt: skip
    validation = kerakit.data.proposal_evaluation_batches(
        data.val_source, preparation, proposals=regions[1], batch_size=config.batch_size
    )

    def metrics(per_class):
        return detection_metrics(
            data.val_source.objects, data.classes, per_class=per_class,
            max_boxes=validation.element_spec[1]["boxes"].shape[1],
            max_detections=model.max_detections,
        )  # fmt: skip

    # Only now that all is in order does a run begin.
    name = config.name or f"regions-{kerakit.runs.place(config.data)}"
    run = kerakit.runs.Run(config, name=name, data=data, monitor="val_mAP")
    steps = config.epochs * batches.steps_per_epoch
    with place.scope():
        trained = model
        if config.model == "rcnn":
            trained = RegionClassifier(model, seed=config.seed)
        rate = training.falling_rate(
            "cosine", peak=config.learning_rate, steps=steps, warm_up=min(50, steps // 10)
        )
        trained.compile(
            keras.optimizers.Adam(rate, global_clipnorm=10.0),
            metrics=metrics(False),
            # Keras's choice is XLA on a GPU and none on a CPU, where it is slower.
            jit_compile=True if config.jit else "auto",
        )
    training.fit(
        trained, batches, epochs=config.epochs, state=run.state, save_every=config.save_every,
        validation=validation if config.model == "fast_rcnn" else None,
        callbacks=run.callbacks(keep_best=False),
    )  # fmt: skip
    model = place.plain(model)
    if not run.is_chiefs:
        return {}
    if config.model == "rcnn":
        with run.timed():
            learn_from_features(config, model, data, preparation, regions[0])
    judged = kerakit.runs.judge_detector(run, model, validation, metrics(True), data=data)
    kerakit.runs.write_report(
        run, metrics=judged.figures, by_class=judged.by_class, pictures=judged.pictures,
        notes={**judged.notes, "learnt from": f"{data.train_source.size} images"},
    )  # fmt: skip
    run.close()
    print(f"mAP@50 {judged.figures['mAP@50']:.4f} on {judged.figures['images']} images held out")
    print(f"report {run.folder}/report.md")
    return judged.figures


def build(config, num_classes):
    is_rcnn = config.model == "rcnn"
    side = (config.crop, config.crop) if is_rcnn else config.size
    backbone = classification.mobilenet_v2(input_shape=(*side, 3), num_classes=1000)
    if config.weights:
        training.load_body(config.weights, backbone)
    options = {"backbone": backbone, "tap": TAPS[config.model], "num_classes": num_classes}
    options["freeze_norms"] = bool(config.weights)
    if is_rcnn:
        # 16 pixels of 227, as many of each crop.
        context = max(1, round(config.crop * 16 / 227))
        shape = (*config.size, 3)
        return detection.rcnn(input_shape=shape, context=context, **options)
    return detection.fast_rcnn(hidden_units=512, seed=config.seed, **options)


def search(config, source, workers):
    """Regions of all images, which the first of several workers searches and tells the others."""
    found = np.zeros((source.size, config.proposals, 4), "float32")
    if workers.is_chief:
        found = source_proposals(source, num_proposals=config.proposals, quality=config.quality)
    return np.frombuffer(workers.from_chief(found.tobytes()), "float32").reshape(found.shape)


def learn_from_features(config, model, data, preparation, proposals):
    """R-CNN's second and third training, on the features of all regions."""
    batches = kerakit.data.proposal_evaluation_batches(
        data.train_source, preparation, proposals=proposals, batch_size=config.batch_size
    )
    table = region_table(model, batches)
    found = fit_svms(
        model, table, epochs=config.svm_epochs, batch_size=512, seed=config.seed, verbose=0
    )
    counts = fit_box_regression(model, table)
    print(f"SVMs from {found['regions']} regions, boxes from {np.sum(counts)}")


def check(config):
    kerakit.runs.require(
        config,
        at_least=dict.fromkeys(("epochs", "batch_size", "svm_epochs", "proposals", "workers"), 1)
        | {"crop": 32, "images": 0, "seed": 0, "save_every": 0},
        above=dict.fromkeys(("learning_rate", "val_fraction"), 0),
        at_most={"seed": 2**31 - 1, "crop": 1024},
        below={"val_fraction": 1},
    )
    kerakit.runs.require_size(config)


def main():
    with one_sentence():
        config = kerakit.runs.parse_settings(
            PRESETS, __doc__, prog="python -m recipes.detect_regions"
        )
        training.on_workers(train, config)


if __name__ == "__main__":
    main()
