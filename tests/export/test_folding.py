import keras
import numpy as np
import pytest
from keras import layers

from kerakit.export import fold
from kerakit.layers import (
    BatchNormalization,
    FrozenBatchNormalization,
    PaddedConv1D,
    PaddedConv2D,
    PaddedConv3D,
    PaddedDepthwiseConv2D,
)
from kerakit.models import classification, segmentation, video

NORMS = (layers.BatchNormalization, BatchNormalization, FrozenBatchNormalization)


def norms(model):
    """Names of the norms, also of those in nested models."""
    flat = model._flatten_layers()
    return sorted(layer.name for layer in flat if isinstance(layer, NORMS))


def trained(model, rng):
    """With statistics, scales and biases as training leaves them: none is 0 or 1."""
    for layer in model._flatten_layers():
        if isinstance(layer, NORMS):
            for weight in layer.weights:
                is_factor = weight.name in ("gamma", "moving_variance")
                low, high = (0.5, 1.5) if is_factor else (-0.5, 0.5)
                weight.assign(rng.uniform(low, high, weight.shape))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.uniform(-0.5, 0.5, layer.bias.shape))
    return model


def assert_folds(model, rng, *, left, shape=None):
    """The same answers with the given norms left, and the model as it was."""
    trained(model, rng)
    shape = shape or model.input_shape[1:]
    x = rng.uniform(-1, 1, (3, *shape)).astype("float32")
    before = keras.tree.flatten(model(x, training=False))
    folded = fold(model)
    assert norms(folded) == sorted(left)
    after = keras.tree.flatten(folded(x, training=False))
    assert len(before) == len(after)
    for expected, found in zip(before, after, strict=True):
        expected = keras.ops.convert_to_numpy(expected)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * abs(expected).max())
    for expected, found in zip(before, keras.tree.flatten(model(x, training=False)), strict=True):
        np.testing.assert_array_equal(found, expected)
    return folded


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("resnet18", 20, 0),
        pytest.param("resnet50", 53, 0, marks=pytest.mark.slow),
        ("vgg11_bn", 8, 0),
        pytest.param("densenet121", 121, 62, marks=pytest.mark.slow),
        pytest.param("mobilenet_v2", 52, 0, marks=pytest.mark.slow),
        pytest.param("googlenet", 57, 0, marks=pytest.mark.slow),
    ],
)
def test_families(name, before, after, rng):
    model = getattr(classification, name)(input_shape=(64, 64, 3), num_classes=7, width=0.25)
    assert len(norms(model)) == before
    # DenseNet keeps the norms before its convolutions: two a layer, but for the second one's;
    # one a transition; and the last. Behind a convolution stand the stem's and each layer's 2nd.
    left = [n for n in norms(model) if n.endswith(("norm1", "norm", "norm5"))] if after else []
    assert len(left) == after
    trained(model, rng)
    x = rng.uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    folded = fold(model)
    assert norms(folded) == sorted(left)
    expected = keras.ops.convert_to_numpy(model(x, training=False))
    largest = abs(expected).max()
    assert largest > 1e-3
    np.testing.assert_allclose(folded(x, training=False), expected, rtol=0, atol=1e-4 * largest)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: layers.Dense(6, use_bias=False), (5,)),
        (lambda: layers.Dense(6), (4, 5)),
        (lambda: layers.Conv1D(6, 3), (9, 2)),
        (lambda: layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False), (8, 9, 4)),
        (lambda: layers.Conv2D(6, 3, groups=2), (8, 9, 4)),
        (lambda: layers.Conv3D(6, 2), (3, 4, 4, 2)),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 9, 4)),
        (lambda: PaddedConv1D(6, 3, padding=1), (9, 2)),
        (lambda: PaddedConv2D(6, 3, strides=2, padding=1, use_bias=False), (8, 9, 4)),
        (lambda: PaddedConv2D(6, 3, padding=1, groups=2), (8, 9, 4)),
        (lambda: PaddedConv3D(6, (1, 3, 3), padding=None), (3, 4, 4, 2)),
        (lambda: PaddedDepthwiseConv2D(3, padding=1, depth_multiplier=2), (8, 9, 4)),
    ],
)
@pytest.mark.parametrize("norm", NORMS)
def test_layers(make, shape, norm, rng):
    images = keras.Input(shape)
    layer = make()
    folded = assert_folds(keras.Model(images, norm()(layer(images))), rng, left=[])
    assert type(folded.layers[1]) is type(layer)
    assert folded.layers[1].name == layer.name


