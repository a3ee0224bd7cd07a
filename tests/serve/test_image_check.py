"""Pixels counted by headers: equal to what decoders find, and never fewer."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerakit.errors import InputError
from kerakit.serve.image_check import check_decodes, pixels_of
from tests.export.tiny import encoded


def counted(content):
    return pixels_of(content, most=10**12)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(mode="RGB", size=(37, 23)):
    """Width 37, height 23."""
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    return Image.fromarray(noise).convert(mode)


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png_bomb(side):
    """A whole PNG of side x side black pixels, of a thousandth of their bytes."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((side + 1) * side), 9)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("kind", "modes"),
    [
        ("JPEG", ("RGB", "L", "CMYK")),
        ("PNG", ("RGB", "L", "P", "RGBA", "1")),
        ("GIF", ("P", "L")),
        ("BMP", ("RGB", "L", "P", "1")),
    ],
)
def test_every_kind(kind, modes):
    assert [counted(saved(picture(mode), kind)) for mode in modes] == [37 * 23] * len(modes)


def with_segments(jpeg):
    """What may stand before a frame's header: fill bytes, an empty and a long segment, garbage."""
    fill = b"\xff\xff\xff\xfe" + struct.pack(">H", 2)
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 9) + b"\xff\xc0\x00\x11\x08" + b"\x00\x01" * 2
    return jpeg[:2] + fill + comment + b"garbage" + jpeg[2:]


@pytest.mark.parametrize(
    "content",
    [
        saved(picture(), "JPEG", progressive=True),
        saved(picture(), "JPEG", exif=b"Exif\0\0" + bytes(4000), comment=b"\xff\xc0" * 50),
        with_segments(saved(picture(), "JPEG")),
    ],
    ids=["progressive", "with exif", "with segments"],
)
def test_a_frame_header_is_found_where_libjpeg_finds_it(content):
    assert tf.io.decode_jpeg(content).shape[:2] == (23, 37)
    assert counted(content) == 37 * 23


def test_a_bmp_from_top_to_bottom():
    content = bytearray(saved(picture(), "BMP"))
    content[22:26] = struct.pack("<i", -23)
    assert counted(bytes(content)) == 37 * 23


def test_all_frames_of_a_gif_count():
    frames = [picture("P"), picture("L"), picture("P", (37, 23))]
    options = {"save_all": True, "append_images": frames[1:], "comment": b"x" * 600}
    content = saved(frames[0], "GIF", **options)
    assert counted(content) == 3 * 37 * 23
    # giflib goes as far as the file goes, so that a cut one counts what is there.
    third = content.rindex(b"\x2c\0\0\0\0")
    assert counted(content[: third + 4]) == 2 * 37 * 23


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_what_ends_too_soon_has_no_pixels_or_says_how_many(kind):
    content = encoded(9, 9, kind=kind)
    for length in range(0, len(content), 3):
        try:
            found = counted(content[:length])
        except InputError:
            continue
        assert found in (0, 81)


@pytest.mark.parametrize("content", [b"", b"text", b"RIFF\0\0\0\0WEBPVP8 ", b"\xff\xd8\xff"])
def test_no_image(content):
    assert counted(content) == 0
    with pytest.raises(InputError, match="is not a JPEG, PNG|is damaged or cut short"):
        check_decodes(content)


def test_too_many_pixels_are_told():
    with pytest.raises(InputError, match=r"^has 851 pixels, and at most 850 are taken$"):
        pixels_of(saved(picture(), "PNG"), most=850)
    assert pixels_of(saved(picture(), "PNG"), most=851) == 851


def test_a_bomb_is_told_by_its_header():
    bomb = png_bomb(8000)
    assert len(bomb) < 80_000
    with pytest.raises(InputError, match="has 64,000,000 pixels, and at most 25,000,000 are"):
        pixels_of(bomb, most=25_000_000)
    assert tf.io.decode_png(png_bomb(80)).shape == (80, 80, 1)  # so it is one


def test_a_png_must_begin_with_its_header():
    content = saved(picture(), "PNG")
    moved = content[:8] + chunk(b"tEXt", b"a\0b") + content[8:]
    with pytest.raises(InputError, match="the first chunk of a PNG image must be IHDR"):
        counted(moved)


def test_a_jpeg_of_segments_alone_is_given_up():
    endless = b"\xff\xd8" + b"\xff\xd0" * 100_000
    with pytest.raises(InputError, match="a JPEG image with 10,000 segments before"):
        counted(endless)


def test_check_decodes():
    check_decodes(encoded(5, 4))
    with pytest.raises(InputError, match=r"^is damaged or cut short \(.+\)$"):
        check_decodes(encoded(50, 40, kind="JPEG")[:300])
    with pytest.raises(InputError, match="^is not a JPEG, PNG, GIF or BMP image: it has 4 bytes"):
        check_decodes(b"text")
