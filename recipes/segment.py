"""Semantic segmentation: the class of every pixel, by U-Net, FCN or SegNet, scored by IoU.

Expect, on two busy CPU cores, 2026-11-24: tissue mean IoU 0.655, nucleus 0.753, rim 0.284, on 21
images held out, after 12 minutes of training:
    python -m recipes.segment tissue --data masks:DIR

Your own images, with masks of class ids in DIR/masks:
    python -m recipes.segment folder --data masks:DIR --model unet

A run writes runs/<name>/, and goes on when it was stopped and the same command is given again.
The export takes images of any size: with --fit pad as they are, in tiles that overlap.
"""

from dataclasses import dataclass
from typing import Literal

import keras

import kerakit
from kerakit import augment, training
from kerakit.errors import one_sentence
from kerakit.weights import load_classifier


@dataclass(frozen=True, kw_only=True)
class Config:
    data: str = "digit-scenes"
    """What to learn from: digit-scenes, masks:DIR or tfds:NAME."""
    model: str = "unet"
    """Architecture: a builder of kerakit.models.segmentation, such as unet_resnet18 or segnet."""
    width: float | None = None
    """Factor on the network's filters; a smaller one trains faster."""
    drop_rate: float | None = None
    """Share of features that are dropped where the network drops some; none: the builder's."""
    normalization: Literal["imagenet", "image_max", "centered"] | None = "imagenet"
    """First layer: ImageNet's statistics, each image over its brightest pixel, or -1 to 1."""
    weights: str = ""
    """Body of the network: a file of a torchvision or kerakit classifier; none: random weights."""
    size: tuple[int, int] = (256, 256)
    """Rows and columns of what the network sees at once; divisible by 32."""
    fit: Literal["pad", "stretch", "letterbox"] = "pad"
    """pad: images at their own scale, of which windows of that size are learnt; else the whole
    image scaled to it."""
    tile: int = 0
    """Side of the square tiles in which the export sees an image, with --fit pad; 0: --size."""
    balanced: float = 0.5
    """Part of the windows around a pixel of a class drawn first, each class as often; 0: none."""
    flip: Literal["none", "horizontal", "both"] = "none"
    """Augmentation: mirror half of the images, upside down too."""
    rotation: float = 0.0
    """Augmentation: largest rotation, degrees."""
    zoom: float = 0.0
    """Augmentation: largest change of scale, as a part."""
    elastic: float = 0.0
    """Augmentation: deviation of the bending's displacements, pixels."""
    color: float = 0.0
    """Augmentation: largest change of brightness, contrast and saturation, as a part."""
    loss: Literal["cross-entropy", "focal", "dice", "cross-entropy-dice"] = "cross-entropy"
    """What is made small."""
    class_weights: float = 0.0
    """How much more a pixel of a rare class counts: its share to minus this power; 0: alike."""
    auxiliary: float = 0.0
    """Weight of the loss of a second head, which the FCNs on ResNet have; 0: none."""
    epochs: int = 30
    """Passes over the training images."""
    batch_size: int = 8
    """Images a step."""
    accumulate: int = 1
    """Steps whose gradients are averaged for one update, as of a batch so many times as large."""
    optimizer: Literal["sgd", "adamw"] = "adamw"
    """SGD with momentum, or AdamW."""
    learning_rate: float = 2e-3
    """Rate at its highest, after the warm-up."""
    warmup_epochs: float = 1.0
    """Epochs over which the rate rises from 0."""
    schedule: Literal["cosine", "step", "exponential", "polynomial", "constant"] = "cosine"
    """How the rate falls after that."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 1e-4
    """Weight decay: coupled in SGD, a part of the rate in AdamW."""
    clip_norm: float = 0.0
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
    """Regular expression: files of which it finds the same text are held out together."""
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
    """Seed of weights, order and augmentation."""
    workdir: str = "runs"
    """Folder of the runs."""
    name: str = ""
    """Name of the run; by default made from the data."""


# fmt: off
PRESETS = {
    "scenes": (
        "Embedded digits, composed into scenes; minutes.",
        Config(width=0.25, drop_rate=0.0, size=(96, 96), normalization="centered", epochs=5),
    ),
    "folder": ("Images of your own: add --data masks:DIR.", Config(data="masks:images")),
    "tissue": (
        "Stained nuclei and their rims by U-Net, from random weights: add --data masks:DIR.",
        # The images held out choose nothing (keep), so that the figure on them is fair.
        Config(data="masks:tissue", width=0.25, drop_rate=0.0, size=(256, 320), flip="both",
               color=0.2, loss="cross-entropy-dice", class_weights=0.5, epochs=50, batch_size=4,
               learning_rate=4e-3, keep="last"),
    ),
    "voc": (
        "FCN with ResNet-50 by the recipe of torchvision's weights; not run here.",
        # Theirs: 32 images a step, short sides of 260 to 1040 pixels.
        Config(data="masks:voc", model="fcn_resnet50", weights="resnet50-0676ba61.pth",
               size=(480, 480), balanced=0.0, flip="horizontal", zoom=0.5, auxiliary=0.5,
               epochs=30, batch_size=32, optimizer="sgd", learning_rate=0.02,
               schedule="polynomial", warmup_epochs=0, keep="last"),
    ),
}
# fmt: on


def train(config):
    check(config)
    place = training.Place(config.devices, config.precision)
    keras.utils.set_random_seed(config.seed)
    data = kerakit.runs.load_data(config, task="segmentation")
    frames = kerakit.runs.frames_of(data, size=config.size, fit=config.fit, tile=config.tile)
    heads = ("logits", "aux") if config.auxiliary else None
    batches = kerakit.data.SegmentationBatches(
        data.train_source, frames.learnt, batch_size=config.batch_size, seed=config.seed,
        augment=augmentation(config, frames.learnt), heads=heads,
    )  # fmt: skip
    model = place.made(build, config, len(data.classes))
    kerakit.runs.require_tiles(model, frames.served)
    if config.weights:
        kerakit.runs.require_weights(config.weights)
        load_classifier(model, config.weights)
    if config.init:
        training.start_from(config.init, model)
    weights = kerakit.runs.pixel_weights(data, power=config.class_weights)
    with place.scope():
        aim = training.pixel_objective(config.loss, len(data.classes), class_weights=weights)
        model.compile(
            training.optimizer_of(config, steps_per_epoch=batches.steps_per_epoch),
            loss=dict.fromkeys(heads, aim.loss) if heads else aim.loss,
            loss_weights={"logits": 1.0, "aux": config.auxiliary} if heads else None,
            weighted_metrics={"logits": aim.metrics} if heads else aim.metrics,
            # Keras's choice is XLA on a GPU and none on a CPU, where it is slower.
            jit_compile=True if config.jit else "auto",
        )  # fmt: skip

    # Only now that all is in order does a run begin.
    name = config.name or f"segment-{kerakit.runs.place(config.data)}"
    run = kerakit.runs.Run(config, name=name, data=data, monitor=aim.monitor)
    run.introduce(config.model, model, input_shape=(*config.size, 3))
    training.fit(
        model, batches, epochs=config.epochs, state=run.state, save_every=config.save_every,
        validation=kerakit.data.segmentation_evaluation_batches(
            data.val_source, frames.held_out, batch_size=config.batch_size, heads=heads
        ),
        callbacks=run.callbacks(),
    )  # fmt: skip
    model = place.plain(model)
    return kerakit.runs.finish_segmenter(
        run, model, recipe="segment", data=data, preparation=frames.served, keep=config.keep
    )


def build(config, num_classes):
    # Of any size: windows are learnt, whole images looked at after each epoch.
    return kerakit.runs.build_segmenter(
        config.model,
        input_shape=(None, None, 3),
        num_classes=num_classes,
        normalization=config.normalization,
        from_scratch=not config.weights,
        optional={"width": config.width, "auxiliary_head": config.auxiliary > 0 or None},
        where_had={"drop_rate": config.drop_rate},
    )


def augmentation(config, frame):
    transforms = []
    if config.rotation or config.zoom:
        transforms.append(augment.RandomAffine(rotation=config.rotation, zoom=config.zoom))
    if config.elastic:
        transforms.append(augment.ElasticDeformation(displacement=config.elastic))
    if (frame.height, frame.width) != config.size:
        transforms.append(augment.ClassBalancedCrop(config.size, probability=config.balanced))
    if config.flip != "none":
        transforms.append(augment.RandomFlip(vertical=config.flip == "both"))
    if config.color:
        change = dict.fromkeys(("brightness", "contrast", "saturation"), config.color)
        transforms.append(augment.ColorJitter(**change))
    return augment.chain(*transforms) if transforms else None


def check(config):
    one = "epochs batch_size accumulate workers"
    zero = "seed weight_decay clip_norm warmup_epochs momentum balanced rotation zoom elastic "
    zero += "save_every patience color class_weights auxiliary ema drop_rate tile"
    kerakit.runs.require(
        config,
        at_least=dict.fromkeys(one.split(), 1) | dict.fromkeys(zero.split(), 0),
        above=dict.fromkeys(("learning_rate", "val_fraction", "width"), 0),
        at_most={"width": 16, "seed": 2**31 - 1, "rotation": 180}
        | dict.fromkeys(("color", "balanced", "class_weights"), 1),
        below=dict.fromkeys(("momentum", "val_fraction", "ema", "zoom", "drop_rate"), 1),
    )
    kerakit.runs.require_size(config, multiple=32)


def main():
    with one_sentence():
        config = kerakit.runs.parse_settings(PRESETS, __doc__, prog="python -m recipes.segment")
        training.on_workers(train, config)


if __name__ == "__main__":
    main()
