import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerakit.data import decode

decode_in_graph = tf.function(decode, input_signature=[tf.TensorSpec((), tf.string)])


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_pillows_to_the_last_digit(mode, progressive, photo, file_of, pillow):
    image = Image.fromarray(photo).convert(mode)
    data = file_of(image, "JPEG", quality=80, progressive=progressive)
    np.testing.assert_array_equal(decode_in_graph(data), pillow(data))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "RGB"),
        ("PNG", "L"),
        ("PNG", "P"),
        ("PNG", "1"),
        ("BMP", "RGB"),
        ("BMP", "L"),
        ("BMP", "P"),
        ("BMP", "RGBA"),
        ("GIF", "P"),
        ("GIF", "L"),
    ],
)
def test_lossless_files_are_pillows(kind, mode, photo, file_of, pillow):
    data = file_of(Image.fromarray(photo).convert(mode), kind)
    if (kind, mode) == ("BMP", "RGBA"):  # its fourth byte is not alpha, for Pillow neither
        assert Image.open(io.BytesIO(data)).mode == "RGB"
    np.testing.assert_array_equal(decode_in_graph(data), pillow(data))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_over_white(mode, photo, file_of, pillow):
    alpha = np.linspace(0, 255, photo.shape[1]).astype(np.uint8)
    image = Image.fromarray(photo)
    image.putalpha(Image.fromarray(np.tile(alpha, (len(photo), 1))))
    data = file_of(image.convert(mode), "PNG")
    # Exact: the composition in fractions; Pillow's own is off it by up to 1 in places.
    pixels = np.asarray(image.convert(mode).convert("RGBA")).astype(np.float64)
    over_white = 255 + (pixels[..., :3] - 255) * pixels[..., 3:] / 255
    got = decode_in_graph(data).numpy()
    assert np.abs(got - over_white).max() <= 0.5
    assert np.abs(got.astype(int) - pillow(data)).max() <= 1


@pytest.mark.parametrize("colours", [2, 4, 16, 200])  # 1, 2, 4 and 8 bits a pixel
def test_palettes_of_every_depth_opaque_and_transparent(colours, rng, file_of):
    table = rng.integers(0, 256, (colours, 3), dtype=np.uint8)
    image = Image.new("P", (colours, 1))
    image.putpalette(table.ravel().tolist())
    image.putdata(range(colours))
    opaque = decode_in_graph(file_of(image, "PNG"))
    np.testing.assert_array_equal(opaque[0], table)
    table[1] = 255  # the entry that is transparent shows white
    transparent = decode_in_graph(file_of(image, "PNG", transparency=1))
    np.testing.assert_array_equal(transparent[0], table)


def test_transparent_black_of_one_bit_shows_white(file_of):
    image = Image.fromarray(np.eye(9, dtype=np.uint8) * 255).convert("1")
    got = decode_in_graph(file_of(image, "PNG", transparency=0))
    np.testing.assert_array_equal(got, np.full((9, 9, 3), 255))


def test_sixteen_bits_keep_the_upper_eight(rng):
    deep = rng.integers(0, 65536, (6, 5, 1)).astype(np.uint16)
    got = decode_in_graph(tf.io.encode_png(deep)).numpy()
    np.testing.assert_array_equal(got, np.repeat(deep >> 8, 3, axis=-1))


def test_the_first_frame_of_a_gif(photo, file_of, pillow):
    frames = [Image.fromarray(photo).convert("P"), Image.fromarray(255 - photo).convert("P")]
    data = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode_in_graph(data), pillow(data))


@pytest.mark.parametrize(
    ("data", "size", "first"),
    [
        (b"", "0 bytes.", ""),
        (b"hello world", "11 bytes", "68 65 6c 6c 6f 20 77 6f"),
        (b"\xff\xd8", "2 bytes", "ff d8"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(data, size, first):
    sentence = f"This is not a JPEG, PNG, GIF or BMP image: it has {size}"
    for function in (decode, decode_in_graph):
        with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(sentence)) as error:
            function(data)
        assert first in str(error.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
def test_a_file_cut_short_is_an_error(kind, photo, file_of):
    data = file_of(photo, kind)
    for length in (len(data) // 2, 60, 27, 20, 10):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode_in_graph(data[:length])


def test_a_bmp_of_one_bit_is_refused_in_a_sentence(file_of):
    with pytest.raises(tf.errors.InvalidArgumentError, match="This is a BMP image of 1 bits"):
        decode_in_graph(file_of(Image.new("1", (9, 9)), "BMP"))


@pytest.mark.parametrize(("kind", "mode"), [("BMP", "P"), ("BMP", "RGB"), ("PNG", "P")])
def test_damage_is_an_image_or_a_tensorflow_error(kind, mode, rng, photo, file_of):
    data = np.frombuffer(file_of(Image.fromarray(photo).convert(mode), kind), np.uint8)
    for _ in range(60):
        damaged = data.copy()
        places = rng.integers(2, 64, 3)
        damaged[places] = rng.integers(0, 256, 3)
        try:
            image = decode_in_graph(damaged[: rng.integers(30, len(data))].tobytes())
        except tf.errors.InvalidArgumentError:
            continue
        assert image.shape[-1] == 3
