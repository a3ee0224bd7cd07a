import keras
import numpy as np
import pytest
from keras import layers

from kerakit.errors import InputError
from kerakit.weights import load_torchvision


def small(num_classes=5):
    inputs = keras.Input((6, 6, 4))
    x = layers.Conv2D(8, 3, name="features_0")(inputs)
    x = layers.BatchNormalization(name="features_1")(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, use_bias=False, name="features_2")(x)
    x = layers.Conv2DTranspose(6, 2, use_bias=False, name="up")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(num_classes, name="fc")(x)
    return keras.Model(inputs, layers.Activation("linear")(x), name="small")


@pytest.fixture
def checkpoint(rng):
    shapes = {
        "features.0.weight": (8, 4, 3, 3),
        "features.0.bias": (8,),
        **{f"features.1.{n}": (8,) for n in ("weight", "bias", "running_mean", "running_var")},
        "features.1.num_batches_tracked": (),
        "features.2.weight": (16, 1, 2, 2),
        "up.weight": (16, 6, 2, 2),
        "fc.weight": (5, 6),
        "fc.bias": (5,),
    }
    return {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}


def test_axes_go_where_keras_has_them(checkpoint):
    model = small()
    load_torchvision(model, checkpoint)
    weights = {w.path: np.asarray(w) for w in model.weights}
    conv, depth, up = (checkpoint[f"{n}.weight"] for n in ("features.0", "features.2", "up"))
    for o, i, y, x in np.ndindex(conv.shape):
        assert weights["features_0/kernel"][y, x, i, o] == conv[o, i, y, x]
    for o, _, y, x in np.ndindex(depth.shape):  # PyTorch's output o is channel o // 2's
        assert weights["features_2/kernel"][y, x, o // 2, o % 2] == depth[o, 0, y, x]
    for i, o, y, x in np.ndindex(up.shape):
        assert weights["up/kernel"][y, x, o, i] == up[i, o, y, x]
    np.testing.assert_array_equal(weights["fc/kernel"], checkpoint["fc.weight"].T)
    for ours, theirs in {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }.items():
        np.testing.assert_array_equal(
            weights[f"features_1/{ours}"], checkpoint[f"features.1.{theirs}"]
        )


def test_attention_is_unstacked(rng):
    inputs = keras.Input((3, 6))
    attention = layers.MultiHeadAttention(2, 3, name="self_attention")
    model = keras.Model(inputs, attention(inputs, inputs))
    checkpoint = {
        "self_attention.in_proj_weight": rng.normal(size=(18, 6)),
        "self_attention.in_proj_bias": rng.normal(size=18),
        "self_attention.out_proj.weight": rng.normal(size=(6, 6)),
        "self_attention.out_proj.bias": rng.normal(size=6),
    }
    load_torchvision(model, checkpoint)
    x = rng.normal(size=(2, 3, 6))
    w, b = checkpoint["self_attention.in_proj_weight"], checkpoint["self_attention.in_proj_bias"]
    heads = [
        (x @ w[6 * n : 6 * n + 6].T + b[6 * n : 6 * n + 6]).reshape(2, 3, 2, 3) for n in range(3)
    ]
    scores = np.einsum("bqhd,bkhd->bhqk", heads[0], heads[1]) / np.sqrt(3)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    joined = np.einsum("bhqk,bkhd->bqhd", shares, heads[2]).reshape(2, 3, 6)
    expected = joined @ checkpoint["self_attention.out_proj.weight"].T
    expected += checkpoint["self_attention.out_proj.bias"]
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_all_but_the_head_for_other_classes(checkpoint):
    model = small(num_classes=3)
    before = [np.asarray(w) for w in model.get_layer("fc").weights]
    with pytest.raises(
        InputError, match=r"fc.weight is \(5, 6\), .*fc/kernel \(6, 3\).*head=False"
    ):
        load_torchvision(model, checkpoint)
    load_torchvision(model, checkpoint, head=False)
    np.testing.assert_array_equal(model.get_layer("features_1").beta, checkpoint["features.1.bias"])
    for old, new in zip(before, model.get_layer("fc").weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_missing_left_over_and_misshapen_are_listed_and_nothing_changes(checkpoint):
    del checkpoint["features.0.bias"]
    checkpoint["aux.weight"] = np.zeros(3)
    checkpoint["up.weight"] = np.zeros((16, 7, 2, 2))
    model = small()
    before = model.get_weights()
    with pytest.raises(InputError) as caught:
        load_torchvision(model, checkpoint)
    message = str(caught.value)
    assert "the checkpoint does not fit small: " in message
    assert "features_0_bias is missing" in message
    assert "aux.weight is left over" in message
    assert "up.weight is (16, 7, 2, 2), which does not fit up/kernel (2, 2, 6, 16)" in message
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_left_out_by_their_beginning(checkpoint):
    load_torchvision(small(), {**checkpoint, "aux1.fc.weight": np.zeros(3)}, skip=("aux1.",))


def test_names_that_collide_are_refused(checkpoint):
    with pytest.raises(InputError, match=r"holds fc.bias and fc_bias, both for fc_bias"):
        load_torchvision(small(), {**checkpoint, "fc_bias": np.zeros(5)})


def test_names_of_old_files():
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(2, use_bias=False, name="x_denselayer3_conv1")]
    )
    load_torchvision(model, {"x.denselayer3.conv.1.weight": np.eye(2)})
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(2, use_bias=False, name="layer_mlp_linear_2")]
    )
    for factor, name in ((5, "layer.mlp.linear_2.weight"), (7, "layer.mlp.3.weight")):
        load_torchvision(model, {name: factor * np.eye(2)})
        np.testing.assert_array_equal(model.weights[0], factor * np.eye(2))
