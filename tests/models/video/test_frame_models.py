import keras
import numpy as np
import pytest
from keras import ops

from kerakit.models.classification import resnet18
from kerakit.models.video import early_fusion, late_fusion, single_frame
from tests.conformance.case import assert_close

SHAPE = (5, 24, 20, 3)
OPTIONS = {"input_shape": SHAPE, "num_classes": 4, "stem": "small", "width": 0.125}


@pytest.fixture
def clips(rng):
    return rng.uniform(0, 255, (3, *SHAPE)).astype("float32")


def weighted(model, rng):
    model.set_weights([rng.normal(0, 0.2, w.shape) ** 2 + 0.1 for w in model.get_weights()])
    return model


def images_model(model, *, channels=3, normalization="kinetics"):
    """A ResNet with the weights of those layers of the video model that it has."""
    images = resnet18(
        input_shape=(*SHAPE[1:3], channels), num_classes=4, normalization=normalization,
        stem="small", width=0.125,
    )  # fmt: skip
    for layer in images.layers:
        if layer.weights and layer.name != "fc":
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return images


def features(images_model):
    return keras.Model(images_model.input, images_model.get_layer("avgpool").output)


def test_single_frame_is_the_resnet_on_the_middle_one(clips, rng):
    model = weighted(single_frame(**OPTIONS), rng)
    images = images_model(model)
    images.get_layer("fc").set_weights(model.get_layer("fc").get_weights())
    expected = images.predict(clips[:, 2], verbose=0)
    assert_close(model.predict(clips, verbose=0), expected, rtol=1e-5, atol=1e-5)


def test_early_fusion_is_the_resnet_on_stacked_frames(clips, rng):
    model = weighted(early_fusion(**OPTIONS, normalization=None), rng)
    images = images_model(model, channels=15, normalization=None)
    images.get_layer("fc").set_weights(model.get_layer("fc").get_weights())
    stacked = np.concatenate([clips[:, t] for t in range(SHAPE[0])], axis=-1)
    expected = images.predict(stacked, verbose=0)
    assert_close(model.predict(clips, verbose=0), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("fusion", ["average", "concatenation", "recurrent"])
def test_late_fusion_is_the_resnet_on_each_frame(fusion, clips, rng):
    model = weighted(late_fusion(**OPTIONS, fusion=fusion), rng)
    apart = features(images_model(model))
    of_frames = np.stack([apart.predict(clips[:, t], verbose=0) for t in range(SHAPE[0])], axis=1)
    if fusion == "average":
        fused = of_frames.mean(axis=1)
    elif fusion == "concatenation":
        fused = of_frames.reshape(len(clips), -1)
    else:
        fused = ops.convert_to_numpy(model.get_layer("fusion")(of_frames))
    kernel, bias = model.get_layer("fc").get_weights()
    assert_close(model.predict(clips, verbose=0), fused @ kernel + bias, rtol=1e-4, atol=1e-4)


def test_only_the_average_does_not_know_the_order(clips):
    for fusion in ("average", "concatenation", "recurrent"):
        model = late_fusion(**OPTIONS, fusion=fusion)
        forwards = model.predict(clips, verbose=0)
        backwards = model.predict(clips[:, ::-1], verbose=0)
        same = np.allclose(forwards, backwards, rtol=1e-4, atol=1e-5)
        assert same == (fusion == "average"), fusion


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fusion": "sum"}, "`fusion` must be one of .*, got 'sum'"),
        ({"input_shape": (None, 24, 20, 3)}, r"`input_shape` must be \(T, H, W, C\), all of them"),
        ({"depth": 19}, "`depth` must be one of .*, got 19"),
        ({"stem": "large"}, "`stem` must be one of"),
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
    ],
)
def test_errors(options, said):
    with pytest.raises(ValueError, match=said):
        late_fusion(**{**OPTIONS, **options})
