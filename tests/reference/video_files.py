"""Video files written with PyAV, whose frames tell their number."""

import fractions

import av
import numpy as np

CODECS = {
    ".avi": ("mpeg4", "yuv420p"),
    ".gif": ("gif", "rgb8"),
    ".mkv": ("libx264", "yuv420p"),
    ".mov": ("libx264", "yuv420p"),
    ".mp4": ("libx264", "yuv420p"),
    ".webm": ("libvpx-vp9", "yuv420p"),
}
STEP = 20  # of grey, from one frame to the next


def picture(number, *, size=(48, 64)):
    """Grey of 20 times the number, white in the top left corner; noise would not compress."""
    frame = np.full((*size, 3), STEP * number, np.uint8)
    frame[: size[0] // 4, : size[1] // 4] = 255
    return frame


def write_video(path, count=6, *, size=(48, 64), rate=10, pts=None, options=None):
    """Writes frames 0 to count - 1; `pts` are their times in milliseconds."""
    codec, pixels = CODECS[path.suffix]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        if pts is not None:
            stream.codec_context.time_base = fractions.Fraction(1, 1000)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, size=size), format="rgb24")
            frame.pts = number if pts is None else pts[number]
            frame.time_base = fractions.Fraction(1, rate if pts is None else 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rotate(path, degrees):
    """Writes the matrix of a phone held turned into the track header (tkhd) of an mp4."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4
    # Version 0: 4 bytes of version and flags, 20 of times and numbers, 16 of layer and volume.
    assert data[start] == 0
    matrix = start + 40
    one = 1 << 16
    a, b, c, d = {
        0: (one, 0, 0, one),
        90: (0, one, -one, 0),
        180: (-one, 0, 0, -one),
        270: (0, -one, one, 0),
    }[degrees]
    for place, value in zip((0, 4, 12, 16), (a, b, c, d), strict=True):
        data[matrix + place : matrix + place + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    return path


def numbers(frames):
    """Numbers of the frames, told by the grey of their lower right quarter."""
    height, width = frames[0].shape[:2]
    return [round(frame[height // 2 :, width // 2 :].mean() / STEP) for frame in frames]
