import math

import keras
import numpy as np
import pytest
from keras import ops

from kerakit import gradients
from kerakit.callbacks import LayerFigures
from kerakit.layers import FeedForward, MixtureOfExperts, TransformerBlock
from tests.conformance.case import assert_close
from tests.ops.test_expert_positions import positions_by_loop

# Only JAX is the slower without it.
JIT = keras.backend.backend() == "jax"


def built(rng, *config, width=5, tokens=12, **options):
    layer = MixtureOfExperts(*config, hidden_dim=6, **options)
    layer.build((None, tokens, width))
    weights = [rng.normal(size=w.shape).astype("float32") for w in layer.get_weights()]
    layer.set_weights([*weights[:5], np.zeros(3)])
    return layer


def routed_by_hand(layer, x):
    """Probabilities, choices best first, gates and whether each choice is served."""
    logits = x @ layer.get_weights()[0]
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    experts = np.argsort(-p, axis=-1)[..., : layer.num_active]
    gates = np.take_along_axis(p, experts, -1)
    if layer.num_active > 1:
        gates = gates / gates.sum(-1, keepdims=True)
    num_experts, tokens = layer.num_experts, x.shape[1]
    capacity = math.ceil(layer.capacity_factor * layer.num_active * tokens / num_experts)
    is_served = positions_by_loop(experts, num_experts, capacity) >= 0
    return p, experts, gates, is_served


def output_by_loop(layer, x):
    _, kernel_1, bias_1, kernel_2, bias_2 = layer.get_weights()[:5]
    _, experts, gates, is_served = routed_by_hand(layer, x)
    y = np.zeros_like(x)
    for place in zip(*np.nonzero(is_served), strict=True):
        e, token = experts[place], x[place[:2]]
        hidden = np.maximum(0, token @ kernel_1[e] + bias_1[e, 0])
        y[place[:2]] += gates[place] * (hidden @ kernel_2[e] + bias_2[e, 0])
    return y


@pytest.mark.parametrize(
    ("experts", "active", "factor"), [(4, 2, 0.7), (4, 2, 2.0), (3, 1, 1.0), (5, 3, 1.25)]
)
def test_equals_the_loop(experts, active, factor, rng):
    layer = built(rng, experts, active, capacity_factor=factor)
    x = rng.normal(size=(3, 12, 5)).astype("float32")
    is_served = routed_by_hand(layer, x)[-1]
    assert is_served.all() == (factor * active >= experts)
    assert_close(layer(x), output_by_loop(layer, x), rtol=1e-4, atol=1e-5)


def test_one_expert_is_the_feed_forward(rng):
    x = rng.normal(size=(2, 12, 5)).astype("float32")
    layer, plain = built(rng, 1, 1), FeedForward(6)
    plain.build(x.shape)
    _, kernel_1, bias_1, kernel_2, bias_2 = layer.get_weights()[:5]
    plain.set_weights([kernel_1[0], bias_1[0, 0], kernel_2[0], bias_2[0, 0]])
    assert_close(layer(x), plain(x), rtol=1e-6, atol=1e-6)
    layer_slope, *of_weights = gradients.gradient(layer, x, variables=layer.trainable_weights)
    plain_slope, *of_plain = gradients.gradient(plain, x, variables=plain.trainable_weights)
    assert_close(layer_slope, plain_slope, rtol=1e-5, atol=1e-5)
    for of_weight, of_plain_weight in zip(of_weights[1:], of_plain, strict=True):
        assert_close(np.squeeze(of_weight), of_plain_weight, rtol=1e-5, atol=1e-5)


def test_a_dropped_token_gives_zero_and_the_first_are_served(rng):
    layer = built(rng, 2, 1, capacity_factor=0.5)  # 3 places of 12 tokens
    y = ops.convert_to_numpy(layer(np.ones((1, 12, 5), "float32")))
    assert_close(np.abs(y[0]).max(-1) > 0, np.arange(12) < 3, rtol=0, atol=0)


