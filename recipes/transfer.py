"""Transfer learning: a network that was trained on other images, made to tell yours apart.

Expect, for people held out, medians of 3 seeds on two busy CPU cores, 2026-11-24: 0.911 frozen
(37 s at most), 0.993 finetune, 0.966 scratch (9 minutes at most): sign-digits --mode all

Your own images, in DIR/CLASS/*.jpg (or DIR/train/CLASS and DIR/val/CLASS):
    python -m recipes.transfer folder --data folder:DIR --weights mobilenet_v2-b0353104.pth

frozen    the network stays as it is; a new last layer learns from what it sees, computed once.
finetune  first the last layer as in frozen, so that the first steps undo nothing; then all at a
          small rate. --layer-decay: less towards the pixels; --unfreeze-epochs: one by one.
scratch   all layers from random weights, to see what the weights are worth.
all       the three in turn, and a report with the three side by side.

What is exported is of the last epoch. A stopped run goes on when the same command is given again.
"""

import dataclasses
from typing import Literal

import keras

import kerakit
from kerakit import training
from kerakit.errors import InputError, one_sentence
from kerakit.models.classification.keras_application import keras_application


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    mode: Literal["frozen", "finetune", "scratch", "all"] = "finetune"
    """What learns: see above."""
    data: str = "folder:images"
    """What to learn from: folder:DIR, tfds:NAME or digits."""
    model: str = "mobilenet_v2"
    """A builder of kerakit.models.classification, or keras:NAME of keras.applications."""
    weights: str = ""
    """Weights to start from: a file of torchvision (.pth, .safetensors, .npz) or an earlier run's
    best.keras; for keras:NAME a .weights.h5 without top, or imagenet, which Keras downloads."""
    width: float | None = None
    """Factor on the network's filters; that of the weights."""
    size: tuple[int, int] = (224, 224)
    """Rows and columns of the image that the network sees."""
    fit: Literal["stretch", "letterbox", "crop"] = "stretch"
    """How an image of another shape comes to that size."""
    flip: bool = False
    """Learn from mirror images too; not where left and right tell classes apart."""
    rotation: float = 10.0
    """Augmentation of finetune and scratch: largest rotation, degrees."""
    translation: float = 0.08
    """Likewise, largest shift, as a part of the side."""
    zoom: float = 0.1
    """Likewise, largest change of scale, as a part."""
    head_epochs: int = 100
    """Passes over the features in which the last layer learns alone; 0 for none in finetune."""
    head_decay: float = 1e-2
    """Its L2 penalty: half of this times the squared weights."""
    epochs: int = 6
    """Passes over the images in finetune and scratch."""
    batch_size: int = 32
    """Images a step."""
    learning_rate: float = 3e-4
    """Rate of the last layer in finetune at its highest."""
    scratch_learning_rate: float = 1e-3
    """Rate of all layers in scratch at its highest."""
    warmup_epochs: float = 0.5
    """Epochs over which the rate rises from 0, before it falls by a cosine."""
    weight_decay: float = 0.05
    """Decay of the weights in finetune and scratch, a part of the rate (AdamW's)."""
    layer_decay: float = 1.0
    """Rate of the first layer over that of the last, even steps in between; 1: one for all."""
    unfreeze_epochs: float = 0.0
    """Epochs over which the layers join in finetune, the last at once and the first at the end."""
    batch_norm: Literal["adapt", "frozen"] = "adapt"
    """In finetune, adapt: normalise by each batch, and learn the new images' statistics; frozen:
    keep those that the weights came with, for batches under about 16, which are too few."""
    val_fraction: float = 0.2
    """Part held out where the data have no validation part of their own."""
    group_by: str = ""
    """Regular expression: files of which it finds the same text are held out together."""
    skip_bad: bool = False
    """Leave out images that cannot be read, instead of stopping."""
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
    """Seed of new weights, order and augmentation."""
    workdir: str = "runs"
    """Folder of the runs."""
    name: str = ""
    """Name of the run; by default made from the data and the mode."""


PRESETS = {
    "folder": ("Images of your own: add --data folder:DIR and --weights FILE.", Config()),
    "sign-digits": ("Hands that show 0 to 9: add --data folder:DIR and --weights FILE.", Config(
        data="folder:sign-digits", weights="mobilenet_v2-b0353104.pth", size=(128, 128), epochs=12,
    )),
}  # fmt: skip


def train(config):
    check(config)
    place = training.Place(config.devices, config.precision)
    data = kerakit.runs.load_data(config)
    name = config.name or f"transfer-{kerakit.runs.place(config.data)}-{config.mode}"
    return (train_all if config.mode == "all" else train_one)(config, data, name, place)


def train_all(config, data, name, place):
    """The three modes in turn; those that an earlier, stopped command finished are kept."""
    modes = ("scratch", "frozen", "finetune")
    workers = training.Workers(place.made(build, config, len(data.classes)))
    run = kerakit.runs.Run(config, name=name, data=data, monitor="val_accuracy")
    for mode in modes:
        if not workers.chief_says(kerakit.runs.is_finished(run.folder / mode)):
            one = dataclasses.replace(config, mode=mode, workdir=str(run.folder), name=mode)
            train_one(one, data, mode, place)
    if not run.is_chiefs:
        return {}
    figures = kerakit.runs.compare_runs(run.folder, modes, title=f"{config.model}, {config.data}")
    run.close()
    print((run.folder / "report.md").read_text())
    return figures


