"""The figures against counters of others, with every difference in numbers."""

import keras
import pytest
from keras import layers

from kerakit.cost import report

BACKEND = keras.backend.backend()


def small_network():
    x = images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.DepthwiseConv2D(3, use_bias=False)(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(6, 1, use_bias=False)(x)
    x = layers.Add()([x, x])
    x = layers.Activation("sigmoid")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(5, activation="softmax")(x))


def profiled(model):
    """{kind of operation: FLOPs} by TensorFlow's profiler, of the graph with constant weights."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    shape = tf.TensorSpec((1, *model.input_shape[1:]), "float32")
    traced = tf.function(lambda x: model(x, training=False)).get_concrete_function(shape)
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options |= {"output": "none", "account_type_regexes": [".*"]}
    found = {}

    def visit(node):
        if node.name != "_TFProfRoot" and node.float_ops:
            found[node.name] = node.float_ops
        for child in node.children:
            visit(child)

    graph = convert_variables_to_constants_v2(traced).graph
    visit(tf.compat.v1.profiler.profile(graph, cmd="op", options=options))
    return found


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's profiler")
def test_tensorflows_profiler():
    model = small_network()
    cost = report(model)
    rows = {row.kind: row.flops for row in cost.rows}
    convolution = sum(row.flops for row in cost.rows if row.kind == "Conv2D")
    theirs = profiled(model)
    # Equal: two a MAC, with a bias or without.
    assert theirs.pop("Conv2D") == convolution == 2 * (16 * 16 * 4 * 27 + 3 * 3 * 6 * 4)
    assert theirs.pop("DepthwiseConv2dNative") == rows["DepthwiseConv2D"] == 2 * 6 * 6 * 4 * 9
    assert theirs.pop("MatMul") == 2 * 6 * 5
    # They count the bias again, which is within our two a MAC.
    assert theirs.pop("BiasAdd") == 16 * 16 * 4 + 5
    # Batch normalisation: a product and a sum an element, as ours; theirs has 5 operations a
    # channel on constants too: variance + epsilon; the root and its inverse, counted 2; inverse by
    # gamma, mean by it, beta less that.
    elements, channels, added = 16 * 16 * 4, 4, 3 * 3 * 6
    assert rows["BatchNormalization"] == 2 * elements
    assert theirs.pop("Mul") == elements + 2 * channels
    assert theirs.pop("AddV2") == elements + channels + added
    assert theirs.pop("Rsqrt") == 2 * channels
    assert theirs.pop("Sub") == channels
    assert rows["Add"] == added
    # Poolings: they count the whole window, k^2 an output; we 1 for a maximum and k^2 - 1.
    assert (theirs.pop("MaxPool"), rows["MaxPooling2D"]) == (8 * 8 * 4 * 4, 8 * 8 * 4)
    assert (theirs.pop("AvgPool"), rows["AveragePooling2D"]) == (3 * 3 * 4 * 4, 3 * 3 * 4 * 3)
    assert (theirs.pop("Mean"), rows["GlobalAveragePooling2D"]) == (9 * 6, 8 * 6)
    # Softmax 5 an element, ours 3, in the dense layer's row. ReLU and sigmoid they leave out.
    assert (theirs.pop("Softmax"), rows["Dense"]) == (5 * 5, 2 * 6 * 5 + 3 * 5)
    assert (rows["ReLU"], rows["Activation"]) == (elements, 4 * added)
    assert theirs == {}


@pytest.mark.skipif(BACKEND != "jax", reason="XLA's cost analysis")
def test_xlas_cost_analysis():
    import jax

    def analysed(model):
        shape = (1, *model.input_shape[1:])
        compiled = jax.jit(lambda x: model(x)).lower(jax.numpy.ones(shape)).compile()
        analysis = compiled.cost_analysis()
        return (analysis[0] if isinstance(analysis, list) else analysis)["flops"]

    images = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, use_bias=False)(images)
    x = layers.Flatten()(x)
    # Its bias is of zeros, which the compiler takes away.
    model = keras.Model(images, layers.Dense(5, activation="relu")(x))
    flops = 2 * (10 * 10 * 4 * 27 + 400 * 5) + 5
    assert analysed(model) == report(model).flops == flops

    padded = keras.Sequential([images, layers.Conv2D(4, 3, padding="same", use_bias=False)])
    # Taps over the padding they leave out: 3 * 12 - 2 along an axis are over the image.
    assert report(padded).flops == 2 * (3 * 12) ** 2 * 3 * 4
    assert analysed(padded) == 2 * (3 * 12 - 2) ** 2 * 3 * 4
