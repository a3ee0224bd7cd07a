"""Totals and receptive fields of known networks against published figures.

Where Keras's network is torchvision's, its parameters and GMAC are the ones that torchvision
publishes. No weights are made: variables of a `keras.StatelessScope` have shapes alone.
"""

import pytest

from kerakit.cost import formulas
from kerakit.cost.named import report_of

# (trainable parameters, GMAC), torchvision's model weights API. MobileNetV2's running statistics
# and the like are not in it, as in `trainable_parameters`.
TORCHVISION = {
    "VGG16": (138_357_544, 15.470),
    "MobileNetV2": (3_504_872, 0.301),
    "DenseNet121": (7_978_856, 2.834),
    "ConvNeXtTiny": (28_589_128, 4.456),
    "EfficientNetB0": (5_288_548, 0.386),
    "MobileNetV3Large": (5_483_032, 0.217),
    "VGG19": (143_667_240, 19.632),
    "DenseNet169": (14_149_480, 3.360),
    "DenseNet201": (20_013_928, 4.291),
    "ConvNeXtSmall": (50_223_688, 8.684),
    "ConvNeXtBase": (88_591_464, 15.355),
}
QUICK = ("VGG16", "MobileNetV2", "DenseNet121", "ConvNeXtTiny")
# Of the last feature map; Araujo, Norris and Sim, Computing Receptive Fields of Convolutional
# Neural Networks, 2019, Table 1.
RECEPTIVE_FIELDS = {
    "VGG16": 212,
    "MobileNet": 315,
    "ResNet50": 483,
    "ResNet101": 1027,
    "InceptionV3": 1311,
    "InceptionResNetV2": 3039,
}


def slow_unless(names, quick):
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", slow_unless(TORCHVISION, QUICK))
def test_parameters_and_macs_are_torchvisions(name):
    parameters, gmac = TORCHVISION[name]
    cost = report_of(name, (224, 224, 3))
    assert cost.trainable_parameters == parameters
    assert round(cost.macs / 1e9, 3) == gmac
    assert cost.uncounted == {}


@pytest.mark.parametrize("name", slow_unless(RECEPTIVE_FIELDS, ("VGG16", "MobileNet", "ResNet50")))
def test_receptive_field_is_the_published_one(name):
    cost = report_of(name, (224, 224, 3) if name != "InceptionResNetV2" else (299, 299, 3))
    assert cost.local_receptive_field == (RECEPTIVE_FIELDS[name],) * 2
    assert cost.receptive_field == ("all", "all")


def test_kerakits_resnet18_is_torchvisions():
    cost = report_of("resnet18", (224, 224, 3))
    assert cost.trainable_parameters == 11_689_512
    assert cost.parameters == 11_689_512 + 9_600
    assert round(cost.macs / 1e9, 3) == 1.814
    stem = [(7, 2), (3, 2)]
    stages = [layer for stride in (1, 2, 2, 2) for layer in [(3, stride), *[(3, 1)] * 3]]
    field = formulas.receptive_field([*stem, *stages])
    assert cost.local_receptive_field == (field, field) == (435, 435)


def test_kerass_resnet50_differs_from_torchvisions_by_strides_and_biases():
    """Keras's has the stride in a block's first 1 x 1 convolution, the paper's place.

    torchvision's has it in the 3 x 3 one, so that in three blocks the first 1 x 1 runs at four
    times the positions, 25,557,032 parameters and 4.089 GMAC in all. And Keras's convolutions have
    biases before the batch normalisation: 26,560 parameters more (one for each channel).
    """
    cost = report_of("ResNet50", (224, 224, 3))
    positions = {64: 56 * 56, 128: 28 * 28, 256: 14 * 14, 512: 7 * 7}
    macs = 7 * 7 * 3 * 64 * 112 * 112 + 2048 * 1000
    biases, inputs = 64, 64
    for (width, at), blocks in zip(positions.items(), (3, 4, 6, 3), strict=True):
        for block in range(blocks):
            macs += at * (inputs * width + 9 * width * width + width * 4 * width)
            biases += 2 * width + 4 * width
            if block == 0:
                macs += at * inputs * 4 * width
                biases += 4 * width
            inputs = 4 * width
    assert cost.macs == macs == 3_857_973_248
    torchvisions = macs + sum(
        (3 * positions[width]) * 2 * width * width for width in (128, 256, 512)
    )
    assert round(torchvisions / 1e9, 3) == 4.089
    assert biases == 26_560
    assert cost.trainable_parameters == 25_557_032 + biases
    assert cost.parameters == 25_557_032 + biases + 53_120