def train_one(config, data, name, place):
    keras.utils.set_random_seed(config.seed)
    height, width = config.size
    preparation = kerakit.data.Preparation(height=height, width=width, fit=config.fit)
    batches = kerakit.data.TrainingBatches(
        data.train_source, preparation, batch_size=config.batch_size, seed=config.seed,
        augment=kerakit.runs.augmentation(
            len(data.classes), size=config.size, flip=config.flip, rotation=config.rotation,
            translation=config.translation, zoom=config.zoom,
        ),
    )  # fmt: skip
    model = place.made(build, config, len(data.classes))
    # Only now that all is in order does a run begin.
    run = kerakit.runs.Run(config, name=name, data=data, monitor="val_accuracy")
    run.introduce(f"{config.mode} {config.model}", model)
    if config.mode != "scratch" and config.head_epochs:
        train_head(config, place, model, preparation, run)
    if config.mode == "frozen":
        model.save(run.best.path)  # of the last epoch: while it learnt, there was the head alone
    else:
        train_whole(config, place, model, batches, preparation, run)
    return kerakit.runs.finish_classifier(
        run, place.plain(model), recipe="transfer", data=data, preparation=preparation,
        batch_size=config.batch_size, keep="last",
    )  # fmt: skip


def build(config, num_classes):
    weights = "" if config.mode == "scratch" else config.weights
    options = {"input_shape": (*config.size, 3), "num_classes": num_classes}
    if config.model.startswith("keras:"):
        return keras_application(config.model.removeprefix("keras:"), weights=weights, **options)
    model = kerakit.runs.build_classifier(config.model, optional={"width": config.width}, **options)
    if weights:
        training.load_body(weights, model)
    return model


def train_head(config, place, model, preparation, run):
    """The last layer alone, on what the others see in the images as they are."""
    body, head = training.split_head(model)
    with run.timed():
        batches, validation = training.feature_batches(
            body, run.data, preparation, folder=run.folder, seed=config.seed,
            batch_size=config.batch_size, mirrored=config.flip, workers=training.Workers(model),
        )  # fmt: skip
    steps = config.head_epochs * batches.steps_per_epoch
    rate = training.falling_rate("cosine", peak=1e-2, steps=steps)
    with place.scope():
        optimizer = kerakit.optimizers.Adam(rate, weight_decay=config.head_decay or None)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        compile_classifier(config, head, optimizer)
    alone = config.mode == "frozen"
    training.fit(
        head, batches, epochs=config.head_epochs, validation=validation,
        state=run.state if alone else run.folder / "head.ckpt", save_every=config.save_every,
        callbacks=run.callbacks(keep_best=False) if alone else [run.stage("head")],
    )  # fmt: skip


def train_whole(config, place, model, batches, preparation, run):
    """All layers: for finetune at rates that fall with the depth, and joining by depth."""
    fine = config.mode == "finetune"
    if fine and config.batch_norm == "frozen":
        training.freeze_batch_normalization(model)
    depths = training.layer_depths(model) if fine else {}
    an_epoch = batches.steps_per_epoch
    steps, warm_up = config.epochs * an_epoch, round(config.warmup_epochs * an_epoch)
    peak = config.learning_rate if fine else config.scratch_learning_rate
    rate = training.falling_rate("cosine", peak=peak, steps=steps, warm_up=warm_up)
    with place.scope():
        optimizer = kerakit.optimizers.LayerwiseAdamW(
            rate, weight_decay=config.weight_decay,
            shares={p: config.layer_decay**d for p, d in depths.items()},
            starts={p: round(config.unfreeze_epochs * an_epoch * d) for p, d in depths.items()},
        )  # fmt: skip
        compile_classifier(config, model, optimizer)
    held_out = kerakit.data.validation_batches(run.data, preparation, batch_size=config.batch_size)
    training.fit(
        model, batches, epochs=config.epochs, validation=held_out, state=run.state,
        save_every=config.save_every, callbacks=run.callbacks(),
    )  # fmt: skip


def compile_classifier(config, model, optimizer):
    aim = training.objective("classification", model.output_shape[-1])
    jit = True if config.jit else "auto"  # Keras's choice: XLA on a GPU, not on a CPU
    model.compile(optimizer, loss=aim.loss, weighted_metrics=aim.metrics, jit_compile=jit)


def check(config):
    one = "epochs batch_size workers" + ("" if config.mode == "finetune" else " head_epochs")
    zero = "head_epochs head_decay weight_decay warmup_epochs unfreeze_epochs rotation translation "
    above = "learning_rate scratch_learning_rate layer_decay val_fraction width"
    kerakit.runs.require(
        config,
        at_least=dict.fromkeys((zero + "zoom save_every seed").split(), 0)
        | dict.fromkeys(one.split(), 1),
        above=dict.fromkeys(above.split(), 0),
        at_most={"rotation": 180, "translation": 1, "seed": 2**31 - 1, "layer_decay": 1},
        below={"zoom": 1, "val_fraction": 1},
    )
    kerakit.runs.require_size(config)
    if config.mode != "scratch" and not config.weights:
        raise InputError(f"--mode {config.mode} starts from trained weights: give --weights FILE.")
    if config.mode != "scratch" and not config.model.startswith("keras:"):
        kerakit.runs.require_weights(config.weights)


def main():
    with one_sentence():
        config = kerakit.runs.parse_settings(PRESETS, __doc__, prog="python -m recipes.transfer")
        training.on_workers(train, config)


if __name__ == "__main__":
    main()
