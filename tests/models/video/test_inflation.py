"""Classifiers of images as classifiers of clips: what a still clip and a moving one give."""

import keras
import numpy as np
import pytest
from keras import layers

from kerakit import weights
from kerakit.layers import InflatedConv3D
from kerakit.models import classification
from kerakit.models.classification.keras_application import keras_application
from kerakit.models.video import inflate
from tests.golden import classifiers

PRETRAINED = "pretrained/mobilenet_v2_torchvision_b0353104.npz"  # beside the packs


def seeded(model, rng):
    """Statistics and offsets away from 0 and 1, so that one left out would show."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def still(images, frames):
    return np.repeat(images[:, None], frames, axis=1)


def assert_same_on_still_clips(model, images, frames, **options):
    expected = model.predict(images, verbose=0)
    clips = inflate(model, frames, **options)
    found = clips.predict(still(images, frames), verbose=0)
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        largest = np.abs(other).max()
        assert np.ptp(other) > 0.01 * largest
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * max(1.0, largest))
    return clips


@pytest.mark.slow
@pytest.mark.parametrize("frames", [1, 4])
def test_mobilenet_v2_with_real_weights(packs, frames):
    """Real photographs of hands, cut to 96 x 96."""
    model = classification.mobilenet_v2(input_shape=(96, 96, 3))
    weights.load_torchvision(model, packs.parent / PRETRAINED)
    files = sorted((packs / "classification-sign-digits" / "val").glob("*/*.jpg"))[::40][:4]
    images = np.stack(
        [keras.utils.img_to_array(keras.utils.load_img(f, target_size=(96, 96))) for f in files]
    )
    expected = model.predict(images, verbose=0)
    found = inflate(model, frames).predict(still(images, frames), verbose=0)
    difference = np.abs(found - expected).max()
    print(f"MobileNetV2, {frames} frames: {difference:.1e}")
    assert difference < 1e-4
    assert len(set(expected.argmax(1))) > 1


@pytest.mark.slow
@pytest.mark.parametrize(("frames", "strides"), [(1, 1), (5, (1, 1, 2, 2, 2))])
def test_resnet50_under_seeded_weights(frames, strides):
    if keras.backend.backend() == "jax":
        pytest.skip("compiling takes a minute on JAX; the small networks run there")
    images = classifiers.pictures("resnet50")
    model = classification.resnet50(input_shape=images.shape[1:])
    weights.load_torchvision(model, classifiers.checkpoint("resnet50"))
    clips = inflate(model, frames, temporal_strides=strides)
    found = clips.predict(still(images, frames), verbose=0)
    expected = classifiers.logits("resnet50")  # torchvision's own
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"ResNet-50, {frames} frames: {difference:.1e} of the largest logit")
    assert difference < 1e-4


KERAKIT = {
    "resnet18": {"width": 0.125},
    "mobilenet_v2": {"width": 0.25},
    "vgg11_bn": {"width": 0.0625},
    "densenet121": {"width": 0.25},
    "googlenet": {"width": 0.125, "auxiliary_heads": True},
}


@pytest.mark.parametrize(
    "name", ["resnet18", *(pytest.param(n, marks=pytest.mark.slow) for n in list(KERAKIT)[1:])]
)
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_classifiers_of_kerakit(name, frames, rng):
    build = getattr(classification, name)
    model = seeded(build(input_shape=(64, 96, 3), num_classes=5, **KERAKIT[name]), rng)
    images = rng.uniform(0, 255, (2, 64, 96, 3)).astype("float32")
    assert_same_on_still_clips(model, images, frames, temporal_strides=(1, 2, 1, 2))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["MobileNet", "MobileNetV3Small", "EfficientNetB0", "ResNet50", "VGG16", "InceptionV3"]
)
def test_applications_of_keras(name, rng):
    side = 75 if name == "InceptionV3" else 64
    model = keras_application(name, input_shape=(side, side, 3), num_classes=5)
    seeded(model, rng)
    images = rng.uniform(0, 255, (2, side, side, 3)).astype("float32")
    assert_same_on_still_clips(model, images, 3, temporal_strides=(1, 1, 2, 2))


def test_sequential_model_with_all_kinds_of_layers(rng):
    model = keras.Sequential(
        [
            keras.Input((13, 11, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 3, strides=2, padding="same", activation="relu"),
            layers.ZeroPadding2D(1),
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="elu"),
            layers.SpatialDropout2D(0.3),
            layers.Conv2D(8, (3, 2), groups=4, dilation_rate=(1, 2)),
            layers.BatchNormalization(axis=3),
            layers.PReLU(),
            layers.UpSampling2D(2),
            layers.AveragePooling2D(3, strides=2, padding="same"),
            layers.Reshape((-1, 8)),
            layers.Flatten(),
            layers.Dense(7, activation="tanh"),
            layers.Dropout(0.4),
            layers.Dense(4, activation="softmax"),
        ],
        name="kinds",
    )
    seeded(model, rng)
    images = rng.uniform(0, 255, (3, 13, 11, 3)).astype("float32")
    clips = assert_same_on_still_clips(model, images, 4, temporal_strides=2)
    assert clips.name == "kinds_inflated"
    assert {layer.name for layer in model.layers} <= {layer.name for layer in clips.layers}


def small(rng, **options):
    model = classification.resnet18(input_shape=(32, 32, 3), num_classes=5, width=0.125, **options)
    return seeded(model, rng)


def test_without_kernels_in_time_it_is_the_mean_of_the_frames(rng):
    model = small(rng)
    clips = rng.uniform(0, 255, (2, 6, 32, 32, 3)).astype("float32")
    of_frames = model.predict(clips.reshape(-1, 32, 32, 3), verbose=0).reshape(2, 6, -1)
    found = inflate(model, 6, temporal_kernel=1).predict(clips, verbose=0)
    np.testing.assert_allclose(found, of_frames.mean(1), rtol=1e-4, atol=1e-4)


def test_with_kernels_in_time_a_moving_clip_is_not(rng):
    model = small(rng)
    clips = rng.uniform(0, 255, (2, 6, 32, 32, 3)).astype("float32")
    of_frames = model.predict(clips.reshape(-1, 32, 32, 3), verbose=0).reshape(2, 6, -1)
    found = inflate(model, 6).predict(clips, verbose=0)
    assert np.abs(found - of_frames.mean(1)).max() > 0.01 * np.abs(of_frames).max()


def test_kernels_and_strides_in_time(rng):
    model = small(rng)
    before = model.get_weights()

    def seen(layer):
        return 5 if layer.name == "conv1" else 3 if layer.name.endswith("conv1") else 1

    clips = inflate(model, None, temporal_kernel=seen, temporal_strides=(1, 1, 2, 2), name="new")
    shapes = {
        name: clips.get_layer(name).kernel.shape[:3]
        for name in ("conv1", "layer1_0_conv1", "layer1_0_conv2", "layer2_0_downsample_0")
    }
    assert shapes == {
        "conv1": (5, 7, 7),
        "layer1_0_conv1": (3, 3, 3),
        "layer1_0_conv2": (1, 3, 3),
        "layer2_0_downsample_0": (1, 1, 1),
    }
    strides = {
        name: clips.get_layer(name).strides[0]
        for name in ("conv1", "layer2_0_conv1", "layer2_0_downsample_0", "layer4_0_conv1")
    }
    # Of five halvings the last has no entry.
    assert list(strides.values()) == [1, 2, 2, 1]
    kernel = keras.ops.convert_to_numpy(model.get_layer("conv1").kernel)
    inflated = keras.ops.convert_to_numpy(clips.get_layer("conv1").kernel)
    np.testing.assert_allclose(inflated, np.stack([kernel / 5] * 5), rtol=1e-6)
    for length in (1, 2, 9):
        images = rng.uniform(0, 255, (1, 32, 32, 3)).astype("float32")
        found = clips.predict(still(images, length), verbose=0)
        np.testing.assert_allclose(found, model.predict(images, verbose=0), rtol=1e-4, atol=1e-4)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def convolution_by_loop(x, kernel, strides, pads, groups):
    """In NumPy: edge frames in time, zeros in space, an output at a time."""
    x = np.pad(x, [(0, 0), (pads[0],) * 2, (0, 0), (0, 0), (0, 0)], mode="edge")
    x = np.pad(x, [(0, 0), (0, 0), (pads[1],) * 2, (pads[2],) * 2, (0, 0)])
    size, channels = kernel.shape[:3], kernel.shape[3]
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:4], size, strides, strict=True)]
    each = kernel.shape[4] // groups
    out = np.empty((len(x), *counts, kernel.shape[4]))
    for place in np.ndindex(*counts):
        t, i, j = (p * s for p, s in zip(place, strides, strict=True))
        window = x[:, t : t + size[0], i : i + size[1], j : j + size[2]]
        for k in range(kernel.shape[4]):
            first = k // each * channels
            part = window[..., first : first + channels]
            out[(slice(None), *place, k)] = (part * kernel[..., k]).sum((1, 2, 3, 4))
    return out


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("taps", "stride"), [(3, 1), (3, 2), (5, 1), (1, 3)])
def test_convolution_is_that_of_a_loop(frames, groups, taps, stride, rng):
    x = rng.normal(size=(2, frames, 6, 7, 4)).astype("float32")
    layer = InflatedConv3D(
        8, (taps, 3, 3), strides=(stride, 2, 2), groups=groups, bias_initializer="ones"
    )
    layer.build(x.shape)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    expected = convolution_by_loop(x, kernel, (stride, 2, 2), (taps // 2, 1, 1), groups) + 1
    found = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found.shape == tuple(layer.compute_output_shape(x.shape))


@pytest.mark.parametrize("taps", [1, 3])
def test_convolution_under_same_is_keras_on_repeated_ends(taps, rng):
    x = rng.normal(size=(2, 4, 6, 6, 3)).astype("float32")
    layer = InflatedConv3D(5, (taps, 4, 4), strides=(1, 2, 2), padding="same", activation="relu")
    other = layers.Conv3D(5, (taps, 4, 4), strides=(1, 2, 2), activation="relu")
    layer.build(x.shape)
    other.build(x.shape)
    other.set_weights(layer.get_weights())
    ends = (taps // 2, taps // 2)
    padded = np.pad(x, [(0, 0), ends, (0, 0), (0, 0), (0, 0)], mode="edge")
    padded = np.pad(padded, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)])
    np.testing.assert_allclose(layer(x), other(padded), rtol=1e-4, atol=1e-5)
    again = InflatedConv3D.from_config(layer.get_config())
    assert (again.padding, again.kernel_size) == ("same", (taps, 4, 4))


def test_bad_layers_of_clips():
    with pytest.raises(ValueError, match="`dilation_rate` must be 1 in time"):
        InflatedConv3D(4, 3, dilation_rate=2)
    with pytest.raises(ValueError, match='must be odd in time under "same"'):
        InflatedConv3D(4, (2, 3, 3), padding="same")


def graph(function, shape=(8, 8, 3)):
    images = keras.Input(shape)
    x = layers.Flatten()(function(images))
    return keras.Model(images, layers.Dense(2)(x), name="graph")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: graph(layers.Conv2DTranspose(3, 3, name="up")), r"up \(Conv2DTranspose\)"),
        (lambda: graph(lambda x: keras.ops.sin(x)), r"sin\w* \(Sin\)"),
        (lambda: graph(lambda x: x[:, 1:]), r"\(GetItem\)"),
        (lambda: graph(lambda x: layers.Softmax(axis=1, name="rows")(x)), "channels last.*rows"),
        (lambda: keras.Model(), "`model` must be a functional model of one input"),
        (lambda: graph(layers.ReLU(), (8, 3)), "`model` must be a functional model of one input"),
        (
            lambda: keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3)]),
            r"`model` must have \(B, K\) outputs, got 'sequential\w*' with \(None, 6, 6, 2\)",
        ),
    ],
)
def test_models_that_cannot_be_inflated(model, message):
    with pytest.raises(ValueError, match=message):
        inflate(model(), 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "`frames` must be a positive integer or None, got 0"),
        ({"temporal_kernel": 2}, "`temporal_kernel` must be odd and positive, got 2 for conv"),
        ({"temporal_strides": (1, 0)}, "`temporal_strides` must be a positive integer"),
    ],
)
def test_bad_arguments(options, message):
    model = graph(layers.Conv2D(2, 3, strides=2, name="conv"))
    with pytest.raises(ValueError, match=message):
        inflate(model, **{"frames": 4} | options)


def test_strides_by_halving_need_a_size():
    images = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3, strides=2, name="conv")(images))
    model = keras.Model(images, layers.Dense(2)(x))
    with pytest.raises(ValueError, match="`model` must have images of a fixed size.*conv"):
        inflate(model, 4, temporal_strides=(2,))
    assert inflate(model, 4, temporal_strides=2).output_shape == (None, 2)
