import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit import explain
from kerakit.models import classification, detection, segmentation, video
from tests.explain.networks import convolutions, pixels

SIZE = (64, 96, 3)
DIGITS = {"input_shape": SIZE, "num_classes": 4}
PIXEL = explain.Pixel(3, 5)


def mlp():
    return keras.Sequential(
        [keras.Input(SIZE), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3)],
        name="mlp",
    )


def nested():
    body = keras.Sequential(
        [keras.Input(SIZE), layers.Conv2D(4, 3, name="deep"), layers.MaxPooling2D(2)], name="body"
    )
    return keras.Sequential([keras.Input(SIZE), body, layers.Flatten(), layers.Dense(3)])


# Builder, target and the layers whose maps explain it.
CASES = {
    "residual": (lambda: classification.resnet18(**DIGITS, width=0.125), None, ["layer4_1_relu"]),
    "before pooling": (
        # Of this size without the pooling to 7 x 7, which is NaN in Keras 3.15 on JAX.
        lambda: classification.vgg11(input_shape=(224, 224, 3), num_classes=4, width=0.03),
        None,
        ["features_19"],
    ),
    "inverted": (lambda: classification.mobilenet_v2(**DIGITS, width=0.2), None, ["features_18_2"]),
    "heads beside": (
        lambda: classification.googlenet(**DIGITS, width=0.1, auxiliary_heads=True),
        None,
        ["inception5b_concat"],
    ),
    "keras": (
        lambda: keras.applications.MobileNetV2(weights=None, input_shape=SIZE, alpha=0.35),
        None,
        ["out_relu"],
    ),
    "nested": (nested, None, ["body/deep"]),
    "deepest": (
        lambda: segmentation.unet(**DIGITS, padding="same", width=0.05),
        PIXEL,
        ["bottom_relu2"],
    ),
    "no scores": (lambda: segmentation.fcn8s(**DIGITS, width=0.02), PIXEL, ["classifier_3"]),
    "answer beside": (
        lambda: segmentation.fcn_resnet50(**DIGITS, width=0.05, auxiliary_head=True),
        PIXEL,
        ["classifier_2"],
    ),
    "levels": (
        lambda: detection.yolo_n(**DIGITS, width=0.25),
        None,
        [f"yolo_n_network/head{stride}_reduce_silu" for stride in (8, 16, 32)],
    ),
    "pyramid": (
        lambda: detection.fasterrcnn_mobilenet_v2_fpn(
            input_shape=(64, 64, 3), num_classes=2, width=0.2, score_threshold=0.0
        ),
        None,
        ["backbone_fpn"],
    ),
    "video": (
        lambda: video.c3d(input_shape=(8, 32, 48, 3), num_classes=3, width=0.05),
        None,
        ["relu5b"],
    ),
    "frames": (
        lambda: video.late_fusion(input_shape=(4, 32, 48, 3), num_classes=3, width=0.1),
        None,
        ["layer4_1_relu"],
    ),
    "two ways": (
        lambda: video.slowfast_r50_4x16(input_shape=(32, 32, 48, 3), num_classes=3, width=0.05),
        None,
        [f"blocks_4_multipathway_blocks_{path}_res_blocks_2_activation" for path in (1, 0)],
    ),
}
SLOW = ("keras", "heads beside", "answer beside", "levels", "pyramid", "two ways")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in CASES]
)
def test_one_call_explains_any_network(name):
    build, target, names = CASES[name]
    model = build()
    shape = model.input_shape[1:]
    images = pixels(2, *shape)
    for method in (explain.grad_cam, explain.grad_cam_plus_plus, explain.hires_cam):
        heat = method(model, images, target=target)
        assert sorted(heat.layers) == sorted(names)
        assert heat.values.shape == (2, *shape[:-1])
        assert np.isfinite(heat.values).all()
    assert explain.saliency(model, images, target=target).values.any()


