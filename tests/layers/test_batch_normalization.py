import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.layers import BatchNormalization
from tests.conformance.case import assert_close

# The two devices must be made before TensorFlow begins: a process of its own. Replica 0 gets 0 and
# 4, replica 1 gets 2 and 10: means 2 and 6, variances 4 and 16; of all four 4 and 14.
STRATEGY = """
import json
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from kerakit.layers import BatchNormalization

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def statistics(make):
    with strategy.scope():
        layer = make()
        model = keras.Sequential([keras.Input((1,)), layer])
        model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.array([[0.0], [4.0], [2.0], [10.0]], "float32")
    model.fit(x, x, batch_size=4, shuffle=False, verbose=0)
    moving = [float(w[0]) for w in layer.get_weights()[2:]]
    model.save_weights("moving.weights.h5")
    layer.set_weights([np.zeros(1)] * 4)
    model.load_weights("moving.weights.h5")
    return moving, [float(w[0]) for w in layer.get_weights()[2:]]

theirs = lambda: keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
print(json.dumps({
    "keras": statistics(theirs),
    "ours": statistics(BatchNormalization),
    "synchronized": statistics(lambda: BatchNormalization(synchronized=True)),
}))
"""

# The sum over both replicas of sin(y) w, and its slopes.
SLOPES = """
import sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kerakit.ops.batch_normalization import batch_normalization

given = dict(np.load("given.npz"))
dtype = sys.argv[1]
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def part(name):
    halves = np.split(given[name], 2)
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(halves[context.replica_id_in_sync_group], dtype)
    )

@tf.function
def step(x, w):
    gamma, beta = (tf.constant(given[name], dtype) for name in ("gamma", "beta"))
    with tf.GradientTape() as tape:
        tape.watch([x, gamma, beta])
        y, mean, variance = batch_normalization(x, gamma=gamma, beta=beta, synchronized=True)
        loss = tf.reduce_sum(tf.sin(y) * w)
    return y, mean, variance, *tape.gradient(loss, [x, gamma, beta])

found = strategy.run(step, (part("x"), part("w")))
names = "y", "mean", "variance", "x", "gamma", "beta"
parts = {
    name: [tf.cast(v, "float64").numpy() for v in strategy.experimental_local_results(value)]
    for name, value in zip(names, found)
}
both = {name: np.concatenate(parts[name]) for name in ("y", "x")}
both |= {name: sum(parts[name]) for name in ("gamma", "beta")}
np.savez("found.npz", **both, **{name: parts[name][1] for name in ("mean", "variance")})
"""


def run_alone(script, folder, *arguments):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
@pytest.mark.parametrize(
    ("dtype", "shape", "tolerance"),
    [
        ("float32", (6, 3, 5, 4), 1e-5),
        ("float32", (16, 4), 1e-5),
        ("float32", (4, 2, 3, 5, 4), 1e-5),
        ("float64", (6, 3, 5, 4), 1e-12),
        ("bfloat16", (6, 3, 5, 4), 2e-2),
    ],
)
def test_replicas_have_the_slopes_of_the_whole_batch(dtype, shape, tolerance, rng, tmp_path):
    """Those of the formula, in float64 and by one program."""
    given = {"x": rng.normal(size=shape) * 2 + 3, "w": rng.normal(size=shape)}
    given |= {"gamma": rng.uniform(0.5, 2, size=4), "beta": rng.normal(size=4)}
    # What both sides are given is what the type can hold.
    given = {k: np.array(ops.cast(ops.cast(v, dtype), "float64")) for k, v in given.items()}
    np.savez(tmp_path / "given.npz", **given)
    run_alone(SLOPES, tmp_path, dtype)
    found = np.load(tmp_path / "found.npz")
    expected = {}

    def loss(x, gamma, beta):
        axes = tuple(range(x.ndim - 1))
        mean = ops.mean(x, axes)
        variance = ops.mean(ops.square(x - mean), axes)
        y = gamma * (x - mean) / ops.sqrt(variance + 1e-5) + beta
        expected.update(y=y, mean=mean, variance=variance)
        return ops.sum(ops.sin(y) * given["w"])

    at = [ops.convert_to_tensor(given[name]) for name in ("x", "gamma", "beta")]
    for index, name in enumerate(("x", "gamma", "beta")):

        def of_one(value, index=index):
            return loss(*at[:index], value, *at[index + 1 :])

        slope = gradients.gradient(of_one, at[index])
        assert_close(
            found[name], slope, atol=tolerance * float(ops.max(ops.abs(slope))), rtol=tolerance
        )
    for name in ("y", "mean", "variance"):
        assert_close(found[name], expected[name], atol=tolerance, rtol=tolerance)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
