import numpy as np
import pytest
from keras import ops

from kerakit.layers import DividedSpaceTimeBlock
from tests.conformance.case import assert_close

FRAMES, PLACES, WIDTH, HEADS = 3, 4, 8, 2


@pytest.fixture
def block(rng):
    block = DividedSpaceTimeBlock(HEADS, frames=FRAMES)
    block.build((None, FRAMES * PLACES, WIDTH))
    block.set_weights([rng.normal(0, 0.5, w.shape) for w in block.get_weights()])
    return block


def attention(layer, tokens):
    """Multi-head attention of (N, d) tokens, head by head."""
    named = {w.path.split("/", 1)[1]: np.asarray(ops.convert_to_numpy(w)) for w in layer.weights}
    named = {"/".join(key.split("/")[-2:]): value for key, value in named.items()}
    total = named["attention_output/bias"].copy()
    total = np.repeat(total[None], len(tokens), axis=0)
    for head in range(HEADS):
        query, key, value = (
            tokens @ named[f"{name}/kernel"][:, head] + named[f"{name}/bias"][head]
            for name in ("query", "key", "value")
        )
        scores = query @ key.T / np.sqrt(WIDTH // HEADS)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        total += shares @ value @ named["attention_output/kernel"][head]
    return total


def layer_norm(layer, x):
    gamma, beta = (np.asarray(ops.convert_to_numpy(w)) for w in layer.weights)
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + layer.epsilon)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation * gamma + beta


def test_equals_the_loop_over_places_and_frames(block, rng):
    given = rng.normal(size=(2, FRAMES * PLACES, WIDTH)).astype("float32")
    expected = []
    for x in given.astype("float64"):
        x = x.reshape(FRAMES, PLACES, WIDTH)
        normed = layer_norm(block.ln_time, x)
        for place in range(PLACES):
            x[:, place] += attention(block.time_attention, normed[:, place])
        normed = layer_norm(block.ln_1, x)
        for frame in range(FRAMES):
            x[frame] += attention(block.self_attention, normed[frame])
        x = x.reshape(-1, WIDTH)
        x = x + ops.convert_to_numpy(block.mlp(layer_norm(block.ln_2, x).astype("float32")))
        expected.append(x)
    assert_close(block(given), np.stack(expected), rtol=1e-4, atol=1e-4)


def test_one_block_sees_its_own_time_and_frame_alone(block, rng):
    x = rng.normal(size=(1, FRAMES * PLACES, WIDTH)).astype("float32")
    before = ops.convert_to_numpy(block(x))
    x[0, 5, 0] += 1.0  # frame 1, place 1; not all features, which the norm takes away
    changed = np.abs(ops.convert_to_numpy(block(x)) - before).max(axis=-1)[0] > 1e-5
    # Over time it reaches place 1 of all frames, and over space from there all the places.
    assert changed.all()
    block.time_attention.set_weights([np.zeros(w.shape) for w in block.time_attention.weights])
    before = ops.convert_to_numpy(block(x))
    x[0, 5, 0] -= 1.0
    changed = np.abs(ops.convert_to_numpy(block(x)) - before).max(axis=-1)[0] > 1e-5
    np.testing.assert_array_equal(np.flatnonzero(changed), [4, 5, 6, 7])


def test_errors():
    with pytest.raises(ValueError, match="`frames` must be"):
        DividedSpaceTimeBlock(2, frames=0)
    with pytest.raises(ValueError, match="`norm` is nothing that a divided block has"):
        DividedSpaceTimeBlock(2, frames=2, norm="pre")
    with pytest.raises(ValueError, match="`frames` must divide the number of tokens, got 3 frames"):
        DividedSpaceTimeBlock(2, frames=3)(np.zeros((1, 8, 4), "float32"))
