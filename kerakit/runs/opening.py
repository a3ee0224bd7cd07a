"""What a recipe opens before its run begins: the data, and a builder by name."""

import inspect
import pathlib

import kerakit.data
from kerakit.errors import InputError
from kerakit.models import classification, detection, segmentation, video
from kerakit.runs.settings import flag
from kerakit.runs.sources import SOURCES
from kerakit.weights import load_torchvision

# Of the families' names in small letters those that a flag alone does not build.
_IN_PYTHON = (
    "as_convolution",
    "backbone_unet",
    "fit_box_regression",
    "fit_svms",
    "inflate",
    "region_table",
    "sliding_window",
)


def load_data(config, *, task="classification", **options):
    """The data that a recipe's settings name, or where to get them.

    Args:
        config: Settings with `data`, `val_fraction`, `group_by` and `skip_bad`.
        task: What `kerakit.data.load` takes.
        **options: Further ones of it.

    Returns:
        `kerakit.data.Data`.

    Raises:
        InputError: If the data cannot be opened; of those in `SOURCES` it names the source, the
            licence and the next command.
    """
    try:
        return kerakit.data.load(
            config.data,
            task=task,
            val_fraction=config.val_fraction,
            group_by=config.group_by or None,
            skip_bad=config.skip_bad,
            **options,
        )
    except InputError as error:
        if config.data not in SOURCES:
            raise
        raise InputError(f"{error} {SOURCES[config.data]}") from error


def require_weights(path):
    """Refuses a file of weights that is not there, and says where to get it if that is known.

    Args:
        path: The file, `--weights`.

    Raises:
        InputError: If it does not exist.
    """
    if not pathlib.Path(path).is_file():
        where = SOURCES.get(pathlib.Path(path).name, "")
        raise InputError(f"--weights {path} does not exist, or is no file. {where}".strip())


def build_classifier(name, *, optional=None, **options):
    """A classifier of `kerakit.models.classification` by its name.

    Args:
        name: Name of the builder.
        optional: Dict of options of which those that are None are left to the builder.
        **options: Options of the builder, among them `input_shape` and `num_classes`.

    Returns:
        `keras.Model`.

    Raises:
        InputError: If there is no such builder, it has no such option, or refuses its value.
    """
    options |= {key: value for key, value in (optional or {}).items() if value is not None}
    model = _built(classification, name, options)
    if hasattr(model, "adapt"):
        raise InputError(
            f"--model {name} learns in one pass, by model.adapt(images, labels), and not by steps."
        )
    return model


def build_detector(name, *, optional=None, of_rcnn=None, **options):
    """A detector of `kerakit.models.detection` by its name.

    Args:
        name: Name of the builder.
        optional: Dict of options of which those that are None are left to the builder.
        of_rcnn: The same, for builders of two stages alone.
        **options: Options of the builder, among them `input_shape` and `num_classes`.

    Returns:
        `kerakit.models.detection.Detector`.

    Raises:
        InputError: If there is no such builder, it has no such option, or refuses its value.
    """
    if name in ("fast_rcnn", "rcnn"):
        raise InputError(f"--model {name} is given its regions: see recipes.detect_regions.")
    optional = {**(optional or {}), **((of_rcnn or {}) if "rcnn" in name else {})}
    options |= {key: value for key, value in optional.items() if value is not None}
    return _built(detection, name, options)


def build_segmenter(name, *, from_scratch, optional=None, where_had=None, **options):
    """A segmenter of `kerakit.models.segmentation` by its name, with an answer for each pixel.

    Args:
        name: Name of the builder.
        from_scratch: Whether norms are put where the builder has them by choice: random weights
            learn slowly without, trained ones were trained so.
        optional: Dict of options of which those that are None are left to the builder.
        where_had: The same, of options that not every builder has.
        **options: Options of the builder, among them `input_shape` and `num_classes`.

    Returns:
        `keras.Model`.

    Raises:
        InputError: If there is no such builder, it has no such option, or refuses its value.
    """
    has = inspect.signature(_builder(segmentation, name)).parameters
    if (optional or {}).get("auxiliary_head") and "auxiliary_head" not in has:
        raise InputError(f"--auxiliary is for a second head, which {name} has not.")
    optional = (optional or {}) | {k: v for k, v in (where_had or {}).items() if k in has}
    options |= {key: value for key, value in optional.items() if value is not None}
    norms = {"batch_norm", "batch_normalization"} & set(has)
    options |= dict.fromkeys(norms, from_scratch)
    if "padding" in has:  # unpadded, an answer would be of the middle of an image alone
        options["padding"] = "same"
    return _built(segmentation, name, options)


def build_video_classifier(name, *, optional=None, where_had=None, **options):
    """A video classifier of `kerakit.models.video` by its name.

    Args:
        name: Name of the builder.
        optional: Dict of options of which those that are None are left to the builder.
        where_had: The same, of options that not every builder has.
        **options: Options of the builder, among them `input_shape` and `num_classes`.

    Returns:
        `keras.Model`.

    Raises:
        InputError: If there is no such builder, it has no such option, or refuses its value.
    """
    if name == "inflate":
        raise InputError(
            "--model inflate is given a trained network of images, in Python: "
            "kerakit.models.video.inflate(network, frames); i3d begins with random weights."
        )
    has = inspect.signature(_builder(video, name)).parameters
    optional = (optional or {}) | {k: v for k, v in (where_had or {}).items() if k in has}
    options |= {key: value for key, value in optional.items() if value is not None}
    if "batch_norm" in has:
        options["batch_norm"] = True  # without, random weights learn slowly
    return _built(video, name, options)


def load_backbone(path, model):
    """Loads torchvision's weights of a classifier into the backbone of a detector.

    Args:
        path: The file, `--weights`.
        model: `kerakit.models.detection.Detector`.

    Raises:
        InputError: If the file is not there, the model has no such backbone, or it is another's.
    """
    if not hasattr(model, "backbone"):
        raise InputError(f"--weights {path} is for a backbone, which {model.name} has not.")
    require_weights(path)
    # The classifier's own layer has no place here.
    load_torchvision(model.backbone, path, skip=("classifier.", "fc."))


def _builder(family, name):
    """A family's builder by its name, which is refused if a flag alone does not build it."""
    builders = [known for known in family.__all__ if known.islower() and known not in _IN_PYTHON]
    if name not in builders:
        raise InputError(f"--model {name} is none of {', '.join(builders)}.")
    return getattr(family, name)


def _built(family, name, options):
    """What a builder of a family makes of options; each complaint names its flag."""
    builder = _builder(family, name)
    parameters = inspect.signature(builder).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for option in options:
        if option not in parameters and not takes_any:
            raise InputError(f"{flag(option)} is nothing that {name} has.")
    channels = options["input_shape"][-1]
    if options.get("normalization") == "imagenet" and channels != 3:
        raise InputError(
            f"--normalization imagenet needs --channels 3, got {channels}; "
            "give --normalization image_max."
        )
    try:
        return builder(**options)
    except InputError:
        raise
    except ValueError as error:  # such as an image too small for its strides
        raise InputError(f"--model {name} cannot be built so: {error}") from error
