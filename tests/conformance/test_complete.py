"""Every public part has a case, an example that runs and the words a reader needs."""

import inspect
import pathlib

import keras
import pytest

import kerakit
from tests.conformance.case import BASES
from tests.conformance.cases import CASES

ROOT = pathlib.Path(__file__).parents[2]
# No parts that Keras saves or compiles, and TensorFlow's alone, so that the cases, which run on
# every backend, cannot hold them. Each has tests of its own under tests/.
TENSORFLOW_ONLY = {"augment", "data", "export", "runs", "serve", "training"}
# Tools that look at parts or fill them: nothing of them is part of a model.
TOOLS = {"cost", "diagnose", "explain", "gradients", "weights"}
# Holds packages of builders, which come below.
NESTED = {"models"}
PACKAGES = sorted(set(kerakit.__all__) - TENSORFLOW_ONLY - TOOLS - NESTED)
# Public, and no part of a model or its training: tables, reports and what they consist of.
NOT_PARTS = {"TABLE", "Activation", "advice", "Penalty", "PenaltyReport", "report"}


def public():
    modules = [getattr(kerakit, name) for name in PACKAGES]
    modules += [getattr(kerakit.models, name) for name in kerakit.models.__all__]
    for module in modules:
        for name in module.__all__:
            if name not in NOT_PARTS:
                yield getattr(module, name)


PARTS = list(public())


def test_what_is_left_out_exists():
    assert set(kerakit.__all__) >= TENSORFLOW_ONLY | TOOLS | NESTED
    names = {name for package in PACKAGES for name in getattr(kerakit, package).__all__}
    assert names >= NOT_PARTS


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_has_a_case(part):
    if part.__module__.startswith("kerakit.models.detection."):
        # Detectors take targets of many parts: what a case buys stands in files of their own.
        tests = "".join(
            file.read_text("utf-8") for file in ROOT.glob("tests/models/detection/test_*.py")
        )
        assert part.__name__ in tests, f"{part.__name__} is public and has no test"
        return
    # The sizes of a family of models are one function, of which one size stands for all.
    is_model = part.__module__.startswith("kerakit.models.")
    assert any(
        case.part is part or (is_model and case.part.__module__ == part.__module__)
        for case in CASES
    ), f"{part.__module__}.{part.__name__} is public and has no line in tests/conformance/cases.py"


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_is_registered_under_the_package(part):
    # Keras saves an activation by its name; it does not save callbacks, and no other function.
    is_saved = inspect.getmodule(part) is kerakit.activations
    if inspect.isclass(part) and issubclass(part, tuple(BASES.values())):
        is_saved = not issubclass(part, keras.callbacks.Callback)
    if is_saved:
        assert keras.saving.get_registered_name(part) == f"kerakit>{part.__name__}"
        assert keras.saving.get_registered_object(f"kerakit>{part.__name__}") is part


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_takes_at_most_two_positional_arguments(part):
    target = part.__init__ if inspect.isclass(part) else part
    kinds = [p.kind for name, p in inspect.signature(target).parameters.items() if name != "self"]
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) <= 2


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_docstring(part):
    text = inspect.getdoc(part)
    assert text, f"{part.__name__} has no docstring"
    first = text.splitlines()[0]
    assert first.endswith("."), f"the first line of {part.__name__}'s docstring is no sentence"
    documented = vars(part).get("__init__") if inspect.isclass(part) else part
    parameters = inspect.signature(documented).parameters if documented else {}
    for name, parameter in parameters.items():
        named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if named and name not in ("self", "name", "dtype"):
            assert f"{name}:" in text, f"{part.__name__}'s docstring does not describe `{name}`"
    is_model = inspect.getmodule(part).__name__.startswith("kerakit.models.")
    assert is_model or ">>>" in text, f"{part.__name__}'s docstring has no example"
