"""What the sheet says of attention, of the transformer's block and of mixtures of experts."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit import gradients
from kerakit.layers import MixtureOfExperts, PositionEmbedding, TransformerBlock

D, HEADS, TOKENS = 12, 3, 7


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention_by_hand(q, k, v, mask=None, scale=None):
    """`softmax(Q K^T / sqrt(d_k)) V`, and its weights."""
    scores = q @ np.swapaxes(k, -1, -2) / (np.sqrt(q.shape[-1]) if scale is None else scale)
    weights = softmax(scores if mask is None else np.where(mask, scores, -np.inf))
    return weights @ v, weights


def multi_head_by_hand(attention, x, mask=None, scale=None):
    """Heads one by one, concatenated, times W^O."""
    w_q, b_q, w_k, b_k, w_v, b_v, w_o, b_o = attention.get_weights()
    heads, weights = [], []
    for h in range(HEADS):
        q, k, v = (x @ w[:, h] + b[h] for w, b in ((w_q, b_q), (w_k, b_k), (w_v, b_v)))
        output, weight = attention_by_hand(q, k, v, mask, scale)
        heads.append(output)
        weights.append(weight)
    return np.concatenate(heads, -1) @ w_o.reshape(-1, D) + b_o, np.stack(weights, 1)


@pytest.fixture
def attention(rng):
    layer = layers.MultiHeadAttention(HEADS, D // HEADS)
    layer.build((None, TOKENS, D), (None, TOKENS, D))
    layer.set_weights([rng.normal(size=w.shape) * 0.5 for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("causal", [False, True])
def test_keras_attention_is_the_formula(causal, attention, rng):
    x = rng.normal(size=(2, TOKENS, D)).astype("float32")
    mask = np.tril(np.ones((TOKENS, TOKENS), bool)) if causal else None
    expected, expected_weights = multi_head_by_hand(attention, x, mask)
    fused = attention(x, x, use_causal_mask=causal)
    found, weights = attention(x, x, use_causal_mask=causal, return_attention_scores=True)
    for y in (fused, found):
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(weights, expected_weights, rtol=1e-4, atol=1e-5)
    if causal:  # future positions, at minus infinity before the softmax
        np.testing.assert_array_equal(ops.convert_to_numpy(weights)[..., ~mask], 0)
    unscaled, _ = multi_head_by_hand(attention, x, mask, scale=1.0)
    assert np.abs(unscaled - expected).max() > 0.05


@pytest.mark.parametrize("d_k", [16, 256])
def test_the_square_root_keeps_scores_of_deviation_1(d_k, rng):
    """So that the softmax is not saturated at any width."""
    q, k = rng.normal(size=(2, 2000, d_k))
    products = np.sum(q * k, axis=-1)
    assert products.std() == pytest.approx(np.sqrt(d_k), rel=0.1)
    assert (products / np.sqrt(d_k)).std() == pytest.approx(1, rel=0.1)


def test_parameters(attention):
    assert attention.count_params() == 4 * D**2 + 4 * D
    norm = layers.LayerNormalization()
    norm.build((None, TOKENS, D))
    assert norm.count_params() == 2 * D
    words = layers.Embedding(100, D)
    words.build((None, TOKENS))
    assert words.count_params() == 100 * D
    positions = PositionEmbedding()
    positions.build((None, TOKENS, D))
    assert positions.count_params() == TOKENS * D
    block = TransformerBlock(HEADS)
    block.build((None, TOKENS, D))
    assert block.mlp.count_params() == 8 * D**2 + 5 * D
    assert block.count_params() == 12 * D**2 + 13 * D


def test_six_matrix_products_with_weights_a_block():
    """Four of self-attention (Q, K, V, O) and two of the feed-forward."""
    block = TransformerBlock(HEADS)
    block.build((None, TOKENS, D))
    kernels = [w for w in block.trainable_weights if w.name == "kernel"]
    assert len(kernels) == 6
    assert sum(int(np.prod(w.shape)) for w in kernels) == 12 * D**2


def test_layer_norm_is_the_same_in_training(rng):
    x = (3 + 5 * rng.normal(size=(4, TOKENS, D))).astype("float32")
    norm = keras.Sequential([layers.LayerNormalization(epsilon=1e-5)])
    y = ops.convert_to_numpy(norm(x, training=False))
    np.testing.assert_array_equal(norm(x, training=True), y)
    by_hand = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, by_hand, rtol=1e-4, atol=1e-4)
    # Of one token alone as of the batch; a batch norm in training is not.
    np.testing.assert_allclose(norm(x[:1, :1]), y[:1, :1], rtol=1e-5, atol=1e-5)
    batch_norm = layers.BatchNormalization()
    apart = batch_norm(x[:1], training=True) - batch_norm(x, training=True)[:1]
    assert np.abs(ops.convert_to_numpy(apart)).max() > 0.1


def gradient_of_the_last_block(norm, depth):
    """Size of the gradient of its second kernel in the feed-forward, fresh from initialisation."""
    keras.utils.set_random_seed(3)
    blocks = [TransformerBlock(3, norm=norm) for _ in range(depth)]
    inputs = x = keras.Input((TOKENS, 24))
    for block in blocks:
        x = block(x)
    model = keras.Model(inputs, layers.LayerNormalization(epsilon=1e-5)(x))
    x, upstream = np.random.default_rng(0).normal(size=(2, 16, TOKENS, 24)).astype("float32")
    kernel = blocks[-1].mlp.linear_2.kernel
    _, slope = gradients.gradient(lambda x: model(x) * upstream, x, variables=[kernel])
    return np.linalg.norm(ops.convert_to_numpy(slope))


@pytest.mark.parametrize(("norm", "expected"), [("pre", np.sqrt(2 / 12)), ("post", 1.0)])
def test_pre_norm_is_the_more_stable_in_depth(norm, expected):
    """From 2 to 12 blocks. Xiong et al., 2020, Theorem 1: at the start the last block's gradient
    falls as 1 / sqrt(depth) with pre-norm and not at all with post-norm, which therefore needs
    a warm-up and small rates where pre-norm does not.
    """
    change = gradient_of_the_last_block(norm, 12) / gradient_of_the_last_block(norm, 2)
    assert change == pytest.approx(expected, rel=0.35)


def test_a_mixture_has_e_experts_and_the_cost_of_a_few():
    moe = MixtureOfExperts(8, 2, hidden_dim=4 * D)
    moe.build((None, 64, D))
    assert moe.router.shape == (D, 8)
    trainable = sum(int(np.prod(w.shape)) for w in moe.trainable_weights)
    assert trainable == 8 * (8 * D**2 + 5 * D) + 8 * D
    # Rows of the experts' matrix products, over those of one feed-forward: not 8.
    assert 8 * moe.capacity(64) / 64 == 2.5
