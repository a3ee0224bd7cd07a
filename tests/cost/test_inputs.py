"""The inputs on which a model is counted: given, declared, or those that it was built with."""

import re
import warnings

import keras
import pytest
from keras import layers, ops

from kerakit.cost import report
from kerakit.layers import TransformerDecoderBlock


class Two(keras.Model):
    """A `call` of two tensors."""

    def __init__(self):
        super().__init__(name="two")
        self.dense = layers.Dense(3)

    def call(self, a, b, training):
        assert not training
        return self.dense(a) + self.dense(b)


class Pair(keras.Model):
    """A `call` of a list."""

    def __init__(self):
        super().__init__(name="pair")
        self.dense = layers.Dense(3)

    def call(self, pair, mask=None):
        return self.dense(pair[0]) + self.dense(pair[1])


def refused(model, shape=None):
    with pytest.raises(ValueError, match="must be") as caught:
        report(model, shape)
    return str(caught.value)


def test_a_sequential_model_that_is_not_built():
    model = keras.Sequential([layers.Conv2D(4, 3)], name="unbuilt")
    message = "`input_shape` must be given for 'unbuilt', a shape for `inputs`, got None."
    assert refused(model) == message
    assert report(model, (8, 8, 3)).macs == 36 * 4 * 27


def test_a_call_of_two_tensors_is_given_two():
    cost = report(Two(), [(4,), (4,)])
    assert (cost.macs, cost.input_shapes) == (24, [(4,), (4,)])
    model = Two()
    model(ops.ones((2, 4)), ops.ones((2, 4)), training=False)
    # Keras keeps the first shape alone.
    message = "`input_shape` must be given for 'two', a shape for each of `a`, `b`, got None."
    assert refused(model) == refused(Two()) == message
    one = "`input_shape` must be a list of a shape for each of `a`, `b` of 'two', got "
    assert refused(Two(), (4,)) == one + "(4,)."
    assert refused(Two(), [(4,)]) == one + "[(4,)]."
    with pytest.raises(ValueError, match=re.escape(one)):
        report(Two(), {"a": (4,), "b": (4,)})


def test_layers_of_two_tensors():
    d, n, m = 8, 5, 7
    block = TransformerDecoderBlock(2)
    cost = report(block, [(n, d), (m, d)])
    graph = keras.Input((n, d)), keras.Input((m, d))
    assert cost.macs == report(keras.Model(graph, TransformerDecoderBlock(2)(*graph))).macs
    assert report(block).macs == cost.macs  # with the shapes that it was built with
    assert report(layers.MultiHeadAttention(2, 4), [(n, d)] * 3).macs == 4 * n * d**2 + 2 * n**2 * d


def test_a_call_of_a_list_is_given_a_list():
    model = Pair()
    assert refused(model) == "`input_shape` must be given for 'pair', a shape for `pair`, got None."
    model([ops.ones((2, 4)), ops.ones((2, 4))])
    assert report(model).macs == report(Pair(), [(4,), (4,)]).macs == 24
    assert report(model).input_shapes == [(4,), (4,)]


def test_a_layer_built_with_an_open_size():
    layer = layers.Conv2D(4, 3)
    layer.build((None, None, None, 3))
    message = "`input_shape` must be given, as the model leaves it open: (None, None, 3)."
    assert refused(layer) == message
    assert report(layer, (8, 8, 3)).macs == 36 * 4 * 27


def test_a_layer_without_a_build_is_not_warned_of():
    class Late(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert report(Late(), (4,)).macs == 12
