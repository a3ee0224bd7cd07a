"""A thousand recorded gradients under a changing rate: against PyTorch, against the sheet."""

from pathlib import Path

import keras
import numpy as np
import pytest

from kerakit.optimizers import SGD, AdaGrad, Adam, RMSProp
from tests.golden.optimizers import STEPS, STRETCH, TORCH_CASES, checksum, recorded_run

GOLDEN = Path(__file__).parents[1] / "golden" / "optimizers.npz"
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
OURS = {"SGD": SGD, "Adagrad": AdaGrad, "RMSprop": RMSProp, "Adam": Adam}


def in_our_words(options):
    """Options of `torch.optim` under kerakit's names."""
    options = dict(options)
    if "alpha" in options:
        options["beta"] = options.pop("alpha")
    if "betas" in options:
        options["beta_1"], options["beta_2"] = options.pop("betas")
    return options


def replay(optimizer, walk):
    """Weights after each stretch, (20, 4, 5), of compiled steps given the run."""
    precision = keras.config.floatx()
    gradients, rates, weights = (x.astype(precision) for x in recorded_run())
    variable = keras.Variable(weights, dtype=precision)
    stretch = walk(optimizer, variable)
    kept = []
    for start in range(0, STEPS, STRETCH):
        stretch(gradients[start : start + STRETCH], rates[start : start + STRETCH])
        kept.append(keras.ops.convert_to_numpy(variable.value).astype("float64"))
    return np.stack(kept)


def distance(found, expected):
    """Largest difference over largest weight; printed, for the one who asks with `pytest -s`."""
    largest = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{keras.config.floatx()} {largest:.1e}")
    return largest


def test_the_run_is_the_one_that_was_recorded():
    with np.load(GOLDEN) as golden:
        assert checksum(*recorded_run()) == golden["checksum"], (
            "NumPy draws other numbers: python -m tests.golden.regenerate optimizers"
        )


@pytest.mark.parametrize("case", TORCH_CASES)
def test_follows_torch(case, precision, walk):
    name, options = TORCH_CASES[case]
    optimizer = OURS[name](1.0, convention="torch", **in_our_words(options))
    with np.load(GOLDEN) as golden:
        assert distance(replay(optimizer, walk), golden[case]) <= TOLERANCE[precision]


# The sheet's formulas, each a step that is told t = 1, 2, ... and keeps its state.
def sheet_sgd(momentum=0.0):
    v = 0.0

    def step(w, g, rate, t):
        nonlocal v
        v = momentum * v + rate * g
        return w - v

    return step


def sheet_adagrad(epsilon=1e-7):
    c = 0.0

    def step(w, g, rate, t):
        nonlocal c
        c = c + g**2
        return w - rate * g / (np.sqrt(c) + epsilon)

    return step


def sheet_rmsprop(beta=0.9, epsilon=1e-7):
    c = 0.0

    def step(w, g, rate, t):
        nonlocal c
        c = beta * c + (1 - beta) * g**2
        return w - rate * g / (np.sqrt(c) + epsilon)

    return step


def sheet_adam(beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = v = 0.0

    def step(w, g, rate, t):
        nonlocal m, v
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        corrected_m, corrected_v = m / (1 - beta_1**t), v / (1 - beta_2**t)
        return w - rate * corrected_m / (np.sqrt(corrected_v) + epsilon)

    return step


SHEET = {SGD: sheet_sgd, AdaGrad: sheet_adagrad, RMSProp: sheet_rmsprop, Adam: sheet_adam}
SHEET_CASES = [
    (SGD, {}),
    (SGD, {"momentum": 0.9}),
    (AdaGrad, {}),
    (AdaGrad, {"epsilon": 1e-3}),
    (RMSProp, {}),
    (RMSProp, {"beta": 0.8, "epsilon": 1e-3}),
    (Adam, {}),
    (Adam, {"beta_1": 0.0, "beta_2": 0.9, "epsilon": 1e-3}),
]


def by_the_sheet(step, weight_decay):
    gradients, rates, weights = recorded_run()
    kept = []
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True)):
        weights = step(weights, gradient + weight_decay * weights, rate, t + 1)
        if (t + 1) % STRETCH == 0:
            kept.append(weights)
    return np.stack(kept)


@pytest.mark.parametrize(
    ("part", "options", "weight_decay"),
    [(*case, 0.0) for case in SHEET_CASES] + [(part, {}, 0.01) for part in SHEET],
)
def test_follows_the_sheet(part, options, weight_decay, precision, walk):
    expected = by_the_sheet(SHEET[part](**options), weight_decay)
    optimizer = part(1.0, weight_decay=weight_decay, **options)
    assert distance(replay(optimizer, walk), expected) <= TOLERANCE[precision]
