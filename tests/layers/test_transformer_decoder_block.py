import pathlib

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.layers import TransformerDecoderBlock
from tests.conformance.case import assert_close
from tests.golden.transformer import (
    DECODER_CASES,
    DECODER_SHAPES,
    HEADS,
    HIDDEN,
    inputs,
    load,
    torch_weights,
)

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden/transformer.npz")


def block_like_torchs(*, norm_first=False, padding=False, causal=True):
    norm = "pre" if norm_first else "post"
    block = TransformerDecoderBlock(HEADS, HIDDEN, norm=norm, causal=causal)
    block.build(*(x.shape for x in inputs()[:2]))
    load(block, torch_weights(DECODER_SHAPES))
    return block


@pytest.mark.parametrize("case", DECODER_CASES)
def test_equals_torchs_decoder_layer(case):
    options = DECODER_CASES[case]
    x, memory, is_token, is_memory = inputs()
    masks = {}
    if options.get("padding"):
        masks = {"padding_mask": is_token, "memory_padding_mask": is_memory}
    found = block_like_torchs(**options)(x, memory, **masks)
    assert_close(found, GOLDEN[case], rtol=1e-5, atol=1e-5)


def test_a_token_sees_none_after_it():
    x, memory, *_ = inputs()
    changed = x.copy()
    changed[:, 4] += 1.0
    for causal, first in ((True, 4), (False, 0)):
        block = block_like_torchs(causal=causal)
        moved = ops.convert_to_numpy(block(changed, memory) - block(x, memory))
        seen = np.abs(moved).max(axis=(0, 2)) > 1e-4
        assert_close(seen, np.arange(6) >= first, rtol=0, atol=0)


def test_a_carried_mask_of_the_memory_reaches_every_block():
    """Keras's own attention clears it at the first layer; see the test below."""
    ids = np.array([[3, 1, 0, 0, 0]])
    x, *_ = inputs()
    embedding = keras.layers.Embedding(5, 16, mask_zero=True)
    blocks = [TransformerDecoderBlock(2, name=f"block_{i}") for i in range(2)]

    def run(memory, **masks):
        y = x[:1]
        for block in blocks:
            y = block(y, memory, **masks)
        return y

    expected = run(ops.copy(embedding(ids)), memory_padding_mask=ids != 0)
    assert_close(run(embedding(ids)), expected, rtol=1e-5, atol=1e-6)
    source = keras.Input((5,), dtype="int32")
    model = keras.Model(source, run(embedding(source)))
    assert_close(model(ids), expected, rtol=1e-5, atol=1e-6)


def test_keras_attention_forgets_the_mask_of_a_memory():
    """Why `take_mask` exists; when this fails, Keras has mended it."""
    memory = keras.layers.Embedding(5, 8, mask_zero=True)(np.array([[1, 2, 0]]))
    query = np.ones((1, 2, 8), "float32")
    attention = keras.layers.MultiHeadAttention(2, 4)
    first, second = attention(query, memory), attention(query, memory)
    assert np.abs(ops.convert_to_numpy(first - second)).max() > 1e-4


def test_parameters_and_a_memory_of_another_width():
    block = TransformerDecoderBlock(4)
    block.build((None, 5, 8), (None, 7, 8))
    assert block.count_params() == 16 * 8**2 + 19 * 8
    other = TransformerDecoderBlock(4)
    assert tuple(other(np.ones((1, 5, 8)), np.ones((1, 7, 12))).shape) == (1, 5, 8)
    assert other.count_params() == 16 * 8**2 + 19 * 8 + 2 * (12 - 8) * 8


def test_errors():
    with pytest.raises(ValueError, match="`num_heads` must be an integer of at least 1, got 0."):
        TransformerDecoderBlock(0)
