import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerakit.data import Preparation
from kerakit.data.prepare import LETTERBOX_FILL


def rounding(size):
    """How far a result may lie from the exact one.

    Half a step for rounding to uint8 and 1e-3 for sums in float32; and where the op samples is
    a float32 that three roundings made, each half its spacing off, at a slope of up to 255.
    """
    return 0.5 + 1e-3 + 255 * 1.5 * np.spacing(np.float32(max(size)))


def axis_weights(size, target, scale):
    """(target, size) weights of a row, centred on the middle; a zero row lies outside."""
    weights = np.zeros((target, size))
    shift = (target - size * scale) / 2
    width = max(1 / scale, 1.0)
    for i in range(target):
        centre = (i + 0.5 - shift) / scale
        if 0 <= centre <= size:
            for k in range(size):
                weights[i, k] = max(0.0, 1 - abs(k + 0.5 - centre) / width)
            weights[i] /= weights[i].sum()
    return weights


def resized_by_loop(image, height, width, fit):
    """Unrounded, in float64: the definition, with dense weights."""
    rows, columns = image.shape[:2]
    scales = np.array([height / rows, width / columns])
    if fit != "stretch":
        scales[:] = scales.min() if fit == "letterbox" else scales.max()
    down = axis_weights(rows, height, scales[0])
    across = axis_weights(columns, width, scales[1])
    inside = down.any(axis=1)[:, None] & across.any(axis=1)[None]
    pixels = np.einsum("ik,jl,klc->ijc", down, across, image.astype(np.float64))
    return np.where(inside[..., None], pixels, LETTERBOX_FILL)


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(1, 1), (37, 911), (64, 48), (8, 8), (101, 7)])
@pytest.mark.parametrize("target", [(32, 32), (20, 45)])
def test_resize_is_the_definition(fit, size, target, rng):
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    got = Preparation(height=target[0], width=target[1], fit=fit).resize(image)
    assert got.dtype == tf.uint8
    assert np.abs(got.numpy() - resized_by_loop(image, *target, fit)).max() <= rounding(size)


@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize("size", [(37, 911), (64, 48), (9, 13)])
def test_resize_is_pillows(fit, size, rng):
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    height, width = 24, 40
    rows, columns = height, width
    if fit == "stretch":
        rows, columns = size
    else:
        scale = max(height / size[0], width / size[1])
        rows, columns = height / scale, width / scale
    top, left = (size[0] - rows) / 2, (size[1] - columns) / 2
    box = (left, top, left + columns, top + rows)
    want = [  # mode F: Pillow's resampling without its rounding
        Image.fromarray(image[..., c].astype(np.float32)).resize(
            (width, height), Image.Resampling.BILINEAR, box=box
        )
        for c in range(3)
    ]
    got = Preparation(height=height, width=width, fit=fit).resize(image).numpy()
    assert np.abs(got - np.stack(want, axis=-1)).max() <= rounding(size)


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
def test_an_image_of_the_right_size_stays(fit, photo):
    got = Preparation(height=30, width=43, fit=fit).resize(photo)
    np.testing.assert_array_equal(got, photo)


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
def test_geometry_says_where_a_dot_lands(fit):
    image = np.zeros((60, 90, 3), np.uint8)
    image[22:26, 50:54] = 255  # its middle is at (24, 52)
    preparation = Preparation(height=40, width=32, fit=fit)
    scale, shift = preparation.geometry(image.shape[:2])
    got = preparation.resize(image).numpy()[..., 0].astype(float)
    got -= np.median(got) if fit != "letterbox" else 0
    rows, columns = np.mgrid[:40, :32] + 0.5
    got[(got == LETTERBOX_FILL)] = 0
    centre = [(got * rows).sum() / got.sum(), (got * columns).sum() / got.sum()]
    np.testing.assert_allclose(centre, np.array([24.0, 52.0]) * scale + shift, atol=0.25)


def test_letterbox_bars_are_even_and_grey():
    white = np.full((10, 20, 3), 255, np.uint8)
    got = Preparation(height=32, width=32, fit="letterbox").resize(white).numpy()
    assert (got[8:24] == 255).all()
    assert (got[:8] == 114).all()
    assert (got[24:] == 114).all()


