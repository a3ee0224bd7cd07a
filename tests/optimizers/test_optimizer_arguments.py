"""Arguments of the optimizers: defaults by convention, round trip, errors."""

import re

import keras
import pytest

from kerakit.optimizers import SGD, AdaGrad, Adam, RMSProp

EACH = [SGD, AdaGrad, RMSProp, Adam]


@pytest.mark.parametrize(("part", "epsilon"), [(AdaGrad, 1e-10), (RMSProp, 1e-8), (Adam, 1e-8)])
def test_default_epsilon_is_the_conventions(part, epsilon):
    assert part().epsilon == keras.config.epsilon()
    assert part(convention="torch").epsilon == epsilon
    assert part(convention="torch", epsilon=0.5).epsilon == 0.5


def test_default_beta_of_rmsprop_is_the_conventions():
    assert RMSProp().beta == 0.9
    assert RMSProp(convention="torch").beta == 0.99
    assert RMSProp(convention="torch", beta=0.5).beta == 0.5


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.5, momentum=0.8, weight_decay=0.1, convention="torch", clipnorm=2.0),
        AdaGrad(0.5, epsilon=0.1, convention="torch", gradient_accumulation_steps=3),
        RMSProp(0.5, beta=0.7, epsilon=0.1, weight_decay=0.1, convention="torch", use_ema=True),
        Adam(0.5, beta_1=0.7, beta_2=0.8, epsilon=0.1, convention="torch", name="mine"),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_config_round_trip(optimizer):
    config = keras.optimizers.serialize(optimizer)
    again = keras.optimizers.deserialize(config)
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    for name in ("convention", "momentum", "epsilon", "beta", "beta_1", "beta_2", "weight_decay"):
        assert getattr(again, name, None) == getattr(optimizer, name, None)


@pytest.mark.parametrize("part", EACH)
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"clip_norm": 1.0}, "Argument(s) not recognized: {'clip_norm': 1.0}"),
        ({"nesterov": True}, "Argument(s) not recognized: {'nesterov': True}"),
        ({"decay": 0.1}, "`decay` is not an option: pass a schedule as `learning_rate`."),
        ({"convention": "pytorch"}, '`convention` must be "sheet" or "torch", got \'pytorch\'.'),
        ({"weight_decay": -0.1}, "`weight_decay` must be at least 0 or None, got -0.1."),
        ({"learning_rate": -0.1}, "`learning_rate` must be at least 0, got -0.1."),
    ],
)
def test_errors_of_all(part, option, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        part(**option)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(momentum=1.0), "`momentum` must be in [0, 1), got 1.0."),
        (lambda: RMSProp(beta=-0.1), "`beta` must be in [0, 1) or None, got -0.1."),
        (lambda: Adam(beta_1=1.0), "`beta_1` must be in [0, 1), got 1.0."),
        (lambda: Adam(beta_2=2.0), "`beta_2` must be in [0, 1), got 2.0."),
        (lambda: AdaGrad(epsilon=0.0), "`epsilon` must be positive or None, got 0.0."),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize("part", [AdaGrad, RMSProp, Adam])
def test_float16_variables_are_refused(part):
    weight = keras.Variable([0.0], dtype="float16", name="kernel")
    message = (
        f"{part.__name__} squares gradients, which float16 cannot hold: keep kernel in "
        "float32, as the policy `mixed_float16` does."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        part().build([weight])
