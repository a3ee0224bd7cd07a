import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.gradients import check, float64_scope, gradient

BACKEND = keras.backend.backend()


def wrong_at(index, shape):
    """x^2 whose automatic gradient is half of the truth at one entry."""
    entry = np.zeros(shape)
    entry[index] = 1

    def function(x):
        mask = ops.convert_to_tensor(entry, dtype="float64")
        return x * (mask * ops.stop_gradient(x) + (1 - mask) * x)

    return function


# gradient


def test_gradient_of_several_inputs(rng):
    with float64_scope():
        x, y = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
        by_x, by_y = gradient(lambda a, b: a @ b, x, y)
        np.testing.assert_allclose(by_x, np.ones((3, 2)) @ y.T, rtol=1e-13)
        np.testing.assert_allclose(by_y, x.T @ np.ones((3, 2)), rtol=1e-13)


def test_gradient_passes_integers_on_and_gives_zeros_for_the_unused():
    labels, x = np.array([2, 0]), np.array([[1.0, 2.0, 3.0]], "float32")
    none, by_x, unused = gradient(lambda i, a, b: ops.take(a, i, axis=1) * 5, labels, x, x)
    assert none is None
    np.testing.assert_array_equal(by_x, [[5.0, 0.0, 5.0]])
    np.testing.assert_array_equal(unused, np.zeros((1, 3)))


def test_gradient_sums_a_structure_of_outputs():
    (by_x,) = gradient(lambda x: {"a": x**2, "b": [3.0 * x, ops.argmax(x)]}, np.array([1.0, 4.0]))
    np.testing.assert_allclose(by_x, [5.0, 11.0])


def test_gradient_by_variables_and_of_a_variable(rng):
    layer = keras.layers.Dense(2)
    x = rng.normal(size=(5, 3)).astype("float32")
    layer.build(x.shape)
    by_x, by_kernel, by_bias = gradient(layer, x, variables=layer.trainable_variables)
    np.testing.assert_allclose(
        by_x, np.tile(ops.convert_to_numpy(layer.kernel).sum(axis=1), (5, 1)), rtol=1e-5
    )
    np.testing.assert_allclose(by_kernel, np.tile(x.sum(axis=0)[:, None], 2), rtol=1e-5)
    np.testing.assert_array_equal(by_bias, [5.0, 5.0])
    (by_itself,) = gradient(lambda w: ops.sum(w * w), layer.kernel)
    np.testing.assert_allclose(by_itself, 2 * ops.convert_to_numpy(layer.kernel), rtol=1e-6)


def test_gradient_leaves_the_state_alone(rng):
    norm, dropout = keras.layers.BatchNormalization(), keras.layers.Dropout(0.5, seed=1)
    x = rng.normal(size=(8, 3)).astype("float32") + 5
    norm.build(x.shape)
    state = [*norm.non_trainable_variables, dropout.seed_generator.state]
    before = [ops.convert_to_numpy(v).copy() for v in state]
    draws = [
        gradient(lambda x: dropout(norm(x, training=True), training=True) ** 2, x)[0]
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, draws))
    for variable, value in zip(state, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)


def test_gradient_of_integers_is_refused():
    with pytest.raises(ValueError, match="`function` must return at least one float tensor"):
        gradient(ops.argmax, np.array([1.0, 2.0]))


# check: what is right passes


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.exp(x) * ops.sin(x),
        lambda x: ops.softmax(x),
        lambda x: ops.mean(ops.tanh(x)),
        lambda x: ops.logsumexp(x, axis=0) / 1e6,
        lambda x: 1e6 * ops.sqrt(1 + x * x),
        lambda x: {"sum": ops.sum(x**3), "order": ops.argsort(x), "norm": ops.norm(x)},
        lambda x: ops.zeros_like(x),
        lambda x: x - ops.mean(x, axis=-1, keepdims=True),
    ],
    ids=["product", "softmax", "mean", "tiny", "huge", "structure", "constant", "centred"],
)
def test_right_gradients_pass(function, rng):
    report = check(function, rng.normal(size=(3, 4)))
    report.raise_if_failed()
    assert report.max_error < 1e-8
    assert report.num_checked == 12


def dense():
    return keras.layers.Dense(4, activation="gelu", dtype="float64")


def convolution():
    return keras.layers.Conv2D(2, 3, activation="tanh", dtype="float64")


