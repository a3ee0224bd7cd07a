import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.regularizers import L1, L2, ElasticNet, report

WEIGHTS = np.array([[3.0, -1.0, 0.0], [0.5, -2.5, 1e-3]])

# Regularizer, its value and its gradient by the sheet.
CASES = [
    (L1(0.3), lambda w: 0.3 * np.abs(w).sum(), lambda w: 0.3 * np.sign(w)),
    (L2(0.3), lambda w: 0.3 / 2 * (w**2).sum(), lambda w: 0.3 * w),
    (
        ElasticNet(l1=0.3, l2=0.2),
        lambda w: 0.3 * np.abs(w).sum() + 0.2 * (w**2).sum(),
        lambda w: 0.3 * np.sign(w) + 2 * 0.2 * w,
    ),
]
IDS = ["L1", "L2", "ElasticNet"]


@pytest.mark.parametrize(("regularizer", "value", "slope"), CASES, ids=IDS)
def test_value_and_gradient_are_the_sheets(regularizer, value, slope):
    with gradients.float64_scope():
        assert float(regularizer(ops.array(WEIGHTS))) == pytest.approx(value(WEIGHTS), rel=1e-15)
        (automatic,) = gradients.gradient(regularizer, WEIGHTS)
        # A weight of zero is among them: sign(0) is 0, on every backend.
        np.testing.assert_allclose(automatic, slope(WEIGHTS), rtol=1e-15)


@pytest.mark.parametrize(("regularizer", "value", "slope"), CASES, ids=IDS)
def test_gradient_check(regularizer, value, slope):
    gradients.check(regularizer, WEIGHTS[:, :2]).raise_if_failed()


def test_keras_has_no_half():
    weights = ops.array([3.0, -1.0])
    assert float(keras.regularizers.L2(0.5)(weights)) == 5.0
    assert float(L2(0.5)(weights)) == 2.5


def test_keras_l1_rounds_its_factor_and_differs_at_zero_on_jax():
    assert keras.regularizers.L1(0.01).get_config() == {"l1": 0.009999999776482582}
    assert L1(0.01).get_config() == {"l1": 0.01}
    (slope,) = gradients.gradient(keras.regularizers.L1(0.5), np.zeros(1, "float32"))
    assert float(slope[0]) == {"tensorflow": 0.0, "jax": 0.5, "torch": 0.0}[keras.backend.backend()]


@pytest.mark.parametrize(("regularizer", "value", "slope"), CASES, ids=IDS)
def test_round_trip_in_a_layer(regularizer, value, slope):
    layer = keras.layers.Dense(3, kernel_regularizer=regularizer)
    copy = keras.layers.Dense.from_config(layer.get_config()).kernel_regularizer
    assert type(copy) is type(regularizer)
    assert copy.get_config() == regularizer.get_config()


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize(("part", "name"), [(L1, "l1"), (L2, "l2"), (ElasticNet, "l2")])
def test_factors_must_not_be_negative(part, name, bad):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 0 and finite, got {bad}"):
        part(**{name: bad})


def test_sgd_with_l2_is_weight_decay(rng):
    """From W - lr (g + l2 W)."""
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")
    steps = []
    for regularizer in (None, L2(0.1)):
        layer = keras.layers.Dense(
            1, kernel_initializer=keras.initializers.Ones(), kernel_regularizer=regularizer
        )
        model = keras.Sequential([keras.Input((4,)), layer])
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.fit(x, y, batch_size=8, verbose=0)
        steps.append(ops.convert_to_numpy(layer.kernel))
    np.testing.assert_allclose(steps[0] - steps[1], 0.5 * 0.1 * np.ones((4, 1)), rtol=1e-5)


def small_model():
    dense, conv = keras.layers.Dense, keras.layers.Conv2D
    inputs = keras.Input((6, 6, 2))
    x = conv(3, 3, kernel_regularizer=L1(0.02), bias_regularizer=L2(0.5), name="conv")(inputs)
    inner = keras.Sequential(
        [keras.Input((48,)), dense(4, kernel_regularizer=ElasticNet(0.01, 0.03), name="dense")],
        name="inner",
    )
    frozen = dense(4, kernel_regularizer=L2(0.1), trainable=False, name="frozen")
    plain = dense(2, name="plain", kernel_regularizer=double_sum)
    outputs = plain(frozen(inner(keras.layers.Flatten()(x))))
    return keras.Model(inputs, outputs, name="small")


def double_sum(weights):
    return 2.0 * ops.sum(weights)


def test_report_lists_each_weight_and_adds_up():
    model = small_model()
    for weight in model.get_layer("conv").weights:
        weight.assign(np.full(weight.shape, 2.0))
    found = report(model)
    rows = {(row.layer.rpartition("/")[2], row.weight): row for row in found.rows}
    assert list(rows) == [
        ("conv", "kernel"),
        ("conv", "bias"),
        ("dense", "kernel"),
        ("plain", "kernel"),
    ]
    assert rows["conv", "kernel"].value == pytest.approx(0.02 * 2 * 3 * 3 * 2 * 3)
    assert rows["conv", "bias"].value == pytest.approx(0.5 / 2 * 4 * 3)
    assert rows["conv", "bias"].regularizer == "L2(l2=0.5)"
    assert rows["dense", "kernel"].regularizer == "ElasticNet(l1=0.01, l2=0.03)"
    assert rows["plain", "kernel"].regularizer == "double_sum"
    assert found.total == pytest.approx(float(ops.convert_to_numpy(sum(model.losses))), rel=1e-6)
    conv = rows["conv", "kernel"].layer
    assert found.by_layer[conv] == rows["conv", "kernel"].value + rows["conv", "bias"].value


def test_report_counts_what_a_call_recorded(rng):
    inputs = keras.Input((3,))
    layer = keras.layers.Dense(2, kernel_regularizer=L2(0.1), activity_regularizer=L1(0.5))
    model = keras.Model(inputs, layer(inputs))
    x = rng.normal(size=(4, 3)).astype("float32")
    outputs = model(x)
    found = report(model)
    assert found.rows[-1].regularizer == "recorded by the last call"
    # Keras divides an activity's penalty by the batch size.
    expected = 0.5 * np.abs(ops.convert_to_numpy(outputs)).sum() / 4
    assert found.rows[-1].value == pytest.approx(expected, rel=1e-5)
    assert found.total == pytest.approx(float(ops.convert_to_numpy(sum(model.losses))), rel=1e-6)


def test_report_reads_as_a_table():
    lines = str(report(small_model())).splitlines()
    assert lines[0].split() == ["layer", "weight", "regularizer", "penalty"]
    assert lines[-1].split()[0] == "total"
    assert len({len(line) for line in lines}) == 1


def test_report_of_a_model_without_regularizers():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert report(model).total == 0.0
    assert report(model).rows == ()
