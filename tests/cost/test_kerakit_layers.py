"""kerakit's layers that are made of others, and that none of them is left uncounted."""

import math

import keras
import pytest

from kerakit import layers
from kerakit.cost import formulas, report
from tests.conformance.cases import LAYERS


def of_one(layer, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    return report(keras.Model(inputs, layer(*inputs)))


@pytest.fixture(autouse=True)
def _no_values():
    with keras.StatelessScope(initialize_variables=False):
        yield


@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_every_layer_is_counted(case):
    layer = case.make()
    inputs = keras.tree.map_structure(
        lambda x: keras.Input(x.shape[1:], dtype=str(x.dtype)), list(case.inputs)
    )
    cost = report(keras.Model(inputs, layer(*inputs)))
    assert cost.uncounted == {}
    assert cost.parameters == layer.count_params()
    assert cost.uncalled_parameters == 0
    if layer.weights and not isinstance(layer, layers.ClassToken):
        assert cost.flops > 0


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_transformer_block_is_the_formula(norm):
    width, tokens, heads = 8, 5, 2
    cost = of_one(layers.TransformerBlock(heads, norm=norm), (tokens, width))
    assert cost.parameters == formulas.transformer_block_parameters(width)
    assert cost.macs == formulas.transformer_block_macs(width, tokens)
    elements = tokens * width
    # Two layer norms, two residual sums, ReLU on the hidden features; the scores.
    own = 2 * formulas.layer_norm_flops(elements) + 2 * elements + 4 * elements
    assert cost.flops == 2 * cost.macs + own + 4 * heads * tokens**2
    assert cost.receptive_field == ("all",)


def test_drop_rates_do_not_change_the_cost():
    rates = {"drop_rate": 0.1, "attention_drop_rate": 0.1, "drop_path_rate": 0.1}
    with_drops = of_one(layers.TransformerBlock(2, **rates), (5, 8))
    without = of_one(layers.TransformerBlock(2), (5, 8))
    assert with_drops.flops == without.flops
    assert with_drops.activation_bytes == without.activation_bytes


def test_a_decoder_block_has_a_second_attention():
    width, tokens, memory = 8, 5, 7
    layer = layers.TransformerDecoderBlock(2)
    cost = of_one(layer, (tokens, width), (memory, width))
    attention = formulas.attention_macs(width, tokens)
    crossed = formulas.attention_macs(width, tokens, memory)
    assert cost.macs == attention + crossed + formulas.feed_forward_macs(width, tokens)


def test_a_mixture_in_a_block_stands_for_its_feed_forward():
    mixture = layers.MixtureOfExperts(4, 2, hidden_dim=32)
    block = layers.TransformerBlock(2, feedforward=mixture)
    cost = of_one(block, (8, 8))
    served = 4 * math.ceil(1.25 * 2 * 8 / 4)
    macs = formulas.attention_macs(8, 8) + formulas.dense_macs(8, 4, positions=8)
    assert cost.macs == macs + formulas.feed_forward_macs(8, served, 32)


def test_a_vanilla_rnn_is_the_formula():
    cost = of_one(layers.VanillaRNN(4, 2), (6, 3))
    assert cost.parameters == formulas.rnn_parameters(3, 4, 2)
    readout = formulas.dense_macs(4, 2, positions=6)
    assert cost.macs == formulas.recurrent_macs(3, 4, steps=6) + readout
    assert cost.flops == formulas.rnn_flops(3, 4, steps=6) + 2 * readout


def test_conv_2plus1d_is_two_convolutions():
    layer = layers.Conv2Plus1D(4, 3)
    cost = of_one(layer, (4, 6, 6, 2))
    voxels, middle = 4 * 6 * 6, layer.mid_filters
    assert cost.macs == voxels * (middle * 9 * 2 + 4 * 3 * middle)
    # Batch normalisation and ReLU between them.
    assert cost.flops == 2 * cost.macs + 3 * voxels * middle
    assert cost.receptive_field == (3, 3, 3)


def test_patches_and_tokens():
    images = keras.Input((32, 48, 3))
    x = layers.PatchEmbedding(16, embedding_dim=8)(images)
    x = layers.ClassToken()(x)
    x = layers.PositionEmbedding()(x)
    cost = report(keras.Model(images, x))
    rows = {row.kind: row for row in cost.rows}
    assert rows["PatchEmbedding"].macs == 6 * 8 * 16 * 16 * 3
    assert rows["PatchEmbedding"].flops == 2 * rows["PatchEmbedding"].macs
    assert rows["ClassToken"].flops == 0
    assert rows["PositionEmbedding"].flops == 7 * 8
    assert cost.parameters == 8 * 769 + 8 + 7 * 8
    # Each token has seen its patch, and the class token nothing yet.
    assert cost.receptive_field == (16, 16)


def test_a_vision_transformer_is_torchvisions_17_564_gmac():
    images = keras.Input((224, 224, 3))
    x = layers.PatchEmbedding(16, embedding_dim=768)(images)
    x = layers.PositionEmbedding()(layers.ClassToken()(x))
    for _ in range(12):
        x = layers.TransformerBlock(12, norm="pre", activation="gelu", epsilon=1e-6)(x)
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x)
    cost = report(keras.Model(images, keras.layers.Dense(1000)(x[:, 0])))
    assert cost.parameters == 86_567_656
    assert round(cost.macs / 1e9, 3) == 17.564
    assert cost.uncounted == {}
