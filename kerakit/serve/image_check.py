"""An image file checked by itself: its pixels counted by its headers, and decoded."""

import contextlib
import re
import struct

import tensorflow as tf

from kerakit.data.decode import SIGNATURES, decode
from kerakit.errors import InputError
from kerakit.export.refusal import reason

_NAME = "Image 0 of the batch (counted from 0)"  # which `reason` knows, and leaves out
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x00, 0x01, *range(0xD0, 0xD9)}
_MOST_SEGMENTS = 10_000
_GIF_FRAME, _GIF_EXTENSION = 0x2C, 0x21


def pixels_of(encoded, *, most):
    """Pixels that an image decodes to, by its headers.

    A file of some kilobytes can hold gigabytes of pixels, so that this is asked first.

    Args:
        encoded: bytes of a JPEG, PNG, GIF or BMP file.
        most: How many are taken, those of all frames of an animation together.

    Returns:
        int; 0 where no decoder would find any.

    Raises:
        InputError: If there are more, a phrase that fits after the image's name.

    Example:

    >>> pixels_of(tf.io.encode_png(tf.zeros((5, 4, 3), tf.uint8)).numpy(), most=100)
    20
    """
    pixels = _counted(encoded)
    if pixels > most:
        raise InputError(f"has {pixels:,} pixels, and at most {most:,} are taken")
    return pixels


def check_decodes(encoded):
    """Refuses an image that cannot be decoded.

    Args:
        encoded: bytes of the file.

    Raises:
        InputError: A phrase that fits after its name.
    """
    try:
        # Of these it is all that can fail: 0.06 ms of a small one, where `decode` takes 0.6.
        if encoded.startswith(SIGNATURES["JPEG"]):
            tf.io.decode_jpeg(encoded, channels=3)
        elif encoded.startswith(SIGNATURES["PNG"]):
            tf.io.decode_png(encoded, channels=4)
        else:
            decode(tf.constant(encoded), name=_NAME)
    except tf.errors.InvalidArgumentError as error:
        raise InputError(reason(str(error))) from None


def _counted(encoded):
    counters = {"JPEG": _of_jpeg, "PNG": _of_png, "GIF": _of_gif, "BMP": _of_bmp}
    for kind, start in SIGNATURES.items():
        if encoded.startswith(start):
            try:
                return counters[kind](encoded)
            except (struct.error, IndexError):  # it ends too soon
                return 0
    return 0


def _of_png(encoded):
    # libpng may pass over other chunks before it, and this does not.
    if encoded[12:16] != b"IHDR":
        raise InputError("is damaged (the first chunk of a PNG image must be IHDR)")
    width, height = struct.unpack_from(">II", encoded, 16)
    return width * height


def _of_bmp(encoded):
    width, height = struct.unpack_from("<ii", encoded, 18)
    return abs(width * height)  # from bottom to top the height is negative


def _of_jpeg(encoded):
    """Goes from marker to marker, as libjpeg does, to the header of the frame."""
    place = 2
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(encoded, place)
        if not found or found[1] in (b"\xd9", b"\xda"):  # the end, or pixels without a header
            return 0
        place, marker = found.end(), found[1][0]
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", encoded, place + 3)
            return width * height
        if marker not in _WITHOUT_LENGTH:
            place += max(2, *struct.unpack_from(">H", encoded, place))
    raise InputError(
        f"is damaged (a JPEG image with {_MOST_SEGMENTS:,} segments before its pixels)"
    )


def _of_gif(encoded):
    """Goes from block to block, as giflib does: it decodes all frames to give the first."""
    width, height, flags = struct.unpack_from("<HHB", encoded, 6)
    place, frames = 13 + _color_table(flags), 0
    # A file that is cut short is decoded as far as it goes.
    with contextlib.suppress(struct.error, IndexError):
        while (kind := encoded[place]) in (_GIF_FRAME, _GIF_EXTENSION):
            place += 2
            if kind == _GIF_FRAME:
                *size, flags = struct.unpack_from("<HHB", encoded, place + 3)
                frames += size[0] * size[1]
                place += 9 + _color_table(flags)
            while length := encoded[place]:
                place += 1 + length
            place += 1
    return max(width * height, frames)


def _color_table(flags):
    return 3 * 2 ** (1 + flags % 8) if flags & 0x80 else 0
