"""Schedules against the sheet's formulas in Python numbers."""

import math
import re

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from kerakit.schedules import ExponentialDecay, InverseTimeDecay, Join, StepDecay, Warmup

TEN_MILLION = 10**7


def rates(schedule, steps):
    return ops.convert_to_numpy(schedule(np.asarray(steps)))


def compiled(schedule):
    """The schedule under XLA."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(schedule.__call__, jit_compile=True)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(schedule.__call__)
    return schedule


# Steps of each decade up to ten million, beyond 2^24 too.
STEPS = [0, 1, 2, 7, 10, 99, 1000, 12_345, 10**5, 10**6, TEN_MILLION, 2**24 + 1, 2**30 + 1]


@pytest.mark.parametrize("epoch", [None, 1, 45])
def test_decays_are_the_sheets(epoch):
    for step in STEPS:
        time = step / (epoch or 1)
        span = {"steps_per_epoch": epoch}
        found = float(StepDecay(0.1, every=10**6, gamma=0.9, **span)(step))
        assert found == pytest.approx(0.1 * 0.9 ** (step // (10**6 * (epoch or 1))), rel=2e-5)
        found = float(ExponentialDecay(0.1, rate=1e-8, **span)(step))
        # float32 holds the exponent to 6e-8 of itself.
        exact = 0.1 * math.exp(-1e-8 * time)
        assert found == pytest.approx(exact, rel=5e-7 + 1e-7 * 1e-8 * time)
        found = float(InverseTimeDecay(0.1, rate=1e-3, **span)(step))
        assert found == pytest.approx(0.1 / (1 + 1e-3 * time), rel=5e-7)


def drops_are_right(schedule, steps, every):
    """Whether each rate belongs to Python's t // s, nearer than half a drop."""
    expected = np.log(0.1) + (steps // every) * math.log(schedule.gamma)
    return np.abs(np.log(rates(schedule, steps)) - expected).max() < -math.log(schedule.gamma) / 2


def gentle(every):
    """A gamma that falls by e^-40 in ten million steps: one drop is seen in float32."""
    return math.exp(-40 / (TEN_MILLION / every))


def test_step_decay_floors_every_step_up_to_ten_million():
    schedule = StepDecay(0.1, every=49, gamma=gentle(49))
    for start in range(0, TEN_MILLION, 10**6):
        assert drops_are_right(schedule, np.arange(start, start + 10**6), 49)


@given(every=st.integers(5, 10**6))
@settings(max_examples=8, deadline=None)
def test_step_decay_drops_at_exact_multiples(every):
    multiples = np.arange(every, TEN_MILLION + 1, every)
    steps = np.concatenate([multiples - 1, multiples])
    assert drops_are_right(StepDecay(0.1, every=every, gamma=gentle(every)), steps, every)


@pytest.mark.parametrize("every", [2**23 + 1, 2**24 + 1, 2**26 - 1])
def test_step_decay_drops_at_exact_multiples_under_xla_beyond_float32(every):
    step = compiled(StepDecay(1.0, every=every, gamma=0.5))
    for count in (2, 3, 4):
        found = [float(step(ops.convert_to_tensor(count * every + d, "int32"))) for d in (-1, 0)]
        np.testing.assert_allclose(found, [0.5 ** (count - 1), 0.5**count], rtol=1e-6)


def test_step_decay_keeps_its_digits_over_many_drops():
    found = rates(StepDecay(1.0, every=1, gamma=0.99), [5000])[0]
    assert found == pytest.approx(0.99**5000, rel=4e-6)
    peer = keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.99, staircase=True)
    assert abs(float(peer(5000)) / 0.99**5000 - 1) > 2e-5


def test_exponential_decay_beside_keras():
    exact = 0.1 * math.exp(-10)
    assert float(ExponentialDecay(0.1, rate=1e-5)(10**6)) == pytest.approx(exact, rel=1e-6)
    peer = keras.optimizers.schedules.ExponentialDecay(0.1, 1, math.exp(-1e-5))
    assert float(peer(10**6)) / exact - 1 == pytest.approx(-0.0135, abs=1e-3)


def test_epochs_are_continuous_for_the_smooth_decays():
    schedule = ExponentialDecay(0.1, rate=1.0, steps_per_epoch=4)
    np.testing.assert_allclose(rates(schedule, [1, 2]), 0.1 * np.exp([-0.25, -0.5]), rtol=1e-6)


def test_a_fraction_of_an_epoch_may_be_whole_steps():
    schedule = StepDecay(1.0, every=0.3, gamma=0.5, steps_per_epoch=10)  # 3 steps
    np.testing.assert_allclose(rates(schedule, [2, 3, 5, 6]), [1, 0.5, 0.5, 0.25], rtol=1e-6)


