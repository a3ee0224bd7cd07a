"""Image classification: a residual network on images with one label each.

Expect: accuracy 0.997 (median of 5 seeds, 0.994 the lowest) on the 360 held-out digits after
26 s of training at most; two CPU cores, 2026-11-22:
    python -m recipes.classify digits

Your own images, in DIR/CLASS/*.jpg (or DIR/train/CLASS and DIR/val/CLASS):
    python -m recipes.classify folder --data folder:DIR

A run writes runs/<name>/: log, pictures, best model, report, sample images and, verified,
savedmodel/1/ for `kerakit predict`. Stopped, it goes on when the same command is given again.
"""

import math
import shlex
from dataclasses import dataclass
from typing import Literal

import keras

import kerakit
from kerakit.errors import InputError, one_sentence
from kerakit.extras import need
from kerakit.schedules import ExponentialDecay, InverseTimeDecay, StepDecay, Warmup


@dataclass(frozen=True, kw_only=True)
class Config:
    data: str = "digits"
    """What to learn from: digits, folder:DIR or tfds:NAME."""
    model: Literal["resnet18"] = "resnet18"
    """Architecture."""
    width: float = 1.0
    """Factor on the network's filters; a smaller one trains faster."""
    stem: Literal["imagenet", "small"] = "imagenet"
    """First layers: imagenet halves the image twice, small keeps images of 8 to 64 pixels."""
    normalization: Literal["imagenet", "image_max"] | None = "imagenet"
    """First layer: ImageNet's statistics, or each image over its brightest pixel."""
    size: tuple[int, int] = (96, 96)
    """Rows and columns of the image that the network sees."""
    channels: Literal[1, 3] = 3
    """3 for colour, 1 for grey."""
    fit: Literal["stretch", "letterbox", "crop"] = "stretch"
    """How an image of another shape comes to that size."""
    rotation: float = 10.0
    """Augmentation: largest rotation, degrees."""
    translation: float = 0.08
    """Augmentation: largest shift, as a part of the side."""
    zoom: float = 0.1
    """Augmentation: largest change of scale, as a part."""
    epochs: int = 30
    """Passes over the training images."""
    batch_size: int = 32
    """Images a step."""
    learning_rate: float = 0.05
    """Rate at its highest, after the warm-up."""
    warmup_epochs: float = 1.0
    """Epochs over which the rate rises from 0."""
    schedule: Literal["cosine", "step", "exponential", "inverse-time", "constant"] = "cosine"
    """How the rate falls after that; each but constant to about a hundredth."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 5e-4
    """Weight decay, coupled: its gradient is this times the weight."""
    clip_norm: float = 0.0
    """Clip gradients to this global norm, and log it; 0: no clipping."""
    patience: int = 0
    """Stop after so many epochs in a row of rising validation loss; 0: never."""
    keep: Literal["best", "last"] = "best"
    """Weights to export: of the best epoch on the validation images, or of the last one."""
    val_fraction: float = 0.2
    """Part held out where the data have no validation part of their own."""
    group_by: str = ""
    """Regular expression: files of which it finds the same text are held out together."""
    skip_bad: bool = False
    """Leave out images that cannot be read, instead of stopping."""
    init: str = ""
    """A .keras or .weights.h5 file of the same network to start from."""
    jit: bool = False
    """Compile with XLA."""
    seed: int = 0
    """Seed of weights, order and augmentation."""
    workdir: str = "runs"
    """Folder of the runs."""
    name: str = ""
    """Name of the run; by default made from the data."""


PRESETS = {
    "digits": (
        "Embedded handwritten digits; under a minute.",
        Config(
            width=0.25,
            stem="small",
            normalization="image_max",
            size=(16, 16),
            channels=1,
            epochs=15,
            # The held-out digits choose nothing, so that the figure on them is fair.
            keep="last",
        ),
    ),
    "folder": ("Images of your own: add --data folder:DIR.", Config(data="folder:images")),
    "tfds": ("A TensorFlow Dataset on this disk: add --data tfds:NAME.", Config(data="tfds:NAME")),
}


BUILDERS = {"resnet18": kerakit.models.classification.resnet18}


def train(config):
    check(config)
    keras.utils.set_random_seed(config.seed)
    data = kerakit.data.load(
        config.data,
        val_fraction=config.val_fraction,
        group_by=config.group_by or None,
        skip_bad=config.skip_bad,
    )
    preparation = kerakit.data.Preparation(
        height=config.size[0], width=config.size[1], channels=config.channels, fit=config.fit
    )
    batches = kerakit.data.TrainingBatches(
        data.train_source,
        preparation,
        batch_size=config.batch_size,
        seed=config.seed,
        augment=kerakit.augment.RandomAffine(
            rotation=config.rotation, translation=config.translation, zoom=config.zoom
        ),
    )
    validation = kerakit.data.evaluation_batches(
        data.val_source, preparation, batch_size=config.batch_size
    )
    model = build(config, len(data.classes))
    model.compile(
        optimizer=kerakit.optimizers.SGD(
            learning_rate(config, batches.steps_per_epoch),
            momentum=config.momentum,
            weight_decay=config.weight_decay or None,
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[kerakit.metrics.ConfusionMatrix(len(data.classes), averages=("macro",))],
        # Keras's choice is XLA on a GPU and none on a CPU, where it is slower.
        jit_compile=True if config.jit else "auto",
    )

    # Only now that all is in order does a run begin.
    run = kerakit.runs.Run(
        config, name=config.name or run_name(config), data=data, monitor="val_accuracy"
    )
    print(f"{config.model}: {kerakit.cost.report(model).line()}")
    print(
        f"{data.train_source.size} images to learn from, {data.val_source.size} held out, "
        f"{len(data.classes)} classes",
        flush=True,
    )
    kerakit.training.fit(
        model,
        batches,
        epochs=config.epochs,
        state=run.state,
        validation=validation,
        callbacks=run.callbacks(*extra_callbacks(config)),
    )
    figures = kerakit.runs.finish_classifier(
        run,
        model,
        recipe="classify",
        data=data,
        preparation=preparation,
        batch_size=config.batch_size,
        keep=config.keep,
    )
    ask = shlex.join(["kerakit", "predict", f"{run.folder}/savedmodel", f"{run.folder}/samples"])
    print(f"accuracy {figures['accuracy']:.4f} on {figures['images']} images held out")
    print(f"report {run.folder}/report.md, model {figures['savedmodel']}; ask it:\n    {ask}")
    return figures


def build(config, num_classes):
    model = BUILDERS[config.model](
        input_shape=(*config.size, config.channels),
        num_classes=num_classes,
        normalization=config.normalization,
        stem=config.stem,
        width=config.width,
    )
    if config.init:
        kerakit.training.start_from(config.init, model)
    return model


def learning_rate(config, steps_per_epoch):
    """A warm-up over `warmup_epochs`, then a fall to about a hundredth at the end."""
    peak, steps = config.learning_rate, config.epochs * steps_per_epoch
    falling = {
        "cosine": lambda: keras.optimizers.schedules.CosineDecay(peak, steps, alpha=0.01),
        "step": lambda: StepDecay(peak, every=math.ceil(steps / 3)),
        "exponential": lambda: ExponentialDecay(peak, rate=math.log(100) / steps),
        "inverse-time": lambda: InverseTimeDecay(peak, rate=99 / steps),
        "constant": lambda: peak,
    }[config.schedule]()
    warm_up = round(config.warmup_epochs * steps_per_epoch)
    return Warmup(falling, length=warm_up) if warm_up else falling


def extra_callbacks(config):
    if config.clip_norm:
        yield kerakit.callbacks.GradientClipping(norm=config.clip_norm)
    if config.patience:
        yield kerakit.callbacks.EarlyStopping(patience=config.patience)


def run_name(config):
    """`classify-digits`, `classify-DIR`."""
    return "classify-" + config.data.rpartition(":")[2].strip("/").rpartition("/")[2]


def check(config):
    zero = ("seed", "patience", "weight_decay", "clip_norm", "warmup_epochs", "momentum")
    zero += ("rotation", "translation", "zoom")
    kerakit.runs.require(
        config,
        at_least={"epochs": 1, "batch_size": 1, **dict.fromkeys(zero, 0)},
        above={"learning_rate": 0, "width": 0, "val_fraction": 0},
        at_most={"rotation": 180, "translation": 1, "seed": 2**31 - 1, "width": 16},
        below={"momentum": 1, "zoom": 1, "val_fraction": 1},
    )
    if not all(1 <= side <= 4096 for side in config.size):
        raise InputError(f"--size must be two numbers from 1 to 4096, got {config.size}.")
    if config.normalization == "imagenet" and config.channels != 3:
        raise InputError(
            f"--normalization imagenet needs --channels 3, got {config.channels}; "
            "give --normalization image_max."
        )


def main():
    with one_sentence():
        tyro = need("tyro", extra="recipes")
        train(
            tyro.extras.overridable_config_cli(
                PRESETS, prog="python -m recipes.classify", description=__doc__
            )
        )


if __name__ == "__main__":
    main()
