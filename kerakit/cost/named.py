"""The model that a name on a command line means."""

import difflib
import inspect
import pathlib
import re
import zipfile

import keras

from kerakit import models
from kerakit.cost.report import report
from kerakit.errors import InputError


def report_of(name, *input_shapes):
    """The `Report` of a model by its name; no weights are made for a builder's.

    Args:
        name: A builder of `kerakit.models` or of `keras.applications`, or a `.keras` file. Where
            both have the name, as it is written decides: kerakit's are in small letters.
        *input_shapes: Shape of one example for each of its inputs; none for the model's own.

    Raises:
        InputError: If there is no such model, or the input does not fit it.

    Example:

    >>> cost = report_of("MobileNetV2", (224, 224, 3))
    >>> cost.trainable_parameters, cost.macs
    (3504872, 300774272)
    """
    if name.endswith((".keras", ".h5")) or pathlib.Path(name).is_file():
        return _counted(_loaded(name), name, input_shapes)
    build = _builder(name)
    if len(input_shapes) > 1:
        raise InputError(f"{name} has one input; give --input once.")
    # Variables in this scope have a shape and no values: 138 million parameters in no time.
    with keras.StatelessScope(initialize_variables=False):
        try:
            model = build(input_shape=input_shapes[0]) if input_shapes else build()
        except Exception as error:  # each builder checks its input in its own way, or does not
            raise _unfit(name, input_shapes, error) from error
        return _counted(model, name, input_shapes)


def builders():
    """{name: function} of all builders; those of Keras take no weights from the network."""
    found = {}
    for module in (getattr(models, name) for name in models.__all__):
        for name in getattr(module, "__all__", ()):
            function = getattr(module, name)
            if "input_shape" in inspect.signature(function).parameters:
                found[name] = function
    for name, function in vars(keras.applications).items():
        if name[0].isupper() and callable(function):
            found[name] = _without_weights(function)
    return found


def _without_weights(function):
    return lambda **options: function(weights=None, **options)


def _builder(name):
    found = builders()
    same = [each for each in found if each.lower() == name.lower()]
    if name in found or same:
        return found[name if name in found else same[0]]
    if pathlib.Path(name).is_dir():
        raise _no_file(name)
    small = {each.lower(): each for each in found}
    close = [small[each] for each in difflib.get_close_matches(name.lower(), small, n=4)]
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(found)}."
    raise InputError(f"{name!r} is no model of kerakit or keras.applications and no file; {hint}")


def _loaded(name):
    path = pathlib.Path(name)
    if not path.is_file():
        raise _no_file(name)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise InputError(f"{name} cannot be read as a Keras model (it is no zip archive).")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever a foreign file brings
        unknown = re.search(r"Could not locate (?:class|function) '([^']+)'", str(error))
        if unknown:
            raise InputError(
                f"{name} holds {unknown[1]}, which is not known here; kerakit.cost.report counts "
                "the model in Python, where it is."
            ) from error
        raise InputError(f"{name} cannot be read as a Keras model ({_first(error)}).") from error


def _no_file(name):
    what = "is a folder" if pathlib.Path(name).is_dir() else "does not exist"
    return InputError(f"{name} {what}; give a .keras file or the name of a model.")


def _counted(model, name, input_shapes):
    given = list(input_shapes) if len(input_shapes) > 1 else next(iter(input_shapes), None)
    try:
        return report(model, given)
    except Exception as error:  # whatever a foreign model does
        raise _unfit(name, input_shapes, error) from error


def _unfit(name, input_shapes, error):
    options = [f"--input {','.join(map(str, shape))}" for shape in input_shapes]
    given = f"for {' '.join(options)}" if options else "without --input"
    reason = _first(error).replace("`input_shape`", "--input")
    return InputError(f"{name} cannot be counted {given} ({reason}).")


def _first(error):
    """The first sentence of an error's message."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0].rstrip(".")