def normalization():
    return keras.layers.LayerNormalization(dtype="float64")


@pytest.mark.parametrize(
    ("make", "shape", "names"),
    [
        (dense, (3, 5), {"kernel", "bias"}),
        (convolution, (2, 5, 5, 2), {"kernel", "bias"}),
        (normalization, (3, 6), {"gamma", "beta"}),
    ],
)
def test_layers_pass_with_their_weights(make, shape, names, rng):
    with float64_scope():
        report = check(make(), rng.normal(size=shape), max_entries=20)
    # TensorFlow's gelu holds a constant in float32: off by 1e-8 of itself, both ways.
    report.raise_if_failed()
    assert {entry.tensor.rpartition("/")[2] for entry in report.entries} == {"input 0", *names}


def test_a_layer_in_training_repeats_its_draws_and_keeps_its_state(rng):
    x = rng.normal(size=(6, 3))
    with float64_scope():
        norm = keras.layers.BatchNormalization(dtype="float64")
        dropout = keras.layers.Dropout(0.5, seed=3, dtype="float64")
        norm.build(x.shape)
        report = check(
            lambda x: dropout(norm(x, training=True), training=True),
            x,
            variables=norm.trainable_variables,
        )
        report.raise_if_failed()
        np.testing.assert_array_equal(ops.convert_to_numpy(norm.moving_mean), np.zeros(3))
    assert report.num_checked == 18 + 6


def test_a_loss_with_integer_labels(rng):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")
    report = check(loss, rng.integers(0, 5, 7), rng.normal(size=(7, 5)))
    report.raise_if_failed()
    assert [entry.tensor for entry in report.entries] == ["input 1"]


def test_inputs_may_be_lists_and_dicts(rng):
    boxes, scores = rng.normal(size=(2, 4)), rng.normal(size=2)
    report = check(
        lambda pair, more: pair[0] * pair[1][:, None] + more["offset"],
        [boxes, scores],
        {"offset": 1.5},
    )
    report.raise_if_failed()
    assert {entry.tensor for entry in report.entries} == {
        "input 0.0",
        "input 0.1",
        "input 1.offset",
    }


# check: what is wrong is found


@pytest.mark.parametrize("index", [(0, 0), (2, 1)])
def test_the_wrong_entry_is_named(index, rng):
    x = rng.uniform(1, 2, (3, 4))
    report = check(wrong_at(index, (3, 4)), x)
    assert not report.passed
    assert (report.worst.tensor, report.worst.index) == ("input 0", index)
    # The slope is 2x, the automatic one x, both times the same projection.
    assert report.worst.numeric == pytest.approx(2 * report.worst.automatic, rel=1e-8)
    assert report.worst.relative == pytest.approx(0.5, rel=1e-8)
    assert report.worst.absolute == pytest.approx(abs(report.worst.automatic), rel=1e-8)


def test_a_wrong_gradient_is_found_however_small(rng):
    """Of a mean over many outputs, each derivative is 1e-5: no absolute tolerance would do."""
    x = rng.uniform(1, 2, 100_000)
    report = check(lambda x: ops.mean(x * ops.stop_gradient(x)), x, max_entries=5)
    assert not report.passed
    assert report.worst.relative == pytest.approx(0.5, rel=1e-4)


def test_a_wrong_gradient_of_one_output_among_many_is_found(rng):
    report = check(lambda x: ops.append(x, x[:1] * ops.stop_gradient(x[:1])), rng.uniform(1, 2, 50))
    assert not report.passed
    assert report.worst.index == (0,)


def test_a_wrong_gradient_of_a_weight_is_found(rng):
    with float64_scope():
        layer = keras.layers.Dense(2, dtype="float64")
        layer.build((3, 4))
        report = check(
            lambda x: x @ layer.kernel + ops.stop_gradient(ops.convert_to_tensor(layer.bias)),
            rng.normal(size=(3, 4)),
            variables=layer.trainable_variables,
        )
    assert not report.passed
    assert report.worst.tensor == layer.bias.path
    assert report.worst.automatic == 0.0


def test_an_automatic_gradient_of_nan_fails():
    # The slope of sqrt at 0 is inf, and inf * 0 is NaN.
    report = check(lambda x: ops.sqrt(0.0 * x) + x, np.array([1.0, 0.5]))
    assert not report.passed
    assert np.isnan(report.worst.automatic)
    assert report.max_error == np.inf


