"""What the sheet says of recurrent networks: formulas, parameters, gradients over time."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit import gradients
from kerakit.layers import VanillaRNN

D_X, D_H = 3, 4


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def randomised(layer, rng):
    layer.build((None, 7, D_X))
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def lstm_by_hand(layer, x):
    """With the cell state `C_t = f C_{t-1} + i C~_t`; the sheet prints the candidate twice."""
    kernel, recurrent, bias = layer.get_weights()
    h = c = np.zeros((len(x), D_H))
    for t in range(x.shape[1]):
        i, f, candidate, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
    return h


def gru_by_hand(layer, x):
    """Keras's z keeps the old state, `h_t = z h_{t-1} + (1 - z) h~_t`."""
    kernel, recurrent, bias = layer.get_weights()
    h = np.zeros((len(x), D_H))
    for t in range(x.shape[1]):
        x_z, x_r, x_h = np.split(x[:, t] @ kernel + bias, 3, axis=-1)
        u_z, u_r, u_h = np.split(recurrent, 3, axis=-1)
        z, r = sigmoid(x_z + h @ u_z), sigmoid(x_r + h @ u_r)
        h = z * h + (1 - z) * np.tanh(x_h + (r * h) @ u_h)
    return h


@pytest.mark.parametrize(
    ("layer", "by_hand"),
    [(layers.LSTM(D_H), lstm_by_hand), (layers.GRU(D_H, reset_after=False), gru_by_hand)],
    ids=["LSTM", "GRU"],
)
def test_keras_has_the_sheets_formulas(layer, by_hand, rng):
    x = rng.normal(size=(5, 7, D_X)).astype("float32")
    layer = randomised(layer, rng)
    np.testing.assert_allclose(layer(x), by_hand(layer, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (layers.LSTM(D_H), 4 * ((D_H + D_X) * D_H + D_H)),
        (layers.GRU(D_H, reset_after=False), 3 * ((D_H + D_X) * D_H + D_H)),
        (layers.GRU(D_H), 3 * ((D_H + D_X) * D_H + 2 * D_H)),  # Keras's own, a second bias
        (VanillaRNN(D_H, 2), D_H**2 + D_X * D_H + D_H * 2 + D_H + 2),
    ],
    ids=["LSTM", "GRU", "GRU-reset-after", "VanillaRNN"],
)
def test_parameters(layer, count):
    layer.build((None, 7, D_X))
    assert layer.count_params() == count


def test_the_gru_is_the_smaller():
    lstm, gru = layers.LSTM(D_H), layers.GRU(D_H, reset_after=False)
    for layer in (lstm, gru):
        layer.build((None, 7, D_X))
    assert gru.count_params() / lstm.count_params() == 3 / 4


def gradient_at_the_first_step(layer, rng, steps):
    """Norm of the last state's gradient by the first input, over that by the last input."""
    x = 1e-3 * rng.normal(size=(16, steps, D_X)).astype("float32")  # tanh near its linear part
    (slope,) = gradients.gradient(layer, x)
    sizes = np.linalg.norm(ops.convert_to_numpy(slope), axis=(0, 2))
    return sizes[0] / sizes[-1]


def plain_rnn(radius):
    """Its recurrent matrix is a rotation times the spectral radius."""
    return layers.SimpleRNN(
        D_H, recurrent_initializer=keras.initializers.Orthogonal(gain=radius, seed=1)
    )


@pytest.mark.parametrize(("radius", "steps"), [(0.8, 20), (0.8, 60), (1.2, 20), (1.2, 40)])
def test_gradients_of_a_plain_rnn_are_powers_of_its_radius(radius, steps, rng):
    found = gradient_at_the_first_step(plain_rnn(radius), rng, steps)
    # A rotation keeps the size of a vector; that of W_xh's product with it may vary.
    assert np.log(found) == pytest.approx((steps - 1) * np.log(radius), abs=1.5)


def test_an_lstm_whose_forget_gate_is_open_keeps_them(rng):
    steps = 60
    lstm = layers.LSTM(D_H)
    lstm.build((None, steps, D_X))
    kernel, recurrent, bias = lstm.get_weights()
    for forget_bias, low, high in ((6.0, 0.5, 1.5), (0.0, 0.0, 1e-12)):
        bias[D_H : 2 * D_H] = forget_bias  # a gate of sigmoid(6) = 0.9975, and of one half
        lstm.set_weights([kernel, 0 * recurrent, bias])
        assert low <= gradient_at_the_first_step(lstm, rng, steps) <= high
    assert gradient_at_the_first_step(plain_rnn(0.8), rng, steps) < 1e-4
