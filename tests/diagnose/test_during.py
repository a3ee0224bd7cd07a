"""Planted faults in trainings on the digits, each beside a healthy twin."""

import math

import keras
import numpy as np
import pytest

from kerakit.diagnose import during
from kerakit.diagnose.during import during_training
from kerakit.diagnose.watched import Look, Watched
from tests.diagnose.watched_runs import conv_net, dense_net, watched

SGD, Adam = keras.optimizers.SGD, keras.optimizers.Adam


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def rules(diagnosis):
    return [finding.rule for finding in diagnosis.findings if finding.severity != "hint"]


@pytest.mark.parametrize(
    ("fault", "training"),
    [
        ("learning_rate_too_high", lambda: watched(dense_net(), optimizer=SGD(3.0, momentum=0.9))),
        ("learning_rate_too_high", lambda: watched(conv_net(), optimizer=Adam(0.3))),
        ("learning_rate_too_low", lambda: watched(dense_net(), optimizer=Adam(1e-6))),
        ("learning_rate_too_low", lambda: watched(conv_net(momentum=0.9), optimizer=SGD(1e-5))),
        ("vanishing_gradients", lambda: watched(dense_net(10, "sigmoid"))),
        ("dead_relus", lambda: watched(conv_net(bias_initializer=constant(-4.0)))),
        ("batch_norm_drift", lambda: watched(conv_net(momentum=0.9999), epochs=6)),
        ("overfitting", lambda: watched(dense_net(units=256), examples=60, epochs=100)),
        ("underfitting", lambda: watched(dense_net(activation="tanh", units=1), epochs=8)),
    ],
)
def test_a_planted_fault_is_named_first(fault, training):
    assert training().diagnosis.first.rule == fault


def constant(value):
    return keras.initializers.Constant(value)


def cosine(steps, peak):
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - 45, warmup_target=peak, warmup_steps=45
    )


def frozen():
    body = conv_net(momentum=0.9)
    watched(body, epochs=2)
    body.pop()
    body.trainable = False
    images = keras.Input((8, 8, 1))
    return keras.Model(images, keras.layers.Dense(10)(body(images, training=False)))


@pytest.mark.parametrize(
    "training",
    [
        lambda: watched(conv_net(), epochs=6),
        lambda: watched(dense_net(), epochs=5),
        lambda: watched(conv_net(momentum=0.99), epochs=2),
        lambda: watched(conv_net(momentum=0.99), epochs=5),
        lambda: watched(conv_net(momentum=0.9), optimizer=SGD(cosine(270, 0.1), momentum=0.9),
                        epochs=6),
        lambda: watched(dense_net(2, "tanh"), epochs=4),
        lambda: watched(dense_net(), epochs=1),
        lambda: watched(frozen(), optimizer=Adam(1e-2), epochs=6),
    ],
    ids=["conv", "dense", "norms", "norms_5", "cosine", "tanh", "one_epoch", "frozen"],
)  # fmt: skip
def test_a_healthy_training_is_quiet(training):
    diagnosis = training().diagnosis
    assert diagnosis.quiet, str(diagnosis)


def curves(**figures):
    rows = [dict(zip(figures, row, strict=True)) for row in zip(*figures.values(), strict=True)]
    return during_training(Watched(epochs=tuple(rows)))


def test_curves_alone():
    fell = [2.3 * 0.6**epoch for epoch in range(8)]
    assert curves(loss=fell, val_loss=[1.1 * loss for loss in fell]).findings == ()
    rose = [2.2, 1.4, 0.9, 0.7, 0.8, 0.9, 1.0, 1.2]
    assert rules(curves(loss=fell, val_loss=rose)) == ["overfitting"]
    assert rules(curves(loss=[2.30, 2.31, 2.29, 2.30])) == ["no_initial_progress"]
    assert rules(curves(loss=[2.3, 2.1, 2.05, 2.04])) == ["loss_not_decreasing"]
    assert rules(curves(loss=[2.3, 0.9, 0.8, 2.2])) == ["loss_not_decreasing"]
    assert rules(curves(loss=[2.3, 40.0, 900.0])) == ["loss_explodes", "no_initial_progress"]
    broken = curves(loss=[2.3, 1.5, math.nan])
    assert (broken.first.rule, broken.first.severity) == ("loss_explodes", "error")
    # Dropout: worse in training than in testing.
    assert curves(loss=fell, val_loss=[0.5 * loss for loss in fell]).findings == ()


def looks(norms, *, steps=None, **model):
    """Looks at a classifier of ten with these gradient norms by layer, a list a look."""
    found = []
    for step, row in zip(steps or (0, 1, 10, 30, 100), norms, strict=True):
        layers = {f"layer_{i}": {"gradient_norm": norm} for i, norm in enumerate(row)}
        whole = {"loss": 2.3 * 0.9**step, "chance": math.log(10), "probe_loss": 1.0}
        found.append(Look(step, whole | {"gradient_norm": np.linalg.norm(row)} | model, layers))
    return Watched(tuple(found))


