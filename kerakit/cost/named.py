"""The model that a name on a command line means."""

import difflib
import inspect
import pathlib

import keras

from kerakit import models
from kerakit.cost.report import report
from kerakit.errors import InputError


def report_of(name, input_shape=None):
    """The `Report` of a model by its name; no weights are made for a builder's.

    Args:
        name: A builder of `kerakit.models` or of `keras.applications`, or a `.keras` file. Where
            both have the name, as it is written decides: kerakit's are in small letters.
        input_shape: Shape of one example; None for the model's own.

    Raises:
        InputError: If there is no such model, or the input does not fit it.

    Example:

    >>> cost = report_of("MobileNetV2", (224, 224, 3))
    >>> cost.trainable_parameters, cost.macs
    (3504872, 300774272)
    """
    if name.endswith((".keras", ".h5")) or pathlib.Path(name).exists():
        return _counted(_loaded(name), name, input_shape)
    build = _builder(name)
    # Variables in this scope have a shape and no values: 138 million parameters in no time.
    with keras.StatelessScope(initialize_variables=False):
        try:
            model = build() if input_shape is None else build(input_shape=input_shape)
        except ValueError as error:
            raise _unfit(name, input_shape, error) from error
        return _counted(model, name, input_shape)


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
    small = {each.lower(): each for each in found}
    close = [small[each] for each in difflib.get_close_matches(name.lower(), small, n=4)]
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(found)}."
    raise InputError(f"{name!r} is no model of kerakit or keras.applications and no file; {hint}")


def _loaded(name):
    path = pathlib.Path(name)
    if not path.is_file():
        raise InputError(f"{name} does not exist; give a .keras file or the name of a model.")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever a foreign file brings
        raise InputError(f"{name} cannot be read as a Keras model ({_first(error)}).") from error


def _counted(model, name, input_shape):
    try:
        return report(model, input_shape)
    except ValueError as error:
        raise _unfit(name, input_shape, error) from error


def _unfit(name, input_shape, error):
    given = "without --input" if input_shape is None else f"for --input {_listed(input_shape)}"
    return InputError(f"{name} cannot be counted {given} ({_first(error)}).")


def _listed(shape):
    return ",".join(map(str, shape))


def _first(error):
    """The first sentence of an error's message."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0].rstrip(".")
