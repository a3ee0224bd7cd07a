"""Norms folded into the two convolutions of a `Conv2Plus1D`."""

import keras
import pytest
from keras import layers

from kerakit.export import fold
from kerakit.layers import BatchNormalization, Conv2Plus1D
from tests.export.test_folding import NORMS, assert_folds


def clips():
    return keras.Input((4, 6, 6, 3))


def factorised(**options):
    return Conv2Plus1D(4, 3, **options)


def trained_inside(model, rng):
    """As `trained`; the norm inside a layer is none of the model's own layers."""
    for layer in model.layers:
        if isinstance(layer, Conv2Plus1D):
            for weight in layer.norm.weights:
                is_factor = weight.name in ("gamma", "moving_variance")
                weight.assign(
                    rng.uniform(*((0.5, 1.5) if is_factor else (-0.5, 0.5)), weight.shape)
                )
    return model


@pytest.mark.parametrize("norm", [None, *NORMS])
def test_a_convolution_in_two_steps_takes_the_norm_inside_and_the_one_behind(norm, rng):
    x = clips()
    y = factorised(strides=(2, 1, 1), name="conv")(x)
    y = y if norm is None else norm(name="behind")(y)
    model = trained_inside(keras.Model(x, layers.ReLU(name="relu")(y)), rng)
    folded = assert_folds(model, rng, left=[])
    # The ReLU between the steps goes with the norm, and so does the one behind.
    names = ["conv_0", "conv_3", *(["relu"] if norm is None else [])]
    assert [layer.name for layer in folded.layers[1:]] == names
    assert folded.get_layer("conv_0").bias is not None
    assert (folded.get_layer("conv_3").bias is None) == (norm is None)


def test_a_slow_number_of_channels_is_filled_up_with_zeros(rng):
    x = clips()
    y = factorised(mid_filters=39, strides=(2, 1, 1), name="far")(x)  # 48 would be too many more
    y = factorised(mid_filters=63, strides=(1, 2, 2), name="near")(layers.ReLU()(y))
    model = trained_inside(keras.Model(x, BatchNormalization(name="behind")(y)), rng)
    folded = assert_folds(model, rng, left=[])
    filters = {name: folded.get_layer(name).filters for name in ("far_0", "near_0", "near_3")}
    assert filters == {"far_0": 39, "near_0": 64, "near_3": 4}
    # What goes by the batch does so with channels of zeros too.
    y = factorised(mid_filters=63, name="batch")(x, training=True)
    model = keras.Model(x, BatchNormalization(name="behind")(y))
    assert assert_folds(model, rng, left=["batch_1"]).get_layer("batch_0").filters == 64


def test_two_steps_that_are_called_twice_or_read_twice(rng):
    x = clips()
    shared = factorised(padding=1, name="shared")
    y = shared(x)
    z = BatchNormalization(name="norm")(shared(layers.ReLU()(x)))
    model = trained_inside(keras.Model(x, layers.Add()([y, z])), rng)
    assert_folds(model, rng, left=[])
    both = layers.Add()([y, BatchNormalization(name="reader")(y)])
    assert_folds(trained_inside(keras.Model(x, both), rng), rng, left=["reader"])


def test_two_steps_stay_one_layer_where_nothing_can_be_folded():
    x = clips()
    half = keras.Model(x, factorised(dtype="mixed_bfloat16")(x))
    assert fold(half) is half
    batch = keras.Model(x, factorised()(x, training=True))
    assert fold(batch) is batch
    # A name of a step is another layer's.
    taken = keras.Model(x, layers.ReLU(name="conv_0")(factorised(name="conv")(x)))
    assert fold(taken) is taken


def test_two_steps_inside_a_nested_model(rng):
    x = clips()
    inside = trained_inside(keras.Model(x, factorised(name="conv")(x), name="inside"), rng)
    outside = keras.Model(x, layers.GlobalAveragePooling3D()(inside(x)))
    folded = assert_folds(outside, rng, left=[])
    assert [layer.name for layer in folded.get_layer("inside").layers[1:]] == [
        "conv_0", "conv_3",
    ]  # fmt: skip