def test_tokens_on_a_grid(rng):
    layer = built(rng, 4, 2)
    x = rng.normal(size=(2, 12, 5)).astype("float32")
    flat = ops.convert_to_numpy(layer(x))
    assert_close(layer(x.reshape(2, 3, 4, 5)), flat.reshape(2, 3, 4, 5), rtol=0, atol=0)


@pytest.mark.parametrize("active", [1, 2])
def test_the_router_learns_from_the_task(active, rng):
    layer = built(rng, 4, active)
    x = rng.normal(size=(2, 12, 5)).astype("float32")
    _, slope, *_ = gradients.gradient(layer, x, variables=layer.trainable_weights)
    assert np.abs(ops.convert_to_numpy(slope)).max() > 1e-3


def test_the_balancing_loss_and_the_figures(rng):
    layer = built(rng, 4, 2, capacity_factor=0.8, loss_weight=0.1)
    x = rng.normal(size=(3, 12, 5)).astype("float32")
    layer(x)
    assert layer.losses == []
    assert_close(layer.figure_totals, 0, rtol=0, atol=0)
    layer(x, training=True)
    p, experts, _, is_served = routed_by_hand(layer, x)
    share = np.bincount(experts.ravel(), minlength=4) / experts.size
    balance = 4 * np.sum(share * p.mean((0, 1)))
    assert float(ops.convert_to_numpy(layer.losses[0])) == pytest.approx(0.1 * balance, rel=1e-5)
    dropped = 1 - is_served.mean()
    assert dropped > 0.1
    assert_close(layer.figure_totals, np.array([1, balance, dropped]), rtol=1e-5)


def test_the_balancing_loss_is_1_in_balance_and_e_in_collapse(rng):
    layer = built(rng, 4, 1, loss_weight=1.0, width=4, tokens=4)
    layer.router.assign(40 * np.eye(4))
    layer(np.eye(4, dtype="float32")[None], training=True)
    assert float(ops.convert_to_numpy(layer.losses[0])) == pytest.approx(1.0)
    layer(np.eye(4, dtype="float32")[None, [2] * 4], training=True)
    assert float(ops.convert_to_numpy(layer.losses[0])) == pytest.approx(4.0)


def moe_model(rng, **options):
    keras.utils.set_random_seed(1)
    moe = MixtureOfExperts(4, 2, hidden_dim=6, **options)
    model = keras.Sequential([keras.Input((12, 5)), moe])
    # Tokens that are nearly alike, so that all want the same experts at first.
    x = (1 + 0.1 * rng.normal(size=(32, 12, 5))).astype("float32")
    return model, moe, x


def test_fit_logs_the_figures_and_balances(rng):
    model, moe, x = moe_model(rng, loss_weight=1.0, name="moe")
    model.compile(keras.optimizers.Adam(0.02), loss="mse", jit_compile=JIT)
    seen = []
    reader = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(set(logs)))
    figures = LayerFigures()
    history = model.fit(
        x, 0 * x, batch_size=8, epochs=4, verbose=0, callbacks=[figures, reader]
    ).history
    names = {"moe_balance_loss", "moe_dropped_fraction"}
    assert names <= seen[0]
    balance, dropped = (history[name] for name in sorted(names))
    assert float(moe.figure_totals[0]) == 4  # of the last epoch alone
    assert balance[-1] < balance[0]
    assert dropped[-1] < dropped[0]


def test_the_logged_figures_are_means_over_the_steps(rng):
    x = rng.normal(size=(32, 12, 5)).astype("float32")
    moe = MixtureOfExperts(4, 2, hidden_dim=6, name="moe")
    block = TransformerBlock(1, feedforward=moe, name="block")
    model = keras.Sequential([keras.Input((12, 5)), block])
    model.compile(keras.optimizers.SGD(0.0), loss="mse", jit_compile=JIT)
    history = model.fit(
        x, x, batch_size=8, shuffle=False, verbose=0, callbacks=[LayerFigures()]
    ).history
    each = []
    for start in range(0, 32, 8):
        moe.figure_totals.assign(np.zeros(3))
        block(x[start : start + 8], training=True)
        each.append(ops.convert_to_numpy(moe.figure_totals)[1:])
    logged = [history[f"block_moe_{figure}"][0] for figure in moe.figure_names]
    assert_close(np.array(logged), np.mean(each, axis=0), rtol=1e-5)