@pytest.mark.parametrize("options", [{"scale": False}, {"center": False}, {"epsilon": 0.1}])
def test_norms_without_all_weights(options, rng):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3), BatchNormalization(**options)])
    assert_folds(model, rng, left=[])


def test_the_numbers_by_hand():
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1), FrozenBatchNormalization()])
    model.layers[0].set_weights([np.array([[3.0]]), np.array([2.0])])
    model.layers[1].set_weights([np.array([v]) for v in (5.0, 7.0, 1.0, 4.0 - 1e-5)])
    kernel, bias = fold(model).layers[-1].get_weights()
    # s = 5 / 2; 3 s, (2 - 1) s + 7
    assert (float(kernel[0, 0]), float(bias[0])) == (7.5, 9.5)


def test_one_pair_called_twice_stays_one_layer(rng):
    left, right = keras.Input((6,)), keras.Input((6,))
    dense, norm = layers.Dense(4), BatchNormalization()
    both = [norm(dense(x)) for x in (left, right)]
    trained(model := keras.Model([left, right], layers.Subtract()(both)), rng)
    folded = fold(model)
    assert norms(folded) == []
    assert [type(layer).__name__ for layer in folded.layers].count("Dense") == 1
    a, b = rng.normal(size=(2, 3, 6)).astype("float32")
    np.testing.assert_allclose(folded([a, b]), model([a, b]), rtol=0, atol=1e-5)


def test_a_layer_shared_by_two_norms_becomes_two(rng):
    x = keras.Input((6, 6, 3))
    shared = PaddedConv2D(4, 3, padding=1)
    y = shared(x)
    z = BatchNormalization(name="second")(shared(layers.ReLU()(x)))
    folded = assert_folds(
        keras.Model(x, layers.Add()([BatchNormalization(name="first")(y), z])), rng, left=[]
    )
    assert sum(isinstance(layer, PaddedConv2D) for layer in folded.layers) == 2


def test_left_alone_where_others_read_the_layer(rng):
    x = keras.Input((6, 6, 3))
    y = layers.Conv2D(4, 3)(x)
    z = BatchNormalization(name="norm")(y)
    assert_folds(keras.Model(x, layers.Add()([y, z])), rng, left=["norm"])
    assert_folds(keras.Model(x, {"inner": y, "outer": z}), rng, left=["norm"])
    # The graph of this model ends before the second reader.
    assert_folds(keras.Model(x, z), rng, left=[])


def test_left_alone_where_it_would_be_another_function(rng):
    x = keras.Input((6, 6, 3))
    for name, y in {
        "activated": layers.Conv2D(4, 3, activation="relu")(x),
        "pooled": layers.AveragePooling2D(2)(layers.Conv2D(4, 3)(x)),
        "input": x,
    }.items():
        model = keras.Model(x, layers.Conv2D(2, 1)(BatchNormalization(name=name)(y)))
        assert fold(assert_folds(model, rng, left=[name])) is model

    rows = keras.Model(x, layers.BatchNormalization(axis=1, name="rows")(layers.Dense(6)(x)))
    assert_folds(rows, rng, left=["rows"])
    # Normalises by the batch even when it answers.
    batch = keras.Model(x, BatchNormalization(name="batch")(layers.Dense(4)(x), training=True))
    assert fold(batch) is batch


def test_left_alone_in_half_precision():
    x = keras.Input((6,))
    half = layers.Dense(4, dtype="mixed_bfloat16")(x)
    model = keras.Model(x, BatchNormalization(dtype="mixed_bfloat16")(half))
    assert fold(model) is model


