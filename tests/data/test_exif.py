import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerakit.data import decode
from kerakit.data.exif import exif_orientation

orientation_in_graph = tf.function(exif_orientation, input_signature=[tf.TensorSpec((), tf.string)])
decode_in_graph = tf.function(decode, input_signature=[tf.TensorSpec((), tf.string)])


def segment(marker, payload):
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload


def note(orientation, *, order="little", tag=0x0112, kind=3, count=1, magic=42):
    """An EXIF payload: the maker's tag, then the orientation."""

    def number(value, length):
        return value.to_bytes(length, order)

    header = (b"II" if order == "little" else b"MM") + number(magic, 2) + number(8, 4)
    maker = number(0x010F, 2) + number(2, 2) + number(4, 4) + b"abc\0"
    turned = number(tag, 2) + number(kind, 2) + number(count, 4) + number(orientation, 2) + b"\0\0"
    return b"Exif\0\0" + header + number(2, 2) + maker + turned + number(0, 4)


def jpeg(*segments):
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xda\x00\x0c\x03"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("endian", ["<", ">"])
def test_all_orientations_in_both_byte_orders_are_pillows(
    orientation, endian, photo, file_of, pillow
):
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F] = "maker"
    exif[0x0112] = orientation
    data = file_of(photo, "JPEG", exif=exif.tobytes())
    assert orientation_in_graph(data) == orientation
    np.testing.assert_array_equal(decode_in_graph(data), pillow(data))


@pytest.mark.parametrize("order", ["little", "big"])
def test_the_note_is_found_behind_other_segments(order):
    jfif = segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\0\0")
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")
    comment = segment(0xFE, b"Exif\0\0")
    data = jpeg(jfif, xmp, comment, segment(0xE1, note(6, order=order)))
    assert orientation_in_graph(data) == 6


@pytest.mark.parametrize(
    "data",
    [
        jpeg(),
        jpeg(segment(0xE1, note(0))),
        jpeg(segment(0xE1, note(9))),
        jpeg(segment(0xE1, note(6, tag=0x0113))),
        jpeg(segment(0xE1, note(6, kind=2))),
        jpeg(segment(0xE1, note(6, count=2))),
        jpeg(segment(0xE1, note(6, magic=43))),
        jpeg(segment(0xE1, note(6).replace(b"II", b"IM"))),
        jpeg(segment(0xE1, note(6).replace(b"II", b"XX"))),
        jpeg(segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")),  # directory far outside
        jpeg(segment(0xE1, b"Exif\0\0")),
        jpeg(segment(0xE1, note(6)[:-10]), segment(0xE2, b"\6\0" * 9)),  # entry runs out of it
        b"\xff\xd8\xff\xe1\x00\x00" + note(6),  # a length of 0
        b"\xff\xd8\xff\xe1",
        b"\xff\xd8\xff",
        b"",
        jpeg(segment(0xDB, b"\0" * 65), segment(0xE1, note(6))),  # only notes are walked
    ],
)
def test_malformed_notes_mean_upright(data):
    assert orientation_in_graph(data) == 1


def test_no_damage_is_an_error(rng):
    data = jpeg(segment(0xE0, b"JFIF\0"), segment(0xE1, note(6)))
    for _ in range(300):
        damaged = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(0, len(damaged), rng.integers(1, 6))
        damaged[places] = rng.integers(0, 256, len(places))
        damaged = damaged[: rng.integers(1, len(damaged) + 1)]
        assert 1 <= orientation_in_graph(damaged.tobytes()) <= 8