def test_evaluation_counts_nothing_and_has_the_tasks_loss(rng):
    model, moe, x = moe_model(rng, loss_weight=100.0)
    model.compile(loss="mse", jit_compile=JIT)
    loss = model.evaluate(x, x, verbose=0)
    assert loss == pytest.approx(np.mean((model.predict(x, verbose=0) - x) ** 2), rel=1e-5)
    assert_close(moe.figure_totals, 0, rtol=0, atol=0)


def test_a_broken_epoch_goes_on_with_its_totals(rng):
    model, moe, x = moe_model(rng)
    model.compile(keras.optimizers.SGD(0.01), loss="mse", jit_compile=JIT)
    figures = LayerFigures()
    assert figures.get_state() == {}
    model.fit(x[:16], x[:16], batch_size=8, verbose=0, callbacks=[figures])
    state = figures.get_state()
    assert state == {"epoch": 0}
    again = LayerFigures()
    again.set_state(state)
    model.fit(x[16:], x[16:], batch_size=8, verbose=0, callbacks=[again])
    assert float(moe.figure_totals[0]) == 4
    model.fit(x[16:], x[16:], batch_size=8, verbose=0, callbacks=[again])
    assert float(moe.figure_totals[0]) == 2


def test_training_under_xla_logs_the_same(rng):
    if keras.backend.backend() == "torch":
        pytest.skip("torch has no XLA")
    x = rng.normal(size=(8, 12, 5)).astype("float32")
    histories = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(1)
        moe = MixtureOfExperts(4, 2, hidden_dim=6, capacity_factor=0.8, name="moe")
        model = keras.Sequential([keras.Input((12, 5)), moe])
        model.compile("sgd", loss="mse", jit_compile=jit_compile)
        options = {"batch_size": 4, "shuffle": False, "verbose": 0}
        histories.append(model.fit(x, x, callbacks=[LayerFigures()], **options).history)
    plain, compiled = histories
    assert plain["moe_dropped_fraction"][0] > 0.1
    assert set(plain) == set(compiled)
    for name, values in plain.items():
        assert compiled[name] == pytest.approx(values, rel=1e-5)


def test_each_expert_starts_as_a_feed_forward_would():
    layer = MixtureOfExperts(16, 2, hidden_dim=64)
    layer.build((None, 4, 32))
    kernels = layer.get_weights()[1]
    bound = math.sqrt(6 / (32 + 64))  # Glorot's, of one kernel
    assert 0.95 * bound < np.abs(kernels).max() <= bound
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_experts": 0}, "`num_experts` must be an integer of at least 1, got 0."),
        ({"num_active": 5}, r"`num_active` must be in \[1, 4\], the number of experts, got 5."),
        ({"hidden_dim": 0}, "`hidden_dim` must be an integer of at least 1, got 0."),
        ({"capacity_factor": 0.0}, "`capacity_factor` must be positive and finite, got 0.0."),
        ({"loss_weight": -1.0}, "`loss_weight` must be at least 0, got -1.0."),
        ({"drop_rate": 1.0}, r"`drop_rate` must be in \[0, 1\), got 1.0."),
    ],
)
def test_errors(config, message):
    with pytest.raises(ValueError, match=message):
        MixtureOfExperts(**{"num_experts": 4, "num_active": 2, "hidden_dim": 8, **config})


def test_the_number_of_tokens_must_be_known():
    with pytest.raises(ValueError, match=r"all but B known, got shape \(None, None, 5\)"):
        MixtureOfExperts(4, 2, hidden_dim=8)(keras.Input((None, 5)))


def test_experts_differ_under_an_initializer_with_a_seed():
    initializer = keras.initializers.GlorotUniform(seed=3)
    layer = MixtureOfExperts(3, 1, hidden_dim=5, kernel_initializer=initializer)
    layer.build((None, 4, 5))
    kernels = ops.convert_to_numpy(layer.kernel_1)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(kernels[one] - kernels[other]).max() > 0.01
