"""What a recipe opens before its run begins: the data, and a builder by name."""

import inspect
import pathlib

import kerakit.data
from kerakit.errors import InputError
from kerakit.models import classification
from kerakit.runs.settings import flag
from kerakit.runs.sources import SOURCES


def load_data(config, *, task="classification"):
    """The data that a recipe's settings name, or where to get them.

    Args:
        config: Settings with `data`, `val_fraction`, `group_by` and `skip_bad`.
        task: What `kerakit.data.load` takes.

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
    if name not in classification.__all__:
        raise InputError(f"--model {name} is none of {', '.join(classification.__all__)}.")
    builder = getattr(classification, name)
    options |= {key: value for key, value in (optional or {}).items() if value is not None}
    for option in options:
        if option not in inspect.signature(builder).parameters:
            raise InputError(f"{flag(option)} is nothing that {name} has.")
    channels = options["input_shape"][-1]
    if options.get("normalization") == "imagenet" and channels != 3:
        raise InputError(
            f"--normalization imagenet needs --channels 3, got {channels}; "
            "give --normalization image_max."
        )
    try:
        model = builder(**options)
    except InputError:
        raise
    except ValueError as error:  # such as an image too small for its strides
        raise InputError(f"--model {name} cannot be built so: {error}") from error
    if hasattr(model, "adapt"):
        raise InputError(
            f"--model {name} learns in one pass, by model.adapt(images, labels), and not by steps."
        )
    return model