def test_left_alone_in_a_class_with_a_call_of_its_own():
    class Doubled(keras.Model):
        def call(self, inputs, training=None):
            return 2 * super().call(inputs, training=training)

    x = keras.Input((6,))
    model = Doubled(x, BatchNormalization()(layers.Dense(4)(x)))
    assert fold(model) is model
    unbuilt = keras.Sequential([layers.Dense(4), BatchNormalization()])
    assert fold(unbuilt) is unbuilt


def test_nested_models(rng):
    inside = keras.Sequential(
        [keras.Input((6, 6, 4)), layers.Conv2D(4, 3, padding="same"), BatchNormalization()],
        name="inside",
    )
    x = keras.Input((6, 6, 4))
    y = inside(inside(x))
    y = BatchNormalization(name="behind")(y)
    folded = assert_folds(keras.Model(x, y, name="outside"), rng, left=["behind"])
    assert [layer.name for layer in folded.layers][1:] == ["inside", "behind"]
    assert folded.name == "outside"


def test_a_compiled_model_stays_compiled_and_trains_on(rng, tmp_path):
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(4), BatchNormalization(), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    folded = assert_folds(model, rng, left=[])
    assert not folded.compiled
    x, y = rng.normal(size=(8, 5)), rng.normal(size=(8, 1))
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=3, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_the_folded_model_is_a_model(rng, tmp_path):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4), BatchNormalization()])
    folded = assert_folds(model, rng, left=[])
    folded.save(tmp_path / "folded.keras")
    again = keras.models.load_model(tmp_path / "folded.keras")
    x = rng.normal(size=(8, 5))
    np.testing.assert_array_equal(again.predict(x, verbose=0), folded.predict(x, verbose=0))


def test_left_alone_where_places_of_maxima_are_handed_on():
    model = segmentation.segnet(input_shape=(32, 32, 3), num_classes=2, width=0.0625)
    assert fold(model) is model


def relu_names(model):
    return [layer.name for layer in model.layers if isinstance(layer, layers.ReLU)]


@pytest.mark.parametrize("relu", [layers.ReLU, lambda: layers.Activation("relu")])
def test_a_convolution_of_clips_takes_the_relu_behind_its_norm(rng, relu):
    clips = keras.Input((3, 6, 6, 2))
    x = layers.BatchNormalization()(PaddedConv3D(4, (1, 3, 3), padding=None, name="a")(clips))
    x = layers.BatchNormalization()(PaddedConv3D(4, (3, 1, 1), name="b")(relu()(x)))
    folded = assert_folds(keras.Model(clips, relu()(x)), rng, left=[])
    assert [layer.name for layer in folded.layers[1:]] == ["a", "b"]


def test_of_our_clip_networks_only_the_sums_keep_a_relu(rng):
    model = video.r2plus1d_18(input_shape=(4, 16, 16, 3), num_classes=2, width=0.0625)
    folded = assert_folds(model, rng, left=[])
    kinds = (layers.ReLU, layers.Activation)
    kept = [layer.name for layer in folded.layers if isinstance(layer, kinds)]
    assert kept == [f"layer{n}_{i}_relu" for n in (1, 2, 3, 4) for i in (0, 1)]


@pytest.mark.parametrize("case", ["limited", "read twice", "shared", "an output"])
def test_leaves_the_relu_where_it_is_not_the_convolutions_alone(case, rng):
    clips = keras.Input((3, 6, 6, 2))
    convolution = PaddedConv3D(2, (1, 3, 3), padding=None)
    x = layers.BatchNormalization()(convolution(clips))
    relu = layers.ReLU(6 if case == "limited" else None, name="relu")
    y = relu(x)
    if case == "read twice":
        y = layers.Add()([x, y])
    if case == "shared":
        y = layers.Add()([y, layers.BatchNormalization()(convolution(layers.Subtract()([y, x])))])
    outputs = [x, y] if case == "an output" else y
    folded = assert_folds(keras.Model(clips, outputs), rng, left=[])
    assert relu_names(folded) == ["relu"]
