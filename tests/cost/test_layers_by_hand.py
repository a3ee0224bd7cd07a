"""The counted layers of Keras's and kerakit's, their figures worked out by hand."""

import math

import keras
import pytest
from keras import layers

from kerakit import layers as own
from kerakit.cost import report

FLOAT = 4  # bytes

# Layer, shape(s) of its input, then of the whole: MACs, FLOPs, elements that are kept, and the
# receptive field; () where the input has no axes in space.
CASES = [
    # Products.
    (layers.Dense(5), (7,), 7 * 5, 2 * 7 * 5, 5, ()),
    (layers.Dense(5, use_bias=False), (4, 7), 4 * 35, 4 * 70, 20, (1,)),
    (layers.Dense(5, activation="relu"), (7,), 35, 70 + 5, 5, ()),
    (layers.Dense(5, activation="softmax"), (7,), 35, 70 + 3 * 5, 5, ()),
    (layers.Dense(5, activation="swish"), (7,), 35, 70 + 5 * 5, 5, ()),
    (layers.Dense(5, activation="hard_swish"), (7,), 35, 70 + 5 * 5, 5, ()),
    (layers.EinsumDense("abc,cde->abde", (None, 2, 3)), (4, 7), 4 * 42, 4 * 84, 24, (1,)),
    (layers.Dot(axes=1), [(7,), (7,)], 7, 14, 1, ()),
    # d = 6, n = 5, h = 2: 4 n d^2 + 2 n^2 d; a scaling and a softmax of 2 * 25 scores. Kept:
    # queries, keys, values, scores, the weighted sum and the output.
    (
        layers.MultiHeadAttention(2, 3),
        [(5, 6), (5, 6)],
        4 * 5 * 36 + 2 * 25 * 6,
        2 * (4 * 5 * 36 + 2 * 25 * 6) + 4 * 2 * 25,
        3 * 30 + 50 + 30 + 30,
        ("all",),
    ),
    # Two query heads of 3 share one of keys and values.
    (
        layers.GroupQueryAttention(3, 2, 1),
        [(5, 6), (5, 6)],
        5 * 6 * 6 + 2 * 5 * 6 * 3 + 2 * 2 * 25 * 3 + 5 * 6 * 6,
        2 * (5 * 6 * 6 + 2 * 5 * 6 * 3 + 2 * 2 * 25 * 3 + 5 * 6 * 6) + 4 * 50,
        30 + 15 + 15 + 50 + 30 + 30,
        ("all",),
    ),
    (layers.Attention(), [(5, 6), (5, 6)], 2 * 25 * 6, 4 * 25 * 6 + 3 * 25, 30, ("all",)),
    # Sums of 5 x 5 x 6 features, tanh, product with the scale, sum over 6; softmax; 25 * 6.
    (
        layers.AdditiveAttention(),
        [(5, 6), (5, 6)],
        25 * 6,
        150 * (1 + 6 + 1) + 25 * 5 + 3 * 25 + 2 * 25 * 6,
        30,
        ("all",),
    ),
    # Neighbourhoods.
    (layers.Conv1D(4, 3), (9, 2), 7 * 4 * 6, 2 * 7 * 4 * 6, 28, (3,)),
    (layers.Conv1D(4, 3, padding="causal", dilation_rate=2), (9, 2), 216, 432, 36, (5,)),
    (layers.Conv2D(4, (3, 2), strides=2), (9, 8, 2), 16 * 4 * 12, 2 * 16 * 48, 64, (3, 2)),
    (layers.Conv2D(4, 3, groups=2), (5, 5, 6), 9 * 4 * 27, 2 * 9 * 4 * 27, 36, (3, 3)),
    (layers.Conv2D(4, 3, dilation_rate=2), (5, 5, 1), 36, 72, 4, (5, 5)),
    (layers.Conv2D(4, 3, activation="gelu"), (3, 3, 1), 36, 72 + 4 * 5, 4, (3, 3)),
    (layers.Conv3D(4, (2, 3, 3)), (3, 4, 4, 2), 8 * 4 * 36, 2 * 8 * 4 * 36, 32, (2, 3, 3)),
    # Each of the inputs to each tap of each filter.
    (layers.Conv1DTranspose(4, 3, strides=2), (5, 2), 5 * 2 * 12, 2 * 120, 44, (2,)),
    (layers.Conv2DTranspose(4, 2, strides=2), (3, 3, 2), 18 * 16, 36 * 16, 144, (1, 1)),
    (layers.Conv3DTranspose(1, 2), (2, 2, 2, 1), 8 * 8, 16 * 8, 27, (2, 2, 2)),
    (layers.DepthwiseConv1D(3, depth_multiplier=2), (9, 2), 7 * 4 * 3, 7 * 4 * 6, 28, (3,)),
    (layers.DepthwiseConv2D(3), (5, 5, 2), 18 * 9, 18 * 18, 18, (3, 3)),
    (layers.SeparableConv1D(4, 3), (9, 2), 7 * (2 * 3 + 2 * 4), 14 * 14, 28, (3,)),
    (layers.SeparableConv2D(4, 3), (5, 5, 2), 9 * (2 * 9 + 8), 18 * 26, 36, (3, 3)),
    (layers.MaxPooling1D(2), (8, 3), 0, 12, 12, (2,)),
    (layers.MaxPooling2D(3, 2), (7, 7, 2), 0, 18, 18, (3, 3)),
    (layers.MaxPooling3D(2), (2, 4, 4, 1), 0, 4, 4, (2, 2, 2)),
    (layers.AveragePooling1D(2), (8, 3), 0, 12 * 1, 12, (2,)),
    (layers.AveragePooling2D(3, 2), (7, 7, 2), 0, 18 * 8, 18, (3, 3)),
    (layers.AveragePooling3D(2), (2, 4, 4, 1), 0, 4 * 7, 4, (2, 2, 2)),
    (layers.GlobalMaxPooling1D(), (8, 3), 0, 3, 3, ("all",)),
    (layers.GlobalMaxPooling2D(), (4, 5, 3), 0, 3, 3, ("all", "all")),
    (layers.GlobalMaxPooling3D(), (2, 4, 5, 3), 0, 3, 3, ("all",) * 3),
    (layers.GlobalAveragePooling1D(), (8, 3), 0, 3 * 7, 3, ("all",)),
    (layers.GlobalAveragePooling2D(keepdims=True), (4, 5, 3), 0, 3 * 19, 3, ("all", "all")),
    (layers.GlobalAveragePooling3D(), (2, 4, 5, 3), 0, 3 * 39, 3, ("all",) * 3),
    # 5 to 3: windows 0-2, 1-4, 3-5 of 2, 3, 2.
    (layers.AdaptiveMaxPooling1D(3), (5, 2), 0, 6, 6, (3,)),
    (layers.AdaptiveMaxPooling2D(2), (4, 4, 2), 0, 8, 8, (2, 2)),
    (layers.AdaptiveMaxPooling3D(1), (2, 2, 2, 2), 0, 2, 2, (2, 2, 2)),
    (layers.AdaptiveAveragePooling1D(3), (5, 2), 0, 2 * (7 - 3), 6, (3,)),
    (layers.AdaptiveAveragePooling2D(2), (4, 4, 2), 0, 8 * 3, 8, (2, 2)),
    (layers.AdaptiveAveragePooling3D(1), (2, 2, 2, 2), 0, 2 * 7, 2, (2, 2, 2)),
    (layers.UpSampling1D(2), (4, 2), 0, 0, 16, (1,)),
    (layers.UpSampling2D(2), (4, 4, 2), 0, 0, 128, (1, 1)),
    # Four products and three sums.
    (layers.UpSampling2D(2, interpolation="bilinear"), (4, 4, 2), 0, 7 * 128, 128, (2, 2)),
    (layers.UpSampling3D(2), (2, 2, 2, 1), 0, 0, 64, (1, 1, 1)),
    (layers.ZeroPadding1D(1), (4, 2), 0, 0, 12, (1,)),
    (layers.ZeroPadding2D(1), (4, 4, 2), 0, 0, 72, (1, 1)),
    (layers.ZeroPadding3D(1), (2, 2, 2, 1), 0, 0, 64, (1, 1, 1)),
    (layers.Cropping1D(1), (4, 2), 0, 0, 4, (1,)),
    (layers.Cropping2D(1), (4, 4, 2), 0, 0, 8, (1, 1)),
    (layers.Cropping3D(1), (4, 4, 4, 1), 0, 0, 8, (1, 1, 1)),
    (layers.Resizing(8, 8), (4, 4, 2), 0, 7 * 128, 128, (2, 2)),
    # Elements.
    (layers.Activation("sigmoid"), (6,), 0, 4 * 6, 6, ()),
    (layers.Activation("linear"), (6,), 0, 0, 0, ()),
    (layers.ReLU(), (6,), 0, 6, 6, ()),
    (layers.ReLU(6.0), (6,), 0, 12, 6, ()),
    (layers.ReLU(negative_slope=0.1), (6,), 0, 12, 6, ()),
    (layers.LeakyReLU(), (6,), 0, 12, 6, ()),
    (layers.PReLU(), (6,), 0, 12, 6, ()),
    (layers.ELU(), (6,), 0, 24, 6, ()),
    (layers.Softmax(), (4, 6), 0, 3 * 24, 24, (1,)),
    (layers.Softmax(axis=1), (4, 6), 0, 3 * 24, 24, ("all",)),
    (layers.BatchNormalization(), (4, 4, 3), 0, 96, 48, (1, 1)),
    (layers.Normalization(mean=0.0, variance=1.0), (6,), 0, 12, 6, ()),
    (layers.Rescaling(2.0), (6,), 0, 12, 6, ()),
    (layers.LayerNormalization(), (6,), 0, 42, 6, ()),
    (layers.LayerNormalization(center=False), (6,), 0, 36, 6, ()),
    (layers.GroupNormalization(2), (4, 4, 6), 0, 7 * 96, 96, (1, 1)),
    (layers.RMSNormalization(), (6,), 0, 24, 6, ()),
    (layers.UnitNormalization(), (6,), 0, 18, 6, ()),
    # Merging.
    (layers.Add(), [(6,)] * 3, 0, 12, 6, ()),
    (layers.Subtract(), [(6,)] * 2, 0, 6, 6, ()),
    (layers.Multiply(), [(4, 4, 2)] * 2, 0, 32, 32, (1, 1)),
    (layers.Maximum(), [(6,)] * 2, 0, 6, 6, ()),
    (layers.Minimum(), [(6,)] * 2, 0, 6, 6, ()),
    (layers.Average(), [(6,)] * 3, 0, 18, 6, ()),
    (layers.Concatenate(), [(4, 2), (4, 3)], 0, 0, 20, (1,)),
    # Nothing is computed.
    (layers.Embedding(9, 5), (4,), 0, 0, 20, ()),
    (layers.Flatten(), (4, 4, 2), 0, 0, 0, (1, 1)),
    (layers.Reshape((8, 4)), (4, 4, 2), 0, 0, 0, (1, 1)),
    (layers.Permute((2, 1, 3)), (4, 5, 2), 0, 0, 40, (1, 1)),
    (layers.RepeatVector(3), (6,), 0, 0, 18, ()),
    *[
        (layer, (4, 6), 0, 0, 0, (1,))
        for layer in (
            layers.Identity(),
            layers.ActivityRegularization(l1=0.1),
            layers.Dropout(0.5),
            layers.AlphaDropout(0.5),
            layers.GaussianDropout(0.5),
            layers.GaussianNoise(0.5),
            layers.SpatialDropout1D(0.5),
            own.DropPath(0.5),
        )
    ],
    (layers.SpatialDropout2D(0.5), (4, 4, 2), 0, 0, 0, (1, 1)),
    (layers.SpatialDropout3D(0.5), (2, 4, 4, 2), 0, 0, 0, (1, 1, 1)),
    (layers.RandomFlip(), (4, 4, 3), 0, 0, 0, (1, 1)),
    # Recurrence, d_x = 3, d_h = 4, five steps.
    (layers.SimpleRNN(4), (5, 3), 5 * 28, 5 * (56 + 6 * 4), 4, ("all",)),
    (layers.LSTM(4), (5, 3), 20 * 28, 5 * (8 * 28 + 28 * 4), 4, ("all",)),
    (
        layers.GRU(4, reset_after=False, return_sequences=True),
        (5, 3),
        15 * 28,
        5 * (6 * 28 + 19 * 4),
        20,
        ("all",),
    ),
    (layers.GRU(4), (5, 3), 15 * 28, 5 * (6 * 28 + 22 * 4), 4, ("all",)),
    (layers.RNN(layers.LSTMCell(4)), (5, 3), 20 * 28, 5 * (8 * 28 + 28 * 4), 5 * 12, ("all",)),
    (layers.RNN(layers.GRUCell(4)), (5, 3), 15 * 28, 5 * (6 * 28 + 22 * 4), 5 * 8, ("all",)),
    (layers.RNN(layers.SimpleRNNCell(4)), (5, 3), 5 * 28, 5 * 80, 5 * 8, ("all",)),
    # Two of them, and the sum of their outputs.
    (
        layers.Bidirectional(layers.SimpleRNN(4), merge_mode="sum"),
        (5, 3),
        2 * 140,
        2 * 400 + 4,
        2 * 4 + 4,
        ("all",),
    ),
    (layers.TimeDistributed(layers.Conv1D(2, 3)), (5, 6, 1), 5 * 8 * 3, 5 * 48, 40, (1, 3)),
    # kerakit's.
    (own.BatchNormalization(), (4, 4, 3), 0, 96, 48, (1, 1)),
    (own.FrozenBatchNormalization(), (4, 4, 3), 0, 96, 48, (1, 1)),
    (own.InstanceNormalization(), (4, 4, 3), 0, 7 * 48, 48, (1, 1)),
    (own.InstanceNormalization(scale=False), (4, 4, 3), 0, 6 * 48, 48, (1, 1)),
    (own.ScaleByMax(), (4, 4, 3), 0, 96, 48, (1, 1)),
    (own.FFTConv2D(4, 3), (5, 5, 2), 9 * 4 * 18, 2 * 9 * 4 * 18, 36, (3, 3)),
    (own.Im2ColConv2D(4, 3, strides=2), (5, 5, 2), 4 * 4 * 18, 2 * 16 * 18, 16, (3, 3)),
    (own.PaddedConv1D(4, 3, padding=1), (9, 2), 9 * 4 * 6, 2 * 216, 36, (3,)),
    (own.PaddedConv2D(4, 3, strides=2, padding=1), (8, 8, 2), 64 * 18, 128 * 18, 64, (3, 3)),
    (own.PaddedConv3D(1, 3, padding=1), (2, 2, 2, 1), 8 * 27, 16 * 27, 8, (3, 3, 3)),
    (own.InflatedConv3D(1, 3), (2, 2, 2, 1), 8 * 27, 16 * 27, 8, (3, 3, 3)),
    (own.InflatedConv3D(1, 3, padding="same"), (2, 2, 2, 1), 8 * 27, 16 * 27, 8, (3, 3, 3)),
    (own.PaddedConv1DTranspose(4, 4, strides=2, padding=1), (5, 2), 160, 320, 40, (2,)),
    (
        own.PaddedConv2DTranspose(4, 4, strides=2, padding=1),
        (3, 3, 2),
        18 * 64,
        36 * 64,
        144,
        (2, 2),
    ),
    (own.PaddedConv3DTranspose(1, 2), (2, 2, 2, 1), 64, 128, 27, (2, 2, 2)),
    (own.PaddedDepthwiseConv2D(3, padding=1), (4, 4, 2), 32 * 9, 32 * 18, 32, (3, 3)),
    (own.AdaptiveAveragePooling2D(2), (4, 4, 2), 0, 8 * 3, 8, (2, 2)),
    (own.PaddedMaxPooling2D(3, strides=2, padding=1), (6, 6, 2), 0, 18, 18, (3, 3)),
    # Values and indices.
    (own.MaxPooling2DWithIndices(2), (4, 4, 2), 0, 8, 16, (2, 2)),
    # Nine stored examples of 6 values: a product with each, and 2 for the norms; differences, their
    # sizes and the sum; 2 directions first, then the 4 of a short list.
    (own.NearestNeighbors(3, num_neighbors=2, store_size=9), (6,), 54, 2 * 54 + 2 * 9, 3, ()),
    (
        own.NearestNeighbors(3, num_neighbors=2, metric="l1", store_size=9),
        (6,),
        0,
        3 * 54,
        3,
        (),
    ),
    (
        own.NearestNeighbors(3, num_neighbors=2, projections=2, shortlist=4, store_size=9),
        (6,),
        (6 + 9) * 2 + 4 * 6,
        2 * (6 + 9) * 2 + 2 * 9 + 2 * 4 * 6 + 2 * 4,
        3,
        (),
    ),
    # Router 6 x 4; four experts with ceil(1.25 * 2 * 6 / 4) = 4 places each, 3 to 8 to 3. A relu of
    # 16 x 8; softmax of 24; two choices of 24; two gates by their sum; two answers with gates.
    (
        own.MixtureOfExperts(4, 2, hidden_dim=8),
        (6, 3),
        6 * 3 * 4 + 16 * 2 * 3 * 8,
        2 * (72 + 768) + 16 * 8 + 3 * 24 + 2 * 24 + 3 * 6 + 3 * 18,
        18,
        (1,),
    ),
    # 1 x 1 convolutions of both maps to 3 channels, the sum, 3 x 3 convolutions of both. Kept: four
    # maps of convolutions, the coarse one doubled in height and then in width, the sum, and every
    # second cell of the coarse output.
    (
        own.FeaturePyramid(3),
        [(8, 8, 4), (4, 4, 6)],
        64 * 4 * 3 + 16 * 6 * 3 + (64 + 16) * 27 * 3,
        2 * (64 * 4 * 3 + 16 * 6 * 3 + (64 + 16) * 27 * 3) + 64 * 3,
        2 * (64 + 16) * 3 + 32 * 3 + 64 * 3 + 64 * 3 + 4 * 3,
        (3, 3),
    ),
]


