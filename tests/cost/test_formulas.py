"""The closed formulas against Keras's own layers, against each other and by hand."""

import pathlib

import keras
import numpy as np
import pytest
from keras import layers

from kerakit.activations import TABLE
from kerakit.cost import formulas


def built(layer, *shapes):
    # Its variables get shapes and no values, which JAX would compile one by one.
    with keras.StatelessScope(initialize_variables=False):
        layer.build(*((None, *shape) for shape in shapes))
    return layer


def parameters(layer, *shape):
    return built(layer, shape).count_params()


@pytest.mark.parametrize(("size", "kernel", "stride"), [(13, 3, 1), (13, 4, 2), (14, 5, 3)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", [0, 2])
def test_convolution_size(size, kernel, stride, dilation, padding):
    padded = np.ones(size + 2 * padding)
    span = [tap * dilation for tap in range(kernel)]
    places = [i for i in range(0, len(padded), stride) if i + span[-1] < len(padded)]
    found = formulas.convolution_size(
        size, kernel, stride=stride, padding=padding, dilation=dilation
    )
    assert found == len(places)
    if stride == 1 or dilation == 1:
        # Keras's convolution takes either.
        layer = layers.Conv1D(1, kernel, strides=stride, dilation_rate=dilation)
        assert found == layer.compute_output_shape((1, len(padded), 1))[1]


def test_a_kernel_that_does_not_fit_is_refused():
    with pytest.raises(
        ValueError, match="`kernel` must span at most the padded input, got 5 for 4"
    ):
        formulas.convolution_size(2, 3, padding=1, dilation=2)


def test_pooling_size_and_effective_kernel():
    for size, kernel, stride in ((12, 2, None), (13, 3, 2), (112, 3, 2)):
        layer = layers.MaxPooling1D(kernel, stride)
        assert (
            formulas.pooling_size(size, kernel, stride=stride)
            == (layer.compute_output_shape((1, size, 1))[1])
        )
    for kernel, dilation in ((3, 1), (3, 2), (5, 3)):
        taps = np.arange(kernel) * dilation
        assert formulas.effective_kernel(kernel, dilation=dilation) == np.ptp(taps) + 1


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (4, 2), (5, 3)])
def test_transposed_convolution_size(kernel, stride):
    # Keras's "valid" is the formula with P = 0 where the kernel covers the stride.
    layer = layers.Conv1DTranspose(1, kernel, strides=stride)
    full = layer.compute_output_shape((1, 7, 1))[1]
    assert formulas.transposed_convolution_size(7, kernel, stride=stride) == full
    # With padding it undoes the convolution of its size.
    for padding in (1, 2):
        outputs = formulas.transposed_convolution_size(9, kernel, stride=stride, padding=padding)
        back = formulas.convolution_size(outputs, kernel, stride=stride, padding=padding)
        assert back == 9


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(9, 3, 2), (10, 3, 2), (11, 5, 3), (8, 1, 2)]
)
def test_same_padding_keeps_the_size_over_the_stride(size, kernel, stride):
    before, after = formulas.same_padding(size, kernel, stride=stride)
    assert 0 <= after - before <= 1
    outputs = -(-size // stride)
    assert (size + before + after - kernel) // stride + 1 == outputs
    layer = layers.Conv1D(1, kernel, strides=stride, padding="same")
    assert layer.compute_output_shape((1, size, 1))[1] == outputs


def test_receptive_field_by_recurrence_and_in_closed_form():
    for kernel in (1, 3, 5):
        for depth in (1, 2, 7):
            recurrence = formulas.receptive_field([(kernel, 1)] * depth)
            assert recurrence == formulas.receptive_field_of_equal_layers(depth, kernel)
    assert formulas.receptive_field([]) == 1
    # VGG-16 up to its last pooling: 212 (Araujo et al. 2019, Table 1).
    pool = (2, 2)
    blocks = [(3, 1)] * 2 + [pool], [(3, 1)] * 3 + [pool]
    assert formulas.receptive_field(blocks[0] * 2 + blocks[1] * 3) == 212
    assert formulas.receptive_field([(3, 1, 1), (3, 1, 2), (3, 1, 4)]) == 15


def test_parameters_are_those_of_the_layers():
    f = formulas
    assert f.dense_parameters(7, 5) == parameters(layers.Dense(5), 7)
    assert f.dense_parameters(7, 5, bias=False) == parameters(layers.Dense(5, use_bias=False), 7)
    assert f.convolution_parameters((3,), 4, 6) == parameters(layers.Conv1D(6, 3), 8, 4)
    assert f.convolution_parameters((3, 5), 4, 6) == parameters(layers.Conv2D(6, (3, 5)), 8, 8, 4)
    assert f.convolution_parameters((2, 3, 3), 4, 6, bias=False) == parameters(
        layers.Conv3D(6, (2, 3, 3), use_bias=False), 8, 8, 8, 4
    )
    assert f.convolution_parameters((3, 3), 8, 6, groups=2) == parameters(
        layers.Conv2D(6, 3, groups=2), 8, 8, 8
    )
    assert f.depthwise_separable_parameters((3, 3), 4, 6) == parameters(
        layers.SeparableConv2D(6, 3, use_bias=False), 8, 8, 4
    )
    assert f.depthwise_separable_parameters((3, 3), 4, 6, bias=True) == parameters(
        layers.SeparableConv2D(6, 3), 8, 8, 4
    )
    assert f.batch_norm_parameters(9, moving=True) == parameters(layers.BatchNormalization(), 9)
    norm = built(layers.BatchNormalization(), (9,))
    assert f.batch_norm_parameters(9) == sum(v.shape[0] for v in norm.trainable_weights)
    assert f.layer_norm_parameters(9) == parameters(layers.LayerNormalization(), 9)
    assert f.embedding_parameters(30, 8) == parameters(layers.Embedding(30, 8), 4)
    assert f.position_parameters(10, 8) == parameters(layers.Embedding(10, 8), 4)


def test_recurrent_parameters_are_those_of_the_layers():
    f = formulas
    assert f.rnn_parameters(3, 4) == parameters(layers.SimpleRNN(4), 6, 3)
    with_output = parameters(layers.SimpleRNN(4), 6, 3) + parameters(layers.Dense(2), 4)
    assert f.rnn_parameters(3, 4, 2) == with_output == 4**2 + 3 * 4 + 4 * 2 + 4 + 2
    assert f.lstm_parameters(3, 4) == parameters(layers.LSTM(4), 6, 3)
    assert f.gru_parameters(3, 4, reset_after=True) == parameters(layers.GRU(4), 6, 3)
    assert f.gru_parameters(3, 4) == parameters(layers.GRU(4, reset_after=False), 6, 3)


@pytest.mark.parametrize(("width", "heads"), [(8, 2), (12, 3)])
def test_attention_and_block_parameters(width, heads):
    attention = built(layers.MultiHeadAttention(heads, width // heads), (5, width), (5, width))
    assert formulas.attention_parameters(width) == attention.count_params()
    dense = parameters(layers.Dense(4 * width), width) + parameters(layers.Dense(width), 4 * width)
    assert formulas.feed_forward_parameters(width) == dense == 8 * width**2 + 5 * width
    block = attention.count_params() + dense + 2 * parameters(layers.LayerNormalization(), width)
    assert formulas.transformer_block_parameters(width) == block == 12 * width**2 + 13 * width


def count_products(shape_a, shape_b):
    """MACs of a matrix product, one by one."""
    (n, k), (k_too, m) = shape_a, shape_b
    assert k == k_too
    return sum(1 for _ in range(n) for _ in range(m) for _ in range(k))


def test_attention_macs_are_those_of_its_matrix_products():
    n, d, heads = 5, 6, 2
    each = d // heads
    projections = 4 * count_products((n, d), (d, d))
    scores = heads * count_products((n, each), (each, n))
    weighted = heads * count_products((n, n), (n, each))
    assert formulas.attention_macs(d, n) == projections + scores + weighted
    assert formulas.attention_macs(d, n) == 4 * n * d * d + 2 * n * n * d
    # Of other keys: two projections are of them.
    m = 3
    crossed = 2 * n * d * d + 2 * m * d * d + 2 * n * m * d
    assert formulas.attention_macs(d, n, m) == crossed
    assert formulas.attention_flops(d, n, heads=heads) == (
        2 * formulas.attention_macs(d, n) + 4 * heads * n * n
    )
    both = count_products((n, d), (d, 4 * d)) + count_products((n, 4 * d), (4 * d, d))
    assert formulas.feed_forward_macs(d, n) == both
    assert formulas.transformer_block_macs(d, n) == 12 * n * d * d + 2 * n * n * d


def test_vit_b_16_is_the_published_17_564_gmac():
    blocks = 12 * formulas.transformer_block_macs(768, 197)
    patches = formulas.convolution_macs((16, 16), 3, 14 * 14 * 768)
    head = formulas.dense_macs(768, 1000)
    assert round((blocks + patches + head) / 1e9, 3) == 17.564
    parameters = 12 * formulas.transformer_block_parameters(768)
    parameters += formulas.convolution_parameters((16, 16), 3, 768) + 768  # and the class token
    parameters += formulas.position_parameters(197, 768) + formulas.layer_norm_parameters(768)
    assert parameters + formulas.dense_parameters(768, 1000) == 86_567_656


def test_convolution_macs_are_counted_tap_by_tap():
    outputs = 4 * 5 * 6
    taps = sum(1 for _ in range(outputs) for _ in range(3 * 2) for _ in range(8 // 2))
    assert formulas.convolution_macs((3, 2), 8, outputs, groups=2) == taps
    assert formulas.depthwise_separable_macs((3, 3), 8, 6, 20) == 20 * (9 * 8 + 8 * 6)
    # Each of 12 inputs of 8 channels to 2 x 2 places of 6 filters.
    assert formulas.transposed_convolution_macs((2, 2), 6, 12 * 8) == 12 * 8 * 4 * 6


def test_dense_flops_with_bias_are_two_a_mac():
    for inputs, outputs in ((7, 5), (512, 1000)):
        exact = (2 * inputs - 1) * outputs + outputs
        assert formulas.dense_flops(inputs, outputs) == exact
    assert formulas.dense_flops(7, 5, positions=3) == 2 * 3 * 7 * 5
    assert formulas.dense_macs(7, 5, positions=3) == 3 * 7 * 5


def test_recurrent_macs_and_flops():
    n, x, h = 4, 3, 5
    one = count_products((1, x), (x, h)) + count_products((1, h), (h, h))
    assert formulas.recurrent_macs(x, h, gates=4, steps=n) == 4 * n * one
    assert formulas.rnn_flops(x, h, steps=n) == n * (2 * one + 6 * h)
    assert formulas.lstm_flops(x, h, steps=n) == n * (8 * one + (3 * 4 + 2 * 6 + 4) * h)
    assert formulas.gru_flops(x, h, steps=n) == n * (6 * one + (2 * 4 + 6 + 5) * h)
    assert formulas.gru_flops(x, h, steps=n, reset_after=True) == (
        formulas.gru_flops(x, h, steps=n) + 3 * n * h
    )


def test_pooling_and_normalisation_flops():
    assert formulas.max_pooling_flops(5 * 5 * 3) == 75
    assert formulas.average_pooling_flops(5 * 5 * 3, 9) == 75 * 8
    assert formulas.batch_norm_flops(10) == 20
    assert formulas.layer_norm_flops(10) == 70
    assert formulas.layer_norm_flops(10, scale=False, shift=False) == 50


def test_activation_flops_are_the_tables():
    for name, entry in TABLE.items():
        assert formulas.activation_flops(name, 7) == 7 * entry.flops_per_element
    with pytest.raises(ValueError, match="`name` must be one of sigmoid, tanh, .*, got 'step'"):
        formulas.activation_flops("step", 7)


def test_every_formula_is_tested_here():
    source = pathlib.Path(__file__).read_text("utf-8")
    assert [name for name in formulas.__all__ if f".{name}(" not in source] == []