def test_gradients_by_layer():
    even = [[1.0, 2.0, 0.5, 1.0]] * 5
    assert during_training(looks(even)).findings == ()
    fading = [[1e-5, 1e-4, 1e-2, 1.0]] * 5
    (finding,) = during_training(looks(fading)).findings
    assert (finding.rule, finding.place) == ("vanishing_gradients", "layer_0")
    assert finding.evidence["share"] == pytest.approx(1e-5)
    # A last layer that starts at 0 lets nothing through in the first step.
    assert during_training(looks([[0, 0, 0, 1.0], *even[1:]])).findings == ()
    growing = [*even[:4], [100.0, 900.0, 3.0, 1.0]]
    (finding,) = during_training(looks(growing)).findings
    assert (finding.rule, finding.place) == ("exploding_gradients", "layer_1")
    # The last gradients of a model that learnt all are tiny in every layer.
    tiny = [*even[:4], [1e-7, 2e-7, 1e-7, 1e-7]]
    assert during_training(looks(tiny)).findings == ()


def test_a_loss_that_was_wrong_before_the_first_step_does_not_blame_the_rate():
    start = {"loss": 900.0, "highest_loss": 900.0, "chance": math.log(10)}
    row = {"a": {"update_ratio": 0.5}}
    broken = Look(30, {"loss": math.nan, "highest_loss": math.nan}, row)
    found = during_training(Watched((Look(0, start, row), broken)))
    assert [(f.rule, f.severity) for f in found.findings] == [("loss_explodes", "warning")]


def test_nothing_seen_is_nothing_said():
    assert during_training(Watched()).findings == ()
    assert during_training(Watched(epochs=({"loss": 2.3},))).findings == ()


def rows(losses, **figures):
    names = list(figures)
    given = zip(losses, *figures.values(), strict=True)
    return tuple({"loss": loss, **dict(zip(names, rest, strict=True))} for loss, *rest in given)


@pytest.mark.parametrize("loss", [-100.0, 0.0])
def test_losses_without_ratios_are_not_compared(loss):
    assert during_training(Watched(epochs=rows([loss + 1, loss, loss, 2 * loss, loss]))).quiet


def test_a_training_whose_accuracy_is_high_learns_whatever_its_loss():
    for losses in ([0.30, 0.295, 0.292, 0.29], [22.3, 21.0, 20.2, 19.9]):
        assert not during_training(Watched(epochs=rows(losses))).quiet
        known = rows(losses, val_accuracy=[0.9, 0.92, 0.93, 0.95])
        assert during_training(Watched(epochs=known)).quiet


def test_a_low_rate_is_right_for_what_has_learnt():
    figures = {"weight_norm": 1.0, "update_ratio": 1e-5}
    looks = [Look(step, {"loss": 2.3, "learning_rate": 1e-4}, {"d": figures}) for step in (0, 100)]
    unknown, known = rows([2.2, 2.1]), rows([2.2, 2.1], accuracy=[0.9, 0.95])
    names = [
        {finding.rule for finding in during_training(Watched(tuple(looks), epochs)).findings}
        for epochs in (unknown, known)
    ]
    assert "learning_rate_too_low" in names[0] - names[1]


def test_weights_that_are_no_numbers_are_named_and_not_the_units_behind_them():
    figures = {"weight_norm": math.nan, "dead_share": 1.0, "values_a_unit": 64.0}
    looks = [Look(step, {"loss": 2.3, "chance": 2.3}, {"conv": figures}) for step in (0, 100)]
    first = during_training(Watched(tuple(looks))).first
    assert (first.rule, first.severity) == ("loss_explodes", "error")
    assert "`conv` are no numbers any more at step 0" in first.message


def test_a_loss_that_is_no_number_from_the_first_step_does_not_blame_the_rate():
    looks = (Look(0, {"loss": math.nan, "learning_rate": 1e-3}),)
    found = during_training(Watched(looks, rows([math.nan]))).findings
    assert [finding.rule for finding in found] == ["loss_explodes"]


def test_held_out_losses_that_are_no_numbers_are_no_overfitting():
    epochs = rows([2.0, 1.0, 0.5, 0.2], val_loss=[2.0, 1.5, math.nan, math.nan])
    assert "overfitting" not in [f.rule for f in during_training(Watched(epochs=epochs)).findings]


def test_a_rule_that_fails_is_one_rule_less(monkeypatch):
    def fails(watched):
        raise KeyError("a figure")

    monkeypatch.setattr(during, "RULES", (fails, *during.RULES))
    assert during_training(Watched(epochs=rows([2.0, 1.0, 0.5]))).quiet