def symbolic(shapes):
    several = isinstance(shapes, list)
    return [keras.Input(shape) for shape in shapes] if several else keras.Input(shapes)


def of_one(layer, shapes):
    """The report of a model of that layer alone."""
    inputs = symbolic(shapes)
    takes_two = isinstance(layer, layers.MultiHeadAttention | layers.GroupQueryAttention)
    outputs = layer(*inputs) if takes_two else layer(inputs)
    return report(keras.Model(inputs, outputs))


@pytest.fixture(autouse=True)
def _no_values():
    # Variables with shapes alone: quick, also on JAX.
    with keras.StatelessScope(initialize_variables=False):
        yield


@pytest.mark.parametrize(
    ("layer", "shapes", "macs", "flops", "kept", "field"),
    CASES,
    ids=lambda value: value.name if isinstance(value, layers.Layer) else "",
)
def test_figures_by_hand(layer, shapes, macs, flops, kept, field):
    cost = of_one(layer, shapes)
    assert (cost.macs, cost.flops) == (macs, flops)
    assert cost.activation_bytes == FLOAT * kept
    assert cost.uncounted == {}
    assert cost.receptive_field == field
    assert cost.parameters == layer.count_params()
    assert cost.trainable_parameters == sum(math.prod(v.shape) for v in layer.trainable_weights)


