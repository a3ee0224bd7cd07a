import keras
import numpy as np
import pytest
from keras import ops

from kerakit.layers import VanillaRNN
from tests.conformance.case import assert_close


def outputs_by_loop(rnn, x, state=None, mask=None):
    w_xh, w_hh, b_h, w_hy, b_y = rnn.get_weights()
    state = np.zeros((len(x), len(w_hh))) if state is None else state
    outputs = []
    for t in range(x.shape[1]):
        after = np.tanh(state @ w_hh + x[:, t] @ w_xh + b_h)
        state = after if mask is None else np.where(mask[:, t, None], after, state)
        outputs.append(state @ w_hy + b_y)
    return np.stack(outputs, axis=1)


def built(rng, **options):
    rnn = VanillaRNN(4, 2, **options)
    rnn.build((None, 7, 3))
    rnn.set_weights([rng.normal(size=w.shape) for w in rnn.get_weights()])
    return rnn


def test_equals_the_formulas(rng):
    x = rng.normal(size=(5, 7, 3)).astype("float32")
    rnn, last = built(rng), VanillaRNN(4, 2, return_sequences=False)
    assert_close(rnn(x), outputs_by_loop(rnn, x), rtol=1e-4, atol=1e-5)
    last(x)
    last.set_weights(rnn.get_weights())
    assert_close(last(x), outputs_by_loop(rnn, x)[:, -1], rtol=1e-4, atol=1e-5)


def test_goes_on_from_a_state(rng):
    rnn = built(rng)
    x, state = rng.normal(size=(5, 7, 3)), rng.normal(size=(5, 4))
    found = rnn(x.astype("float32"), initial_state=state.astype("float32"))
    assert_close(found, outputs_by_loop(rnn, x, state), rtol=1e-4, atol=1e-5)


def test_masked_steps_keep_the_state(rng):
    rnn = built(rng)
    x = rng.normal(size=(2, 7, 3)).astype("float32")
    mask = np.arange(7) < np.array([[7], [4]])
    expected = outputs_by_loop(rnn, x, mask=mask)
    assert_close(rnn(x, mask=mask), expected, rtol=1e-4, atol=1e-5)


def test_a_mask_that_keras_carries(rng):
    rnn = built(rng)
    x = rng.normal(size=(2, 7, 3)).astype("float32")
    x[1, 4:] = 0
    masked = keras.layers.Masking()(x)
    expected = outputs_by_loop(rnn, x, mask=np.any(x != 0, axis=-1))
    y = rnn(masked)
    assert_close(y, expected, rtol=1e-4, atol=1e-5)
    assert_close(y._keras_mask, np.any(x != 0, axis=-1), rtol=0, atol=0)
    assert np.abs(ops.convert_to_numpy(rnn(x)) - expected).max() > 1e-3


def test_parameters():
    d_x, d_h, d_y = 3, 5, 2
    rnn = VanillaRNN(d_h, d_y)
    rnn.build((None, 7, d_x))
    assert rnn.count_params() == d_h**2 + d_x * d_h + d_h * d_y + d_h + d_y


@pytest.mark.parametrize("name", ["state_dim", "output_dim"])
def test_errors(name):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer of at least 1, got 0."):
        VanillaRNN(**{"state_dim": 4, "output_dim": 2, name: 0})
    with pytest.raises(ValueError, match=r"`x` must be \(B, T, d_x\) sequences, got shape"):
        VanillaRNN(4, 2)(np.ones((2, 3)))
