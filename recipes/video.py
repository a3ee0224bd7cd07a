"""Video classification: what happens in a clip, by any of nine kinds of network.

Expect accuracy 0.92 (seeds 0, 1, 2) on 102 thermal clips, in which direction something flies, 203 s
from the start to the verified export at most; two CPU cores, 2026-11-28:
    python -m recipes.video motion --data clips:DIR

Your own clips, in DIR/CLASS/*.mp4 (or DIR/train/CLASS and DIR/val/CLASS):
    python -m recipes.video folder --data clips:DIR --model r2plus1d_18

Embedded digits that move, with nothing to download; all 400 clips held out right after 81 s:
    python -m recipes.video moving-digits

A run writes runs/<name>/: log, pictures, best model, report, sample clips and, verified,
savedmodel/1/ for `kerakit predict`. Stopped, it goes on when the same command is given again.
Videos are decoded once, into a cache of frames (KERAKIT_CACHE, or ~/.cache/kerakit).
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import keras

import kerakit
from kerakit import training
from kerakit.errors import InputError, one_sentence


@dataclass(frozen=True, kw_only=True)
class Config:
    data: str = "moving-digits"
    """What to learn from: moving-digits, clips:DIR or tfds:NAME."""
    model: str = "r2plus1d_18"
    """Architecture: single_frame, early_fusion, late_fusion, c3d, r3d_18, mc3_18, r2plus1d_18, i3d,
    slowfast or video_transformer."""
    width: float | None = None
    """Factor on the network's filters; a smaller one trains faster."""
    depth: int | None = None
    """Blocks of a video_transformer; layers of a ResNet on frames, of i3d and slowfast."""
    stem: str | None = None
    """First layers where the network is a ResNet: small for frames of 8 to 64 pixels."""
    attention: Literal["joint", "divided"] | None = None
    """A video_transformer's attention: over all tokens, or over time and then over space."""
    tubelet: tuple[int, int, int] | None = None
    """Frames, rows and columns of a video_transformer's token."""
    fusion: Literal["average", "concatenation", "recurrent"] | None = None
    """How late_fusion makes one answer of the frames'."""
    normalization: Literal["kinetics", "imagenet", "centered", "per_clip"] | None = "kinetics"
    """First layer: published statistics, -1 to 1, or each clip to mean 0 and deviation 1."""
    frames: int = 16
    """Frames that the network sees."""
    stride: int = 1
    """Step from one of them to the next, in frames of the video."""
    sampling: Literal["dense", "uniform"] = "dense"
    """dense: frames of a window; uniform: frames spread over the whole video."""
    frame_rate: float | None = None
    """Frames a second to which videos are brought first; by default each has its own."""
    size: tuple[int, int] = (112, 112)
    """Rows and columns of a frame that the network sees."""
    fit: Literal["stretch", "letterbox", "crop"] = "crop"
    """How a frame of another shape comes to that size."""
    flip: Literal["none", "horizontal", "both"] = "none"
    """Augmentation: mirror half of the clips, upside down too."""
    flip_swaps: tuple[str, ...] = ()
    """Classes that a mirror turns into each other, such as left:right."""
    vertical_swaps: tuple[str, ...] = ()
    """The same of upside down, such as up:down."""
    reverse: float = 0.0
    """Augmentation: part of the clips that is played backwards."""
    reverse_swaps: tuple[str, ...] = ()
    """Classes that time's reversal turns into each other, such as opening:closing."""
    crop: float = 1.0
    """Augmentation: smallest area of a random crop, as a part of the frame; 1: none."""
    translation: float = 0.0
    """Augmentation: largest shift, as a part of the side."""
    color: float = 0.0
    """Augmentation: largest change of brightness, contrast and saturation, as a part."""
    epochs: int = 30
    """Passes over the training clips."""
    batch_size: int = 16
    """Clips a step."""
    accumulate: int = 1
    """Steps whose gradients are averaged for one update, as of a batch so many times as large."""
    optimizer: Literal["sgd", "adamw"] = "adamw"
    """SGD with momentum, or AdamW."""
    learning_rate: float = 2e-3
    """Rate at its highest, after the warm-up."""
    warmup_epochs: float = 1.0
    """Epochs over which the rate rises from 0."""
    schedule: Literal["cosine", "step", "exponential", "inverse-time", "constant"] = "cosine"
    """How the rate falls after that."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 1e-2
    """Weight decay: coupled in SGD, a part of the rate in AdamW."""
    ema: float = 0.0
    """Evaluate and export the weights' running average with this momentum; 0: the weights."""
    patience: int = 0
    """Stop after so many epochs in a row of rising validation loss; 0: never."""
    keep: Literal["best", "last"] = "best"
    """Weights to export: of the best epoch on the videos held out, or of the last one."""
    clips: int = 1
    """At the end, look at each video held out so many times, and average the probabilities too."""
    val_fraction: float = 0.2
    """Part held out where the data have no validation part of their own."""
    group_by: str = ""
    """Regular expression: files of which it finds the same text are held out together."""
    skip_bad: bool = False
    """Leave out videos that cannot be read, instead of stopping."""
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
    "moving-digits": (
        "Embedded handwritten digits that move: in which direction? 2 minutes.",
        Config(model="early_fusion", frames=8, size=(32, 32), width=0.25, stem="small",
               normalization="centered", epochs=10, keep="last"),
    ),
    "folder": ("Videos of your own: add --data clips:DIR.", Config(data="clips:videos")),
    "motion": (
        "Thermal clips: left, right, up, down or still? Add --data clips:DIR.",
        # The videos held out choose nothing (keep), so that the figure on them is fair.
        Config(data="clips:motion", model="early_fusion", width=0.5, normalization="per_clip",
               size=(64, 64), flip="both", flip_swaps=("left:right",), vertical_swaps=("up:down",),
               reverse=0.5, reverse_swaps=("left:right", "up:down"), epochs=40, keep="last"),
    ),
    "kinetics": (
        "R(2+1)D near the recipe of torchvision's weights; not run here.",
        # Theirs: 64 times 24 clips a step, 5 clips a video and epoch, windows of 112 x 112 in
        # frames of 128 x 171, and a rate that falls after 20, 30 and 40 epochs.
        Config(data="clips:kinetics400", frame_rate=15.0, flip="horizontal", crop=0.5, epochs=45,
               batch_size=24, optimizer="sgd", learning_rate=0.01, warmup_epochs=10,
               schedule="step", weight_decay=1e-4, clips=5),
    ),
}
# fmt: on