def test_max_unpooling_reads_the_values_of_the_windows():
    inputs = keras.Input((4, 4, 2))
    values, indices = own.MaxPooling2DWithIndices(2)(inputs)
    cost = report(keras.Model(inputs, own.MaxUnpool2D(2)(values, indices)))
    assert cost.flops == 8
    assert cost.activation_bytes == FLOAT * (16 + 32)
    assert cost.receptive_field == (2, 2)


def test_a_crop_is_free_and_reads_what_it_keeps():
    inputs = keras.Input((6, 8, 2))
    pooled = keras.layers.MaxPooling2D(3, 1)(inputs)
    smaller = keras.layers.MaxPooling2D(4, 1)(inputs)
    cost = report(keras.Model(inputs, own.CropLike()(pooled, smaller)))
    assert (cost.macs, cost.flops) == (0, 4 * 6 * 2 + 3 * 5 * 2)
    assert cost.receptive_field == (3, 3)
    assert cost.uncounted == {}


def test_resizing_reads_the_nearest_values_of_the_smaller_map():
    inputs = keras.Input((8, 6, 2))
    pooled = keras.layers.MaxPooling2D(2)(inputs)
    cost = report(keras.Model(inputs, own.ResizeLike()([pooled, inputs])))
    peer = keras.layers.UpSampling2D(2, interpolation="bilinear")(pooled)
    theirs = report(keras.Model(inputs, peer))
    assert (cost.macs, cost.flops) == (theirs.macs, theirs.flops)
    assert cost.receptive_field == theirs.receptive_field == (4, 4)
    assert cost.uncounted == {}