def test_grey_is_bt_601_and_keeps_greys(rng):
    greys = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=-1)
    preparation = Preparation(height=16, width=16, channels=1)
    np.testing.assert_array_equal(preparation.resize(greys), greys[..., :1])
    colours = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    want = colours @ np.array([0.299, 0.587, 0.114])
    assert np.abs(preparation.resize(colours).numpy()[..., 0] - want).max() <= rounding((16, 16))


def test_a_batch_is_its_images_one_by_one(photo, file_of):
    files = [file_of(photo[:n], kind) for n, kind in ((1, "PNG"), (17, "JPEG"), (30, "BMP"))]
    preparation = Preparation(height=24, width=16, fit="letterbox")
    got = tf.function(preparation.batch)(tf.constant(files))
    np.testing.assert_array_equal(got, [preparation(file) for file in files])
    assert tf.function(preparation.batch)(tf.constant([], tf.string)).shape == (0, 24, 16, 3)


def test_a_batch_names_the_image_that_is_none(photo, file_of):
    preparation = Preparation(height=8, width=8)
    files = tf.constant([file_of(photo, "PNG"), b"text"])
    for batch in (preparation.batch, tf.function(preparation.batch)):
        with pytest.raises(
            tf.errors.InvalidArgumentError,
            match=r"Image 1 of the batch \(counted from 0\) is not a JPEG.*it has 4 bytes",
        ):
            batch(files)


def test_it_survives_a_saved_model(tmp_path, photo, file_of):
    preparation = Preparation(height=24, width=16, channels=1, fit="crop")
    module = tf.Module()
    module.prepare = tf.function(
        preparation.batch, input_signature=[tf.TensorSpec((None,), tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path))
    files = tf.constant([file_of(photo, "JPEG"), file_of(photo, "GIF")])
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_array_equal(loaded.prepare(files), preparation.batch(files))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Image 0 .* it has 0 bytes"):
        loaded.prepare(tf.constant([b""]))


def test_settings_go_through_json():
    preparation = Preparation(height=24, width=16, channels=1, fit="crop")
    settings = json.loads(json.dumps(preparation.to_dict()))
    assert settings == {"height": 24, "width": 16, "channels": 1, "fit": "crop"}
    assert Preparation.from_dict(settings) == preparation


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 0}, "`height` must be a positive integer, got 0"),
        ({"width": 2.5}, "`width` must be a positive integer, got 2.5"),
        ({"channels": 4}, "`channels` must be 1 or 3, got 4"),
        ({"fit": "tile"}, "`fit` must be one of stretch, letterbox, crop, pad, got 'tile'"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Preparation(**{"height": 8, "width": 8, **settings})


@pytest.mark.parametrize("size", [(5, 7), (20, 9), (3, 30)])
def test_padded_images_keep_their_scale(size, rng):
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    got = Preparation(height=12, width=16, fit="pad").resize(tf.constant(image)).numpy()
    expected = np.full((12, 16, 3), LETTERBOX_FILL, np.uint8)
    seen = image[:12, :16]
    expected[: seen.shape[0], : seen.shape[1]] = seen
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (37, 91), (64, 48), (8, 8)])
def test_masks_take_the_id_at_each_centre(fit, size, rng):
    mask = rng.integers(0, 9, size, dtype=np.uint8)
    preparation = Preparation(height=20, width=45, fit=fit)
    scale, shift = (part.numpy().astype(float) for part in preparation.geometry(size))
    got = preparation.resize_mask(tf.constant(mask)).numpy()
    assert got.shape == (20, 45)
    for place in np.ndindex(20, 45):
        source = (np.array(place) + 0.5 - shift) / scale
        if np.abs(source - np.round(source)).min() < 1e-4:
            continue  # between two pixels, where the last digit decides
        row, column = np.floor(source).astype(int)
        inside = 0 <= row < size[0] and 0 <= column < size[1]
        assert got[place] == (mask[row, column] if inside else 255)
