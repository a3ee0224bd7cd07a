import pathlib

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.layers import FeedForward, TransformerBlock
from tests.conformance.case import assert_close
from tests.golden.transformer import (
    ENCODER_CASES,
    ENCODER_SHAPES,
    HEADS,
    HIDDEN,
    inputs,
    load,
    torch_weights,
)

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden/transformer.npz")


def block_like_torchs(*, norm_first=False, causal=False, padding=False, activation="relu"):
    norm = "pre" if norm_first else "post"
    block = TransformerBlock(HEADS, HIDDEN, norm=norm, activation=activation, causal=causal)
    block.build(inputs()[0].shape)
    load(block, torch_weights(ENCODER_SHAPES))
    return block


@pytest.mark.parametrize("case", ENCODER_CASES)
def test_equals_torchs_encoder_layer(case):
    options = ENCODER_CASES[case]
    x, _, is_token, _ = inputs()
    mask = is_token if options.get("padding") else None
    found = block_like_torchs(**options)(x, padding_mask=mask)
    assert_close(found, GOLDEN[case], rtol=1e-5, atol=1e-5)


def test_a_causal_attention_mask_is_the_causal_block():
    x, *_ = inputs()
    lower = np.tril(np.ones((6, 6), bool))
    for mask in (lower, np.broadcast_to(lower, (3, 6, 6))):
        found = block_like_torchs()(x, attention_mask=mask)
        assert_close(found, GOLDEN["post_causal"], rtol=1e-5, atol=1e-5)


def test_masks_are_used_together():
    x, _, is_token, _ = inputs()
    found = block_like_torchs(norm_first=True)(
        x, padding_mask=is_token, attention_mask=np.tril(np.ones((6, 6), bool))
    )
    assert_close(found, GOLDEN["pre_causal_padding"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("drop_rate", [0.0, 0.1])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_mask_that_keras_carries(norm, drop_rate):
    """As an explicit mask, in both of Keras's attention paths, and it is passed on."""
    ids = np.array([[3, 1, 2, 0, 0], [1, 2, 3, 4, 4]])
    embedding = keras.layers.Embedding(5, 16, mask_zero=True)
    blocks = [
        TransformerBlock(2, norm=norm, attention_drop_rate=drop_rate, name=f"block_{i}")
        for i in range(2)
    ]
    source = x = keras.Input((5,), dtype="int32")
    x = embedding(x)
    for block in blocks:
        x = block(x)
    found = keras.Model(source, x)(ids)
    expected = ops.copy(embedding(ids))
    for block in blocks:
        expected = block(expected, padding_mask=ids != 0)
    assert_close(found, expected, rtol=1e-5, atol=1e-6)
    unmasked = ops.copy(embedding(ids))
    for block in blocks:
        unmasked = block(unmasked)
    assert np.abs(ops.convert_to_numpy(found - unmasked)[0, :3]).max() > 1e-3


def test_a_carried_mask_stays_with_the_input():
    x = keras.layers.Embedding(5, 16, mask_zero=True)(np.array([[1, 2, 0]]))
    y = TransformerBlock(2)(x)
    assert_close(x._keras_mask, np.array([[True, True, False]]), rtol=0, atol=0)
    assert_close(y._keras_mask, np.array([[True, True, False]]), rtol=0, atol=0)


def test_masks_as_inputs_of_a_model():
    x, _, is_token, _ = inputs()
    block = block_like_torchs(norm_first=True, causal=True)
    tokens, mask = keras.Input((6, 16)), keras.Input((6,), dtype="bool")
    model = keras.Model([tokens, mask], block(tokens, padding_mask=mask))
    found = model([x, is_token])
    assert_close(found, GOLDEN["pre_causal_padding"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("width", [8, 24])
def test_parameters(norm, width):
    block = TransformerBlock(4, norm=norm)
    block.build((None, 5, width))
    assert block.count_params() == 12 * width**2 + 13 * width


def test_order_of_tokens_does_not_matter_without_a_mask(rng):
    x, *_ = inputs()
    order = rng.permutation(6)
    block = block_like_torchs()
    moved = ops.convert_to_numpy(block(x[:, order]))
    assert_close(moved, ops.convert_to_numpy(block(x))[:, order], atol=1e-5)


def test_drop_path_leaves_the_branches_out():
    block = TransformerBlock(2, norm="pre", drop_path_rate=0.5, seed=4)
    x = np.random.default_rng(1).normal(size=(400, 2, 8)).astype("float32")
    y = ops.convert_to_numpy(block(x, training=True))
    untouched = np.all(y == x, axis=(1, 2))
    # Both branches are left out of a quarter of the examples; deviation 0.022.
    assert untouched.mean() == pytest.approx(0.25, abs=0.09)
    assert np.any(ops.convert_to_numpy(block(x)) != x, axis=(1, 2)).all()


@pytest.mark.parametrize("option", ["drop_rate", "attention_drop_rate"])
def test_drops_act_in_training_alone(option, rng):
    x = rng.normal(size=(2, 5, 8)).astype("float32")
    block = TransformerBlock(2, seed=1, **{option: 0.4})
    assert_close(block(x), block(x, training=False), rtol=0, atol=0)
    assert np.abs(ops.convert_to_numpy(block(x, training=True) - block(x))).max() > 1e-3


def test_another_feedforward_comes_back_from_the_config(rng):
    x = rng.normal(size=(2, 5, 8)).astype("float32")
    block = TransformerBlock(2, feedforward=FeedForward(3, activation="tanh"))
    block(x)
    assert block.mlp.hidden_dim == 3
    again = TransformerBlock.from_config(block.get_config())
    again(x)
    again.set_weights(block.get_weights())
    assert_close(again(x), block(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_heads": 0}, "`num_heads` must be an integer of at least 1, got 0."),
        ({"feedforward_dim": 0}, "`feedforward_dim` must be an integer of at least 1, got 0."),
        ({"norm": "first"}, '`norm` must be "post" or "pre", got \'first\'.'),
        ({"drop_rate": 1}, r"`drop_rate` must be in \[0, 1\), got 1."),
        ({"attention_drop_rate": -1}, r"`attention_drop_rate` must be in \[0, 1\), got -1."),
        ({"drop_path_rate": 2}, r"`drop_path_rate` must be in \[0, 1\), got 2."),
    ],
)
def test_errors(config, message):
    with pytest.raises(ValueError, match=message):
        TransformerBlock(**{"num_heads": 2, **config})


def test_errors_of_shapes():
    with pytest.raises(ValueError, match="`num_heads` must divide .* got 3 heads for 8 features."):
        TransformerBlock(3)(np.ones((1, 2, 8)))
    with pytest.raises(ValueError, match=r"`x` must be \(B, N, d\) tokens .* got shape \(1, 8\)."):
        TransformerBlock(2)(np.ones((1, 8)))