def test_frames_apart_have_maps_over_time():
    """Each frame's map is of that frame alone."""
    clips = keras.Input((3, 8, 8, 2))
    x = ops.reshape(clips, (-1, 8, 8, 2))
    x = layers.Conv2D(4, 3, activation="relu", name="map")(x)
    x = ops.reshape(ops.mean(x, axis=(1, 2)), (-1, 3, 4))
    model = keras.Model(clips, layers.Dense(2)(ops.mean(x, axis=1)))
    images = pixels(2, 3, 8, 8, 2)
    images[:, 1] = 0
    heat = explain.hires_cam(model, images, target=0)
    assert heat.raw.shape == (2, 3, 6, 6)
    assert not heat.raw[:, 1].any()
    assert heat.raw[:, [0, 2]].any()


def test_a_layer_by_name_path_or_itself():
    model, images = nested(), pixels(1, *SIZE)
    chosen = explain.grad_cam(model, images)
    for layer in ("deep", "body/deep", model.layers[0].get_layer("deep")):
        found = explain.grad_cam(model, images, layer=layer)
        np.testing.assert_array_equal(found.values, chosen.values)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("map", r"must be a layer of small, such as maps, .*; got 'map'"),
        ("layer4", r"must be a layer of small, such as .*last.*; got 'layer4'"),
        ("scores", r"output \(B, h, w, C\), got 'scores' with \(2, 3\); such as .*maps"),
        (["maps", "nothing"], "got 'nothing'"),
    ],
)
def test_a_layer_that_is_not_there_is_told_those_that_are(layer, message):
    with pytest.raises(ValueError, match=f"`layer` .*{message}"):
        explain.grad_cam(convolutions(), pixels(2, 12, 16, 3), layer=layer)


def test_of_many_layers_the_nearest_names_are_told():
    model = classification.mobilenet_v2(**DIGITS, width=0.2)
    with pytest.raises(ValueError, match="must be a layer of") as told:
        explain.grad_cam(model, pixels(1, *SIZE), layer="features_18_3")
    assert "such as features_18_2, " in str(told.value)
    assert " more); got 'features_18_3'" in str(told.value)
    assert len(str(told.value)) < 300


def test_without_convolutions():
    with pytest.raises(ValueError, match="must have a convolution .* mlp has none: its layers are "
                       "Rescaling, Flatten, Dense.*`explain.saliency` works for any"):  # fmt: skip
        explain.grad_cam(mlp(), pixels(1, *SIZE))


def test_of_attention():
    model = classification.vit_ti_16(**DIGITS, width=0.25, depth=1)
    with pytest.raises(ValueError, match="end in attention; .*`explain.attention_rollout`"):
        explain.grad_cam(model, pixels(1, *SIZE))


def test_of_crops():
    model = detection.rcnn(num_classes=2, input_shape=(64, 64, 3), width=0.2, crop_size=64)
    proposals = np.array([[[0, 0, 30, 30], [10, 10, 60, 60]]], "float32")
    inputs = {"images": pixels(1, 64, 64, 3), "proposals": proposals}
    with pytest.raises(ValueError, match="looks at crops .* `explain.saliency` explains"):
        explain.grad_cam(model, inputs)


def test_of_an_unknown_size():
    model = segmentation.unet(input_shape=(None, None, 3), padding="same", width=0.05)
    heat = explain.grad_cam(model, pixels(1, 32, 48, 3), target=PIXEL)
    assert heat.layers == ("bottom_relu2",)


def test_the_layers_told_are_without_the_model_itself():
    images = keras.Input((4, 4, 3))
    inner = keras.Sequential([keras.Input((48,)), layers.Dense(4)], name="inner")
    mlp = keras.Model(images, layers.Dense(2)(inner(layers.Flatten()(images))))
    with pytest.raises(ValueError, match="its layers are Flatten, Dense; `explain"):
        explain.grad_cam(mlp, pixels(1, 4, 4, 3))
