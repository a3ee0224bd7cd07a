"""What the Keras base offers works with each optimizer."""

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.optimizers import SGD, AdaGrad, Adam, RMSProp
from kerakit.schedules import Join, StepDecay, Warmup

EACH = {
    "SGD": (SGD, {"learning_rate": 0.05, "momentum": 0.9, "convention": "torch"}),
    "AdaGrad": (AdaGrad, {"learning_rate": 0.3}),
    "RMSProp": (RMSProp, {"learning_rate": 0.03}),
    "Adam": (Adam, {"learning_rate": 0.05}),
}
each_optimizer = pytest.mark.parametrize(("part", "options"), EACH.values(), ids=EACH)


@pytest.fixture
def task(rng):
    """64 points in 5 dimensions, split by a plane."""
    points = rng.normal(size=(64, 5)).astype("float32")
    return points, (points @ rng.normal(size=5) > 0).astype("float32")[:, None]


def small_model(optimizer):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1, "sigmoid")]
    )
    model.compile(optimizer, loss="binary_crossentropy")
    return model


def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


@each_optimizer
def test_trains_in_mixed_precision(part, options, task):
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        model = small_model(part(weight_decay=1e-4, **options))
    finally:
        keras.config.set_dtype_policy(before)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    losses = model.fit(*task, epochs=10, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.6 * losses[0]
    assert all(w.dtype == np.float32 for w in model.get_weights())


@each_optimizer
def test_an_infinite_gradient_under_loss_scaling_changes_nothing(part, options, compiled):
    weight, expected = keras.Variable([1.0, 2.0]), keras.Variable([1.0, 2.0])
    inner, plain = part(**options), part(**options)
    optimizer = keras.optimizers.LossScaleOptimizer(inner)
    scale, gradient = optimizer.initial_scale, ops.array([0.5, -0.25])
    step, plain_step = compiled(optimizer, [weight]), compiled(plain, [expected])
    step([gradient * scale])
    step([ops.array([np.inf, 0.0])])
    step([gradient * scale / 2])  # halved by the infinity
    for _ in range(2):
        plain_step([gradient])
    np.testing.assert_allclose(weight.numpy(), expected.numpy(), rtol=1e-6)
    assert int(inner.iterations) == 2


@each_optimizer
def test_accumulating_two_half_batches_equals_a_whole_one(part, options, task):
    whole = small_model(part(weight_decay=0.01, **options))
    halves = small_model(part(weight_decay=0.01, gradient_accumulation_steps=2, **options))
    whole.fit(*task, epochs=3, batch_size=32, shuffle=False, verbose=0)
    halves.fit(*task, epochs=3, batch_size=16, shuffle=False, verbose=0)
    np.testing.assert_allclose(weights(halves), weights(whole), rtol=2e-4, atol=2e-5)


@each_optimizer
def test_moving_average_of_the_weights(part, options, task):
    model = small_model(part(use_ema=True, ema_momentum=0.8, **options))
    average = None
    for _ in range(4):
        model.train_on_batch(*task)
        now = weights(model)
        average = now if average is None else 0.8 * average + 0.2 * now
    model.optimizer.finalize_variable_values(model.trainable_variables)
    np.testing.assert_allclose(weights(model), average, rtol=1e-4, atol=1e-6)
    assert np.abs(average - now).max() > 1e-3


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"clipnorm": 1.0}, ([0.6, 0.8], [0.5])),
        ({"global_clipnorm": 1.0}, ([3 / 25.25**0.5, 4 / 25.25**0.5], [0.5 / 25.25**0.5])),
        ({"clipvalue": 0.7}, ([0.7, 0.7], [0.5])),
    ],
)
def test_clipping(option, expected):
    variables = [keras.Variable([0.0, 0.0]), keras.Variable([0.0])]
    SGD(1.0, **option).apply([ops.array([3.0, 4.0]), ops.array([0.5])], variables)
    for variable, clipped in zip(variables, expected, strict=True):
        np.testing.assert_allclose(-variable.numpy(), clipped, rtol=1e-6)


@each_optimizer
def test_a_saved_model_goes_on_where_it_was(part, options, task, tmp_path):
    options = {**options, "weight_decay": 0.01}
    options["learning_rate"] = Join(
        [Warmup(StepDecay(options["learning_rate"], every=3), length=2), 0.01], boundaries=[5]
    )
    model = small_model(part(**options))
    for _ in range(4):
        model.train_on_batch(*task)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is part
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for _ in range(3):
        model.train_on_batch(*task)
        loaded.train_on_batch(*task)
        np.testing.assert_array_equal(weights(loaded), weights(model))


@each_optimizer
def test_xla_gives_the_same_steps(part, options, rng, compiled):
    start, gradients = rng.normal(size=(2, 3, 7)), rng.normal(size=(5, 2, 3, 7))
    paths = []
    for jit_compile in (False, True):
        variables = [keras.Variable(x, dtype="float32") for x in start]
        optimizer = part(weight_decay=0.01, global_clipnorm=1.0, **options)
        step = compiled(optimizer, variables, jit_compile=jit_compile)
        for pair in gradients:
            step([ops.convert_to_tensor(g, "float32") for g in pair])
        paths.append(np.stack([v.numpy() for v in variables]))
    np.testing.assert_allclose(*paths, rtol=1e-5, atol=1e-6)


def test_a_callable_rate_keeps_its_digits(precision):
    """TensorFlow's cast would take a Python 0.1 through float32."""
    weight = keras.Variable([0.0], dtype=precision)
    SGD(lambda: 0.1).apply([ops.ones(1, precision)], [weight])
    assert float(weight.numpy()[0]) == pytest.approx(
        -0.1, rel=1e-7 if precision == "float32" else 1e-15
    )