def test_warmup_is_linear_then_the_schedule_unshifted():
    inner = StepDecay(0.8, every=10, gamma=0.5)
    found = rates(Warmup(inner, length=4, start=0.2), np.arange(25))
    expected = [0.8 * 0.5 ** (t // 10) for t in range(25)]
    expected[:4] = [0.2, 0.35, 0.5, 0.65]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_warmup_ends_at_the_schedules_own_value_there():
    inner = InverseTimeDecay(1.0, rate=0.5)
    found = rates(Warmup(inner, length=2, steps_per_epoch=2), np.arange(6))
    target = 1 / (1 + 0.5 * 4)
    expected = [target * t / 4 for t in range(4)] + [target, 1 / (1 + 0.5 * 5)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_warmup_asks_its_schedule_for_no_earlier_step():
    class OnlyLater(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 1.0 / ops.cast(step >= 3, "float32")  # infinite before step 3

    np.testing.assert_allclose(
        rates(Warmup(OnlyLater(), length=4), range(5)), [0, 0.25, 0.5, 0.75, 1]
    )


def test_warmup_takes_a_number_and_any_keras_schedule():
    np.testing.assert_allclose(rates(Warmup(0.4, length=2), range(4)), [0, 0.2, 0.4, 0.4])
    cosine = keras.optimizers.schedules.CosineDecay(0.4, 100)
    np.testing.assert_allclose(
        rates(Warmup(cosine, length=2), [1, 50]), [float(cosine(2)) / 2, 0.2], rtol=1e-6
    )


def test_join_gives_each_schedule_its_own_time():
    joined = Join([Warmup(0.4, length=2), ExponentialDecay(0.4, rate=1.0), 0.01], boundaries=[2, 4])
    expected = [0, 0.2, 0.4, 0.4 * math.exp(-1), 0.01, 0.01]
    np.testing.assert_allclose(rates(joined, range(6)), expected, rtol=1e-6)


def test_join_in_epochs():
    joined = Join([1.0, 0.5, 0.25], boundaries=[1, 2.5], steps_per_epoch=2)
    np.testing.assert_array_equal(rates(joined, range(6)), [1, 1, 0.5, 0.5, 0.5, 0.25])


def test_join_of_one_is_that_one():
    assert float(Join([0.3], boundaries=[])(7)) == pytest.approx(0.3)


EACH = [
    StepDecay(0.1, every=2.5, gamma=0.3, steps_per_epoch=20),
    ExponentialDecay(0.1, rate=0.2, steps_per_epoch=20),
    InverseTimeDecay(0.1, rate=0.2, steps_per_epoch=20),
    Warmup(ExponentialDecay(0.1, rate=0.01), length=1.5, start=0.01, steps_per_epoch=20),
    Join(
        [
            Warmup(keras.optimizers.schedules.CosineDecay(0.1, 50), length=10),
            StepDecay(0.1, every=3),
            0.001,
        ],
        boundaries=[1, 3],
        steps_per_epoch=20,
    ),
]


@pytest.mark.parametrize("schedule", EACH, ids=lambda schedule: type(schedule).__name__)
def test_config_round_trip_and_xla(schedule):
    steps = np.arange(100)
    expected = rates(schedule, steps)
    assert len(set(expected)) > 1
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert keras.saving.serialize_keras_object(again) == config
    np.testing.assert_array_equal(rates(again, steps), expected)
    under_xla = [float(compiled(schedule)(ops.convert_to_tensor(t, "int32"))) for t in (0, 59, 60)]
    np.testing.assert_allclose(under_xla, expected[[0, 59, 60]], rtol=1e-6)


@pytest.mark.parametrize("schedule", EACH, ids=lambda schedule: type(schedule).__name__)
def test_rates_are_float32_also_under_half_precision(schedule):
    before = keras.config.floatx()
    try:
        keras.config.set_floatx("float16")
        found = schedule(70_000)  # more than float16 can hold
        assert keras.backend.standardize_dtype(found.dtype) == "float32"
        assert np.isfinite(float(found))
    finally:
        keras.config.set_floatx(before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepDecay(0.0, every=1), "`initial_learning_rate` must be positive, got 0.0."),
        (
            lambda: StepDecay(0.1, every=0),
            "`every` must be a positive whole number of steps, got 0 steps.",
        ),
        (
            lambda: StepDecay(0.1, every=2.5, steps_per_epoch=45),
            "`every` must be a positive whole number of steps, got 2.5 epochs of 45 steps.",
        ),
        (lambda: StepDecay(0.1, every=1, gamma=1.5), "`gamma` must be in (0, 1], got 1.5."),
        (lambda: StepDecay(0.1, every=1, gamma=0), "`gamma` must be in (0, 1], got 0."),
        (lambda: ExponentialDecay(0.1, rate=-1), "`rate` must be at least 0, got -1."),
        (lambda: InverseTimeDecay(0.1, rate=math.nan), "`rate` must be at least 0, got nan."),
        (
            lambda: InverseTimeDecay(math.inf, rate=1),
            "`initial_learning_rate` must be positive, got inf.",
        ),
        (
            lambda: ExponentialDecay(0.1, rate=1, steps_per_epoch=2.5),
            "`steps_per_epoch` must be a positive integer or None, got 2.5.",
        ),
        (
            lambda: ExponentialDecay(0.1, rate=1, steps_per_epoch=0),
            "`steps_per_epoch` must be a positive integer or None, got 0.",
        ),
        (
            lambda: Warmup("cosine", length=1),
            "`schedule` must be a LearningRateSchedule or a number that is at least 0, "
            "got 'cosine'.",
        ),
        (
            lambda: Warmup(0.1, length=-3),
            "`length` must be a positive whole number of steps, got -3 steps.",
        ),
        (lambda: Warmup(0.1, length=1, start=-1), "`start` must be at least 0, got -1."),
        (
            lambda: Join([0.1, -0.2], boundaries=[1]),
            "`schedules[1]` must be a LearningRateSchedule or a number that is at least 0, "
            "got -0.2.",
        ),
        (
            lambda: Join([0.1, 0.2], boundaries=[1, 2]),
            "`boundaries` must be one fewer than `schedules`, got 2 and 2.",
        ),
        (lambda: Join([1, 2, 3], boundaries=[5, 5]), "`boundaries` must rise, got [5, 5]."),
        (
            lambda: Join([1, 2], boundaries=[0]),
            "`boundaries[0]` must be a positive whole number of steps, got 0 steps.",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()
