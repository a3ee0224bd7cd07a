import keras
import numpy as np
import pytest

from kerakit import cost
from kerakit.models.segmentation import unet


def test_the_papers_figures():
    with keras.StatelessScope(initialize_variables=False):  # without values
        model = unet(num_classes=2, padding="valid")
        report = cost.report(model)
    assert model.input_shape == (None, 572, 572, 1)
    assert model.output_shape == (None, 388, 388, 2)
    assert model.count_params() == report.trainable_parameters == 31_030_658
    assert report.macs / 1e9 == pytest.approx(150.428, abs=5e-4)
    # Fig. 1: what each step up copies over and crops it to.
    crops = [model.get_layer(f"up{level}_crop") for level in range(4)]
    assert [c.input.shape[1] for c in crops] == [568, 280, 136, 64]
    assert [c.output.shape[1] for c in crops] == [392, 200, 104, 56]
    keras.backend.clear_session()


def unet_by_loop(images, weights, *, pad):
    """The paper's Fig. 1 in NumPy, from normalised pixels."""

    def conv(x, name):
        kernel, bias = weights[name]
        size = kernel.shape[0]
        if pad and size > 1:
            x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        height, width = x.shape[1] - size + 1, x.shape[2] - size + 1
        out = bias
        for i in range(size):
            for j in range(size):
                out = out + x[:, i : i + height, j : j + width] @ kernel[i, j]
        return out

    def two(x, name):
        x = np.maximum(conv(x, f"{name}_conv1"), 0)
        return np.maximum(conv(x, f"{name}_conv2"), 0)

    def up(x, name):
        kernel, bias = weights[name]  # (2, 2, out, in)
        out = np.empty((len(x), 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]))
        for i in range(2):
            for j in range(2):
                out[:, i::2, j::2] = x @ kernel[i, j].T + bias
        return out

    x, skips = images, []
    for level in range(4):
        x = two(x, f"down{level}")
        skips.append(x)
        x = np.maximum(
            np.maximum(x[:, ::2, ::2], x[:, 1::2, ::2]),
            np.maximum(x[:, ::2, 1::2], x[:, 1::2, 1::2]),
        )
    x = two(x, "bottom")
    for level in (3, 2, 1, 0):
        x, skip = up(x, f"up{level}_upconv"), skips[level]
        top, left = ((a - b) // 2 for a, b in zip(skip.shape[1:3], x.shape[1:3], strict=True))
        skip = skip[:, top : top + x.shape[1], left : left + x.shape[2]]
        x = two(np.concatenate([skip, x], axis=-1), f"up{level}")
    return conv(x, "head")


@pytest.mark.parametrize(("padding", "size"), [("valid", (188, 204)), ("same", (32, 48))])
def test_equals_the_loop(padding, size, rng):
    model = unet(input_shape=(*size, 2), num_classes=3, padding=padding, width=0.0625)
    for layer in model.layers:
        if layer.weights:
            layer.bias.assign(rng.normal(size=layer.bias.shape) * 0.1)
    weights = {
        layer.name: [np.float64(w) for w in layer.get_weights()]
        for layer in model.layers
        if layer.weights
    }
    images = rng.uniform(0, 255, (2, *size, 2)).astype("float32")
    expected = unet_by_loop(images / 127.5 - 1.0, weights, pad=padding == "same")
    found = model.predict(images, verbose=0)
    lost = 184 if padding == "valid" else 0
    assert found.shape == (2, size[0] - lost, size[1] - lost, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_any_size_in_one_model(padding, rng):
    free = unet(input_shape=(None, None, 1), padding=padding, width=0.03125)
    for size in ((188, 204), (204, 188)) if padding == "valid" else ((16, 48), (32, 16)):
        fixed = unet(input_shape=(*size, 1), padding=padding, width=0.03125)
        fixed.set_weights(free.get_weights())
        images = rng.uniform(0, 255, (1, *size, 1)).astype("float32")
        found = free.predict(images, verbose=0)
        np.testing.assert_allclose(found, fixed.predict(images, verbose=0), rtol=1e-4, atol=1e-5)


def test_unpadded_answers_do_not_depend_on_where_an_image_is_cut(rng):
    """Sixteen pixels on, the answers are the same sixteen pixels on: no border is seen."""
    images = rng.uniform(0, 255, (1, 220, 204, 1)).astype("float32")
    model = unet(input_shape=(None, None, 1), width=0.03125)
    whole = model.predict(images, verbose=0)
    part = model.predict(images[:, 16:, 16:], verbose=0)
    np.testing.assert_allclose(part, whole[:, 16:, 16:], rtol=1e-4, atol=1e-5)


def test_batch_normalization_takes_the_place_of_biases():
    options = {"input_shape": (32, 32, 1), "padding": "same", "width": 0.0625}
    model = unet(**options, batch_normalization=True)
    names = {layer.name for layer in model.layers}
    assert {"down0_bn1", "bottom_bn2", "up3_bn1", "up0_relu2"} <= names
    assert not model.get_layer("up0_conv1").use_bias
    assert unet(**options).get_layer("up0_conv1").use_bias


def test_dropout_stands_in_the_two_lowest_levels():
    model = unet(input_shape=(32, 32, 1), padding="same", width=0.0625, drop_rate=0.3)
    dropped = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.input.shape[1:3] for layer in dropped] == [(4, 4), (2, 2)]
    assert {layer.rate for layer in dropped} == {0.3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "full"}, "`padding` must be one of .*, got 'full'"),
        ({"input_shape": (512, 572, 1)}, "`input_shape` must be 188, 204, .* got 512"),
        ({"input_shape": (172, 572, 1)}, "`input_shape` must be 188, 204, .* got 172"),
        ({"input_shape": (48, 40, 1), "padding": "same"}, "multiples of 16 .* got 40"),
        ({"normalization": "imagenet"}, 'needs 3 channels, got 1; use "centered"'),
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
        ({"drop_rate": 1.0}, r"`drop_rate` must be in \[0, 1\), got 1.0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        unet(**options)
