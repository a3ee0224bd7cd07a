"""Probabilities of whole images: tiled equals untiled, scaled equals a loop."""

import keras
import numpy as np
import pytest

from kerakit.data import Preparation
from kerakit.export import Tiling, whole_image
from kerakit.export.whole_image import checked_tiling
from kerakit.layers import ScaleByMax
from kerakit.models.segmentation import unet
from tests.export.segmenters import RADIUS, STRIDE, Spied, pixels, segmenter, softmax

TILE = (32, 40)
PADDED = Preparation(height=TILE[0], width=TILE[1], fit="pad")
TILING = Tiling(margin=RADIUS, blend=3, stride=STRIDE)
SIZES = [(1, 1), (32, 40), (33, 40), (20, 90), (97, 131)]


def untiled(model, image, padding):
    """The network on the whole image, with as much beyond it as its size needs."""
    height, width = image.shape[:2]
    if padding == "same":
        size = [-(-side // STRIDE) * STRIDE + 40 for side in (height, width)]
        canvas = np.full((*size, 3), 114, np.uint8)
        canvas[:height, :width] = image
    else:
        border = (32 - model.compute_output_shape((1, 32, 40, 3))[1]) // 2
        behind = [border + 40 + (side + border) % STRIDE for side in (height, width)]
        canvas = np.pad(image, [(border, behind[0]), (border, behind[1]), (0, 0)], "symmetric")
        size = [side // STRIDE * STRIDE for side in canvas.shape[:2]]
        canvas = canvas[: size[0], : size[1]]
    logits = model.predict(canvas[None].astype("float32"), verbose=0)
    return softmax(logits)[0, :height, :width]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tiled_equals_untiled_in_the_interior(size):
    """Up to the radius from where the tiles end: there the network pads with zeros, not grey."""
    model = segmenter()
    image = pixels(*size)
    found = whole_image(model, preparation=PADDED, tiling=TILING)(image).numpy()
    expected = untiled(model, image, "same")
    assert found.shape == (*size, 3)
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-6)
    interior = tuple(slice(side if side == 1 else side - RADIUS - 1) for side in size)
    assert expected[interior].std() > 0.1 or size == (1, 1)
    np.testing.assert_allclose(found[interior], expected[interior], atol=1e-6)


def test_unet_in_large_tiles_leaves_no_trace_by_default():
    """A tile of 960 is eight times U-Net's radius: 94 pixels and what pooling's grid may add."""
    keras.utils.set_random_seed(2)
    options = {"padding": "same", "batch_normalization": True, "normalization": "imagenet"}
    model = unet(input_shape=(None, None, 3), num_classes=3, width=1 / 32, **options)
    image = pixels(1100, 1250)
    preparation = Preparation(height=960, width=960, fit="pad")
    tiling = checked_tiling(model, preparation)
    assert (tiling.margin, tiling.blend) == (118, 0)
    found = whole_image(model, preparation=preparation)(image).numpy()
    canvas = np.full((1, 1280, 1440, 3), 114, "float32")
    canvas[0, :1100, :1250] = image
    expected = softmax(model.predict(canvas, verbose=0))[0]
    interior = (slice(1100 - 118), slice(1250 - 118))
    assert expected[interior].std() > 0.01
    np.testing.assert_allclose(found[interior], expected[interior], atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (26, 34), (33, 40), (97, 131)], ids=str)
def test_an_unpadded_net_sees_the_image_mirrored_and_has_no_seam_at_all(size):
    model = segmenter("valid")
    found = whole_image(model, preparation=PADDED, tiling=Tiling(margin=0, blend=3, stride=2))
    image = pixels(*size)
    np.testing.assert_allclose(found(image), untiled(model, image, "valid"), atol=1e-6)


def test_a_margin_below_the_radius_is_seen():
    """The test above can fail."""
    model, image = segmenter(), pixels(97, 131)
    tiling = Tiling(margin=0, blend=0, stride=STRIDE)
    found = whole_image(model, preparation=PADDED, tiling=tiling)(image).numpy()
    assert np.abs(found - untiled(model, image, "same"))[:90, :120].max() > 0.01


def test_an_image_of_one_tile_is_what_validation_sees():
    model, image = segmenter(), pixels(20, 33)
    prepared = PADDED.resize(image).numpy()
    expected = softmax(model.predict(prepared[None].astype("float32"), verbose=0))[0, :20, :33]
    found = whole_image(model, preparation=PADDED, tiling=TILING)(image)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_network_never_sees_more_than_a_tile():
    model = segmenter()
    find = whole_image(model, preparation=PADDED, tiling=TILING)
    Spied.shapes.clear()
    assert find(pixels(200, 333)).shape == (200, 333, 3)
    assert {shape[:3] for shape in Spied.shapes} == {(1, *TILE)}


def test_grey_images_and_auxiliary_heads():
    image = pixels(50, 60)
    preparation = Preparation(height=32, width=40, channels=1, fit="pad")
    model = segmenter(channels=1, auxiliary=True)
    found = whole_image(model, preparation=preparation, tiling=TILING)(image)
    grey = Preparation(height=50, width=60, channels=1, fit="pad").resize(image).numpy()
    expected = softmax(model.predict(grey[None].astype("float32"), verbose=0)["logits"])[0]
    np.testing.assert_allclose(found[:44, :54], expected[:44, :54], atol=1e-6)


def bilinear(probabilities, preparation, size):
    """By a loop: the centre of each pixel, looked up between the four around it."""
    scale, shift = (part.numpy() for part in preparation.geometry(np.array(size)))
    height, width = probabilities.shape[:2]
    found = np.zeros((*size, 3))
    for row, column in np.ndindex(*size):
        y, x = (np.array([row, column]) + 0.5) * scale + shift - 0.5
        y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        upper = probabilities[top, left] * (left + 1 - x) + probabilities[top, right] * (x - left)
        lower = probabilities[bottom, left] * (left + 1 - x)
        lower = lower + probabilities[bottom, right] * (x - left)
        found[row, column] = upper * (top + 1 - y) + lower * (y - top)
    return found


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", [(1, 1), (41, 67), (9, 30)], ids=str)
def test_scaled_images_are_seen_whole_and_answered_at_their_own_size(fit, size):
    preparation, model = Preparation(height=32, width=40, fit=fit), segmenter(size=(32, 40))
    image = pixels(*size)
    prepared = preparation.resize(image).numpy()[None].astype("float32")
    expected = bilinear(softmax(model.predict(prepared, verbose=0))[0], preparation, size)
    found = whole_image(model, preparation=preparation)(image)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "fit", "tiling", "said"),
    [
        ({}, "crop", None, "`preparation` must show the model the whole image, and fit='crop'"),
        ({}, "stretch", Tiling(), "`tiling` is for images at their own resolution, fit='pad'"),
        ({"padding": "valid"}, "letterbox", None, "`model` must answer for each pixel"),
        ({}, "pad", Tiling(margin=20), "Tiles of 32 x 40 are too small"),
    ],
)
def test_what_does_not_fit_is_refused(model, fit, tiling, said):
    preparation = Preparation(height=32, width=40, fit=fit)
    with pytest.raises(ValueError, match=said):
        whole_image(segmenter(**model), preparation=preparation, tiling=tiling)


def test_an_answer_must_lie_in_the_middle():
    images = keras.Input((32, 40, 3))
    model = keras.Model(images, keras.layers.Conv2D(3, 2)(images))
    with pytest.raises(ValueError, match="`model` must answer for the middle of its input"):
        whole_image(model, preparation=PADDED)


def test_a_model_that_scales_by_the_brightest_pixel_is_not_for_tiles():
    images = keras.Input((32, 40, 3))
    model = keras.Model(images, keras.layers.Conv2D(3, 1)(ScaleByMax()(images)))
    with pytest.raises(ValueError, match="`model` scales what it sees by its brightest pixel"):
        whole_image(model, preparation=PADDED)
    scaled = Preparation(height=32, width=40, fit="stretch")
    assert whole_image(model, preparation=scaled)(pixels(9, 9)).shape == (9, 9, 3)
