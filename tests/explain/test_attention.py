import keras
import numpy as np
import pytest
from keras import ops

from kerakit.explain.attention import attention_maps, token_grid
from kerakit.models.classification import resnet18, vit_ti_16
from kerakit.models.video import video_transformer


def numpy_of(variable):
    return np.asarray(ops.convert_to_numpy(variable), "float64")


def by_numpy(layer, queries, keys=None, mask=None):
    """softmax(Q K' / sqrt(d)) of a layer's own weights, one example, head and query at a time."""
    keys = queries if keys is None else keys
    q_kernel, k_kernel = numpy_of(layer.query_dense.kernel), numpy_of(layer.key_dense.kernel)
    q_bias, k_bias = numpy_of(layer.query_dense.bias), numpy_of(layer.key_dense.bias)
    heads, size = q_kernel.shape[1:]
    weights = np.zeros((len(queries), heads, queries.shape[1], keys.shape[1]))
    for example in range(len(queries)):
        for head in range(heads):
            q = queries[example] @ q_kernel[:, head] + q_bias[head]
            k = keys[example] @ k_kernel[:, head] + k_bias[head]
            for i in range(len(q)):
                scores = k @ q[i] / np.sqrt(size)
                if mask is not None:
                    scores = np.where(mask[i], scores, -np.inf)
                powers = np.exp(scores - scores.max())
                weights[example, head, i] = powers / powers.sum()
    return weights


def sharpened(model, rng):
    """With weights large enough for attention that is not even."""
    model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture
def vit(rng):
    model = vit_ti_16(input_shape=(16, 24, 3), patch_size=8, depth=2, width=0.7, num_classes=3)
    return sharpened(model, rng)


def test_of_a_vision_transformer(vit, rng):
    images = rng.integers(0, 256, (2, 16, 24, 3)).astype("float32")
    maps = attention_maps(vit, images)
    names = [f"encoder_layers_encoder_layer_{i}/self_attention" for i in range(2)]
    assert list(maps.weights) == names
    assert maps.grid == (2, 3)
    before = {0: "encoder_dropout", 1: "encoder_layers_encoder_layer_0"}
    for i, name in enumerate(names):
        block = vit.get_layer(f"encoder_layers_encoder_layer_{i}")
        tokens = keras.Model(vit.input, vit.get_layer(before[i]).output)(images)
        entering = numpy_of(block.ln_1(tokens))
        expected = by_numpy(block.self_attention, entering)
        assert maps.weights[name].shape == (2, 2, 7, 7)
        np.testing.assert_allclose(maps.weights[name], expected, atol=2e-5)
    assert np.ptp(expected) > 0.2


def test_the_model_answers_as_before(vit, rng):
    images = rng.integers(0, 256, (2, 16, 24, 3)).astype("float32")
    before = numpy_of(vit(images))
    nodes = [len(layer._inbound_nodes) for layer in vit.layers]
    attention_maps(vit, images)
    np.testing.assert_array_equal(numpy_of(vit(images)), before)
    assert [len(layer._inbound_nodes) for layer in vit.layers] == nodes


def model_around(layer, tokens=5, width=8, **options):
    x = keras.Input((tokens, width))
    return keras.Model(x, layer(x, x, **options))


def test_causal_and_flash_attention(rng):
    layer = keras.layers.MultiHeadAttention(2, 4, name="attention")
    model = sharpened(model_around(layer, use_causal_mask=True), rng)
    x = rng.normal(size=(3, 5, 8)).astype("float32")
    expected = by_numpy(layer, x, mask=np.tril(np.ones((5, 5), bool)))
    layer._flash_attention = True
    found = attention_maps(model, x)
    np.testing.assert_allclose(found.weights["attention"], expected, atol=1e-5)
    assert layer._flash_attention is True
    assert found.grid is None