def test_moving_statistics_are_the_mean_of_the_replicas(tmp_path):
    found = json.loads(run_alone(STRATEGY, tmp_path).splitlines()[-1])
    expected = {  # 0.9 old + 0.1 of the batch; the old are 0 and 1
        "keras": [0.1 * 2, 0.9 + 0.1 * 4],
        "ours": [0.1 * (2 + 6) / 2, 0.9 + 0.1 * (4 + 16) / 2],
        "synchronized": [0.1 * 4, 0.9 + 0.1 * 14],
    }
    for name, (moving, reloaded) in found.items():
        np.testing.assert_allclose(moving, expected[name], rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(reloaded, expected[name], rtol=1e-5, err_msg=name)


@pytest.fixture
def x(rng):
    return (rng.normal(size=(4, 3, 5, 6)) * 2 + 7).astype("float32")


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"axis": 1}])
def test_training_is_keras_own(options, x):
    """Outputs, gradients and moving statistics, where Keras computes by the formula."""
    ours = BatchNormalization(**options, gamma_initializer="random_uniform")
    theirs = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, **options)
    for layer in (ours, theirs):
        layer.build(x.shape)
    theirs.set_weights(ours.get_weights())
    assert_close(ours(x, training=True), theirs(x, training=True), atol=2e-5)
    for found, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(found, expected, rtol=1e-5, atol=1e-6)

    def slopes(layer):
        def loss(x):
            return keras.ops.sum(keras.ops.sin(layer(x, training=True)) * x)

        return gradients.gradient(loss, x, variables=layer.trainable_variables)

    for found, expected in zip(slopes(ours), slopes(theirs), strict=True):
        scale = np.abs(keras.ops.convert_to_numpy(expected)).max()
        assert_close(found, expected, atol=2e-5 * scale)


def test_does_not_lose_a_small_deviation_beside_a_large_mean(rng):
    x = (rng.normal(size=(64, 8, 8, 2)) + 1000).astype("float32")
    exact = x.astype("float64")
    expected = (exact - exact.mean((0, 1, 2))) / np.sqrt(exact.var((0, 1, 2)) + 1e-5)
    # The sum of 4,096 numbers near 1,000 is good to 1e-6 of it; a variance as the difference of
    # squares would be off by a tenth.
    assert_close(BatchNormalization()(x, training=True), expected, atol=5e-3)


@pytest.mark.parametrize("shape", [(6, 3), (4, 7, 3), (3, 2, 4, 5, 3)])
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16", "float64"])
def test_any_rank_and_precision(shape, dtype, rng):
    x = (rng.normal(size=shape) * 3 - 1).astype("float32")
    with gradients.float64_scope():
        layer = BatchNormalization(dtype=dtype)
        y = keras.ops.cast(layer(x, training=True), "float32")
        assert all(w.dtype == layer.variable_dtype for w in layer.weights)
    axes = tuple(range(x.ndim - 1))
    digits = {"mixed_float16": 4e-3, "mixed_bfloat16": 3e-2}.get(dtype, 1e-5)
    expected = (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5)
    assert_close(y, expected, atol=digits)
    rounding = 0 if digits < 1e-4 else digits  # the input was rounded before its mean was taken
    assert_close(layer.moving_mean, 0.1 * x.mean(axes), atol=1e-6 + rounding)
    assert_close(layer.moving_variance, 0.9 + 0.1 * x.var(axes), rtol=1e-5 + rounding)


def test_in_a_compiled_model(x):
    """A step of `fit`, with and without XLA."""
    after = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Conv2D(4, 3), BatchNormalization(), keras.layers.Flatten()]
        model = keras.Sequential([keras.Input((3, 5, 6)), *layers, keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=jit_compile)
        model.fit(x, np.arange(4.0), batch_size=2, epochs=2, shuffle=False, verbose=0)
        after.append(model.get_weights())
    for one, other in zip(*after, strict=True):
        assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_mask_is_left_to_keras(x):
    mask = np.zeros((4, 3, 5), bool)
    mask[:2] = True
    layer = BatchNormalization()
    layer(x, training=True, mask=mask)
    assert_close(layer.moving_mean, 0.1 * x[:2].mean((0, 1, 2)), rtol=1e-4)


def test_frozen_it_uses_and_keeps_its_statistics(x):
    layer = BatchNormalization()
    layer.build(x.shape)
    layer.trainable = False
    assert_close(layer(x, training=True), x / np.sqrt(1 + 1e-5), rtol=1e-5)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(6))


@pytest.mark.parametrize("shape", [(6, 3), (4, 7, 3), (2, 4, 5, 3), (3, 2, 4, 5, 3)])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}])
def test_at_inference_and_frozen_it_is_keras_own(shape, options, rng):
    """Outputs and gradients, also that of the input, which saliency and frozen norms need."""
    x = (rng.normal(size=shape) * 2 + 7).astype("float32")
    ours = BatchNormalization(**options)
    theirs = keras.layers.BatchNormalization(epsilon=1e-5, **options)
    for layer in (ours, theirs):
        layer.build(shape)
    weights = [rng.uniform(0.5, 1.5, 3) for _ in ours.weights]
    for layer in (ours, theirs):
        layer.set_weights(weights)
    found, expected = (
        gradients.gradient(
            lambda x, layer=layer: keras.ops.sum(keras.ops.sin(layer(x, training=False)) * x),
            x,
            variables=layer.trainable_variables,
        )
        for layer in (ours, theirs)
    )
    for one, other in zip(found, expected, strict=True):
        scale = np.abs(keras.ops.convert_to_numpy(other)).max()
        assert_close(one, other, atol=2e-5 * scale)
    assert_close(ours(x, training=False), theirs(x, training=False), rtol=1e-5, atol=1e-5)
    ours.trainable = False
    assert_close(ours(x, training=True), theirs(x, training=False), rtol=1e-5, atol=1e-5)
    for found, expected in zip(ours.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, expected.astype("float32"))