def test_layers_on_boxes():
    maps, boxes = [keras.Input((n, n, 3)) for n in (8, 4)], keras.Input((5, 4))
    pooled = own.RoIAlign(2, sampling_ratio=3)(maps[0], boxes)
    pooled_too = own.MultiScaleRoIAlign(2, scales=(1 / 4, 1 / 8))(maps, boxes)
    scores = keras.layers.Flatten()(keras.layers.Lambda(lambda b: b[..., :1])(boxes))
    chosen = own.NonMaxSuppression(max_output=3)(boxes, scores)
    anchors = own.AnchorGenerator(((8,), (16,)), image_size=(32, 32), aspect_ratios=(1.0,))(maps)
    cost = report(keras.Model([*maps, boxes], [pooled, pooled_too, *chosen, anchors]))
    # 5 boxes of 2 x 2 bins and 3 channels: 6 x 6 cells a bin, and 4 x 4.
    assert (cost.macs, cost.flops) == (0, 2 * 60 * (36 + 16))
    assert {name for name in cost.uncounted if "lambda" not in name} == set()


def test_a_convolutional_lstm_is_its_cell_at_each_step():
    cost = of_one(layers.ConvLSTM2D(4, 3), (5, 8, 8, 3))
    # Four gates of 6 x 6 x 4: 3 x 3 x 3 inputs, and 3 x 3 x 4 of the state's ("same").
    assert cost.macs == 5 * 4 * 36 * 4 * (27 + 36)
    gates = 36 * 4
    # A bias for each gate's input, the sum with the state's part; three gates of hard sigmoid or
    # sigmoid, two tanh; four for the states.
    own_work = 4 * gates + 4 * gates + 3 * 4 * gates + 2 * 6 * gates + 4 * gates
    assert cost.flops == 2 * cost.macs + 5 * own_work
    assert cost.receptive_field == (None, None, None)