def test_within_a_step_of_a_kink_it_fails_and_beyond_it_passes():
    assert not check(ops.relu, np.array([1.0, 3e-6])).passed
    assert check(ops.relu, np.array([1.0, 3e-6]), step=1e-6).passed
    assert check(ops.relu, np.array([1.0, -1e-4])).passed


def test_report_reads_as_a_table(rng):
    x = rng.uniform(1, 2, (3, 4))
    failed, passed = check(wrong_at((2, 1), (3, 4)), x), check(lambda x: x**2, x)
    head, columns, row = str(failed).splitlines()
    assert head.startswith("Gradient check FAILED: largest error 0.")
    assert head.endswith("at most 1e-06 allowed; 12 derivatives compared.")
    assert columns.split()[2:] == ["index", "numeric", "automatic", "absolute", "relative", "error"]
    assert row.startswith("input 0          (2, 1)")
    assert str(passed).startswith("Gradient check passed: largest error")
    with pytest.raises(AssertionError, match=re.escape(head)):
        failed.raise_if_failed()
    passed.raise_if_failed()


def test_large_tensors_are_sampled_the_same_each_time(rng):
    x = rng.normal(size=(40, 50))
    first, again = (check(lambda x: x**3, x, max_entries=30, seed=4) for _ in range(2))
    assert first.num_checked == 30
    assert first == again
    assert check(lambda x: x**3, x, max_entries=30, seed=5) != first


# check: what did not run in float64 is refused


@pytest.mark.parametrize("tolerance", [1e-6, 1.0])
def test_a_float32_step_in_between_is_refused(tolerance, rng):
    def function(x):
        return ops.cast(ops.tanh(ops.cast(x, "float32")), "float64") * x

    with pytest.raises(ValueError, match=r"float64 throughout .* Look for a float32 inside"):
        check(function, rng.normal(size=(3, 4)), tolerance=tolerance)


def test_a_float32_result_is_refused(rng):
    x = rng.normal(size=(3, 4))
    for function in (lambda x: ops.cast(x, "float32"), keras.losses.MeanSquaredError()):
        inputs = (x, x) if isinstance(function, keras.Loss) else (x,)
        with pytest.raises(ValueError, match="must compute in float64, it returned float32: make"):
            check(function, *inputs)


def test_a_float32_layer_is_refused(rng):
    with pytest.raises(ValueError, match=r"`variables` must be float64, dense.*/kernel is float32"):
        check(keras.layers.Dense(2), rng.normal(size=(3, 4)))


def test_a_jump_is_refused():
    with pytest.raises(ValueError, match="not jump, but its slope by input 0"):
        check(lambda x: ops.floor(x) + x, np.array([0.5, 2.0]))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_result_that_is_not_finite_is_refused():
    with pytest.raises(
        ValueError, match="must be finite around the inputs, it returned NaN or inf"
    ):
        check(ops.log, np.array([1.0, -1.0]))


@pytest.mark.parametrize("inputs", [(), (np.array([1, 2]),), (np.zeros((0, 3)),)])
def test_nothing_to_check_is_refused(inputs):
    with pytest.raises(ValueError, match="hold no float to differentiate by"):
        check(lambda *_: ops.ones(1), *inputs)


# float64


def promoted():
    return keras.backend.result_type("float64", float)


def test_scope_gives_float64_and_takes_it_back():
    before = promoted()
    assert before == ("float64" if BACKEND == "tensorflow" else "float32")
    with float64_scope():
        with float64_scope():
            assert promoted() == "float64"
        x = ops.convert_to_tensor(np.array([0.7]), dtype="float64")
        np.testing.assert_allclose(ops.convert_to_numpy(ops.tanh(x)), np.tanh([0.7]), rtol=1e-15)
    assert promoted() == before
    with pytest.raises(ValueError, match="finite"):
        check(lambda x: x / 0.0, np.array([1.0]))
    assert promoted() == before


@pytest.mark.skipif(BACKEND != "jax", reason="on TensorFlow it is there anyway")
def test_tensorflow_is_not_imported_on_jax():
    code = (
        "import sys, numpy, keras, kerakit.activations, kerakit.initializers, kerakit.losses,"
        " kerakit.regularizers, kerakit.gradients as g;"
        "assert g.check(lambda x: x * x, numpy.ones(2)).passed;"
        "assert 'tensorflow' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