def test_grouped_queries_and_many_calls(rng):
    layer = keras.layers.GroupQueryAttention(4, 4, 2, name="grouped")
    x = keras.Input((5, 8))
    once = layer(x, x)
    model = sharpened(keras.Model(x, layer(once, x)), rng)
    images = rng.normal(size=(2, 5, 8)).astype("float32")
    found = attention_maps(model, images)
    assert list(found.weights) == ["grouped", "grouped#2"]
    q_kernel, k_kernel = numpy_of(layer._query_dense.kernel), numpy_of(layer._key_dense.kernel)
    queries = np.einsum("bqm,muh->buqh", images, q_kernel)
    queries += numpy_of(layer._query_dense.bias)[:, None]
    keys = np.einsum("bkm,mvh->bvkh", images, k_kernel)
    keys += numpy_of(layer._key_dense.bias)[:, None]
    for head in range(4):  # two heads share keys
        scores = queries[:, head] @ keys[:, head // 2].transpose(0, 2, 1) / 2.0
        expected = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(found.weights["grouped"][:, head], expected, atol=1e-5)


def test_kerass_attention_without_heads(rng):
    x = keras.Input((4, 3))
    model = keras.Model(x, keras.layers.Attention(name="dot")([x, x]))
    images = rng.normal(size=(2, 4, 3)).astype("float32")
    scores = images @ images.transpose(0, 2, 1)
    expected = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    found = attention_maps(model, images).weights["dot"]
    np.testing.assert_allclose(found, expected[:, None], atol=1e-5)


def test_weights_that_a_model_asks_for_itself(rng):
    x = keras.Input((4, 6))
    output, weights = keras.layers.MultiHeadAttention(2, 3, name="attention")(
        x, x, return_attention_scores=True
    )
    model = keras.Model(x, [output, weights])
    images = rng.normal(size=(2, 4, 6)).astype("float32")
    found = attention_maps(model, images).weights["attention"]
    np.testing.assert_allclose(found, numpy_of(model(images)[1]), atol=1e-6)


def test_divided_attention_has_maps_of_its_parts(rng):
    model = video_transformer(
        input_shape=(4, 16, 24, 3), num_classes=3, tubelet=(2, 8, 8), depth=1, width=1 / 6,
        attention="divided",
    )  # fmt: skip
    clips = rng.integers(0, 256, (2, 4, 16, 24, 3)).astype("float32")
    maps = attention_maps(sharpened(model, rng), clips)
    time, space = maps.weights.values()
    assert maps.grid == (2, 2, 3)
    block = model.get_layer("blocks_0")
    tokens = keras.Model(model.input, model.get_layer("dropout").output)(clips)
    entering = numpy_of(block.ln_time(tokens)).reshape(2, 2, 6, -1)  # B, frame, place, features
    for place in range(6):
        expected = by_numpy(block.time_attention, entering[:, :, place])
        np.testing.assert_allclose(time[:, place], expected, atol=1e-5)
    assert space.shape == (2, 2, 2, 6, 6)
    np.testing.assert_allclose(space.sum(axis=-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(precision, rng):
    keras.config.set_dtype_policy(precision)
    try:
        model = vit_ti_16(input_shape=(16, 16, 3), patch_size=8, depth=1, width=0.4, num_classes=3)
    finally:
        keras.config.set_dtype_policy("float32")
    (found,) = attention_maps(model, rng.uniform(0, 255, (1, 16, 16, 3))).weights.values()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=2e-2)


@pytest.mark.parametrize(
    ("extent", "tokens", "grid"),
    [
        ((32, 32), 16, (4, 4)),
        ((32, 32), 17, (4, 4)),
        ((32, 64), 33, (4, 8)),
        ((32, 48), 24, (4, 6)),
        ((32, 32), 18, None),
        ((4, 32, 32), 16, None),
    ],
)
def test_grid_of_a_users_own(extent, tokens, grid):
    assert token_grid(keras.Sequential([keras.layers.ReLU()]), extent, tokens) == grid


def test_a_model_without(rng):
    model = resnet18(input_shape=(32, 32, 3), num_classes=2, width=0.25)
    with pytest.raises(ValueError, match=r"must have an attention layer, and resnet18 .*grad_cam"):
        attention_maps(model, np.zeros((1, 32, 32, 3)))


def test_plot(vit, tmp_path, rng):
    images = rng.integers(0, 256, (2, 16, 24, 3)).astype("float32")
    maps = attention_maps(vit, images)
    figure = maps.plot(tmp_path / "attention.png", example=1)
    assert (tmp_path / "attention.png").stat().st_size > 1000
    assert [axes.get_title() for axes in figure.axes] == ["image", "head 0", "head 1"]
    drawn = np.asarray(figure.axes[2].images[0].get_array())
    of_class = list(maps.weights.values())[-1][1, 1, 0, 1:].reshape(2, 3)
    np.testing.assert_allclose(drawn, of_class / of_class.max(), atol=1e-6)
    with pytest.raises(ValueError, match="`layer` must be one of encoder_.*, got 'conv1'"):
        maps.plot(layer="conv1")


def test_plot_of_tokens_without_a_grid(rng):
    layer = keras.layers.MultiHeadAttention(2, 4, name="attention")
    maps = attention_maps(model_around(layer), rng.normal(size=(3, 5, 8)))
    figure = maps.plot()
    drawn = np.asarray(figure.axes[1].images[0].get_array())
    matrix = maps.weights["attention"][0, 1]
    np.testing.assert_allclose(drawn, matrix / matrix.max(), atol=1e-6)