def train(config):
    check(config)
    place = training.Place(config.devices, config.precision)
    keras.utils.set_random_seed(config.seed)
    data = kerakit.runs.load_data(config, task="video", frame_rate=config.frame_rate)
    prepare, sample = kerakit.data.Preparation, kerakit.data.FrameSampling
    preparation = prepare(height=config.size[0], width=config.size[1], fit=config.fit)
    sampling = sample(frames=config.frames, stride=config.stride, mode=config.sampling)
    batches = training_batches(config, data, preparation, sampling)
    model = place.made(build, config, len(data.classes))
    if config.init:
        training.start_from(config.init, model)
    with place.scope():
        aim = training.objective("classification", len(data.classes))
        model.compile(
            training.optimizer_of(config, steps_per_epoch=batches.steps_per_epoch),
            loss=aim.loss, weighted_metrics=aim.metrics,
            # Keras's choice is XLA on a GPU and none on a CPU, where it is slower.
            jit_compile=True if config.jit else "auto",
        )  # fmt: skip

    # Only now that all is in order does a run begin.
    name = config.name or f"video-{kerakit.runs.place(config.data)}"
    run = kerakit.runs.Run(config, name=name, data=data, monitor=aim.monitor)
    run.introduce(config.model, model)
    training.fit(
        model, batches, epochs=config.epochs, state=run.state, save_every=config.save_every,
        validation=kerakit.data.clip_validation_batches(
            data, preparation, sampling, batch_size=config.batch_size
        ),
        callbacks=run.callbacks(),
    )  # fmt: skip
    model = place.plain(model)
    return kerakit.runs.finish_video_classifier(
        run, model, recipe="video", data=data, preparation=preparation, sampling=sampling,
        batch_size=config.batch_size, clips=config.clips, keep=config.keep,
    )  # fmt: skip


def build(config, num_classes):
    optional = ("width", "depth", "attention", "tubelet", "fusion")
    return kerakit.runs.build_video_classifier(
        config.model,
        input_shape=(config.frames, *config.size, 3),
        num_classes=num_classes,
        normalization=config.normalization,
        optional={name: getattr(config, name) for name in optional},
        where_had={"stem": config.stem},
    )


def training_batches(config, data, preparation, sampling):
    if config.crop < 1:  # from larger frames, so that crops are not all blown up
        height, width = (side * 8 // 7 for side in config.size)
        preparation = dataclasses.replace(preparation, height=height, width=width)
    augment = kerakit.runs.clip_augmentation(
        data.classes, size=config.size, flip=config.flip, flip_swaps=config.flip_swaps,
        vertical_swaps=config.vertical_swaps, reverse=config.reverse,
        reverse_swaps=config.reverse_swaps, crop=config.crop, translation=config.translation,
        color=config.color,
    )  # fmt: skip
    return kerakit.data.ClipBatches(
        data.train_source, preparation, sampling, batch_size=config.batch_size, seed=config.seed,
        augment=augment,
    )  # fmt: skip


def check(config):
    zero = "seed save_every patience weight_decay momentum warmup_epochs translation color ema "
    zero += "reverse"
    one = "epochs batch_size accumulate frames stride clips depth workers"
    kerakit.runs.require(
        config,
        at_least=dict.fromkeys(one.split(), 1) | dict.fromkeys(zero.split(), 0),
        above=dict.fromkeys(("learning_rate", "val_fraction", "crop", "width", "frame_rate"), 0),
        at_most={"width": 16, "seed": 2**31 - 1}
        | dict.fromkeys(("translation", "color", "crop", "reverse"), 1),
        below=dict.fromkeys(("val_fraction", "ema", "momentum"), 1),
    )
    kerakit.runs.require_size(config)
    if config.sampling == "uniform" and config.stride != 1:
        raise InputError(f"--stride is for --sampling dense, got {config.stride} with uniform.")


def main():
    with one_sentence():
        config = kerakit.runs.parse_settings(PRESETS, __doc__, prog="python -m recipes.video")
        training.on_workers(train, config)


if __name__ == "__main__":
    main()
