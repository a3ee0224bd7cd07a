import keras
import numpy as np
import pytest

from kerakit.models import segmentation
from kerakit.models.segmentation import backbone_unet

NAMES = ("unet_resnet18", "unet_resnet34", "unet_mobilenet_v2")


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_what_the_summary_says(name):
    build = getattr(segmentation, name)
    with keras.StatelessScope(initialize_variables=False):  # without values
        model = build(num_classes=2)
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert f"; {trainable:,} parameters at 2 classes." in build.__doc__
    assert model.name == name
    assert model.output_shape == (None, 256, 256, 2)


# What segmentation_models_pytorch's encoders give, coarsest last.
CHANNELS = {
    "unet_resnet18": (64, 64, 128, 256, 512),
    "unet_resnet34": (64, 64, 128, 256, 512),
    "unet_mobilenet_v2": (16, 24, 32, 96, 1280),
}


@pytest.mark.parametrize("name", NAMES)
def test_each_step_up_joins_the_map_of_its_size(name):
    model = getattr(segmentation, name)(input_shape=(64, 96, 3))
    coarsest = model.get_layer("up0_concat").input[0]
    assert coarsest.shape == (None, 4, 6, CHANNELS[name][-1])
    for step in range(4):
        skip = model.get_layer(f"up{step}_concat").input[1]
        shrunk = 2 ** (4 - step)
        assert skip.shape == (None, 64 // shrunk, 96 // shrunk, CHANNELS[name][3 - step])


def backbone(size=(24, 40)):
    images = keras.Input((*size, 1), name="pixels")
    x = images
    for number, filters in enumerate((4, 6)):
        x = keras.layers.Conv2D(
            filters, 3, strides=2, padding="same", activation="relu", name=f"down{number}"
        )(x)
    x = keras.layers.Conv2D(9, 3, padding="same", name="last")(x)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x), name="tiny")


def test_takes_any_backbone_with_its_weights(rng):
    given = backbone()
    model = backbone_unet(given, taps=["down0", "last"], num_classes=3, decoder=(5, 4))
    assert model.name == "unet_tiny"
    assert model.output_shape == (None, 24, 40, 3)
    assert model.get_layer("down1") is given.get_layer("down1")
    images = rng.uniform(size=(2, 24, 40, 1)).astype("float32")
    # In NumPy: what the first step up sees.
    x = keras.Model(given.input, given.get_layer("last").output).predict(images, verbose=0)
    skip = keras.Model(given.input, given.get_layer("down0").output).predict(images, verbose=0)
    joined = np.concatenate([x.repeat(2, 1).repeat(2, 2), skip], axis=-1)
    found = keras.Model(model.input, model.get_layer("up0_concat").output)
    np.testing.assert_allclose(found.predict(images, verbose=0), joined, rtol=1e-5, atol=1e-6)


def test_any_size_in_one_model(rng):
    free = segmentation.unet_resnet18(input_shape=(None, None, 3), width=0.0625)
    fixed = segmentation.unet_resnet18(input_shape=(64, 32, 3), width=0.0625)
    fixed.set_weights(free.get_weights())
    images = rng.uniform(0, 255, (1, 64, 32, 3)).astype("float32")
    found = free.predict(images, verbose=0)
    np.testing.assert_allclose(found, fixed.predict(images, verbose=0), rtol=1e-4, atol=1e-5)


def test_bad_arguments():
    with pytest.raises(
        ValueError, match=r"`input_shape` must be multiples of 32 .* got \(64, 40\)"
    ):
        segmentation.unet_resnet18(input_shape=(64, 40, 3))
    with pytest.raises(ValueError, match="`num_classes` must be a positive integer, got 0"):
        segmentation.unet_resnet34(num_classes=0)
    with pytest.raises(ValueError, match="`names` must be of layers of tiny, got none_such"):
        backbone_unet(backbone(), taps=["none_such"], num_classes=2, decoder=(4,))
    with pytest.raises(ValueError, match="`taps` must halve .* got maps of"):
        backbone_unet(backbone(), taps=["last", "down1"], num_classes=2, decoder=(4, 4))
    with pytest.raises(ValueError, match="`decoder` must have a step for each .* got 3"):
        backbone_unet(backbone(), taps=["down0", "last"], num_classes=2, decoder=(4, 4, 4))
    with pytest.raises(ValueError, match=r"multiples of 4 .* got \(22, 40\)"):
        backbone_unet(backbone((22, 40)), taps=["down0", "last"], num_classes=2, decoder=(4, 4))
