"""Video files to upright frames on an even grid of time."""

import dataclasses
import pathlib

import numpy as np

from kerakit.errors import InputError
from kerakit.extras import need
from kerakit.image_files import VIDEO_SUFFIXES

EXTENSIONS = tuple(sorted(VIDEO_SUFFIXES))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Video:
    """The frames of a video, upright, in the order of time.

    Attributes:
        frames: List of uint8 (H, W, 3) arrays, RGB, upright, all of one size.
        times: float64 (N,), when each is shown, in seconds from the first.
        frame_rate: Frames a second.
    """

    frames: list
    times: np.ndarray
    frame_rate: float


def read_video(path, *, frame_rate=None, short_side=None, threads=None):
    """Decodes a video with PyAV: upright frames, a step of time apart.

    A rotation tag, which phones write, is applied. The frames of a video whose rate varies are
    put on an even grid at its average rate: at each tick the frame that is shown then. Where no
    frame lies half a tick or more from its own tick, they stay as they are. Of a webm, mkv or gif
    that was cut short, whose length is written nowhere, what is there is read.

    Args:
        path: The file: mp4, avi, gif, webm, mov, mkv or what else FFmpeg reads.
        frame_rate: None for the video's own, or frames a second, to which the video is put by
            repeating frames or leaving some out; positive.
        short_side: None, or the pixels that the short side has at most; larger frames are
            shrunk (bilinear, antialiased), smaller ones stay.
        threads: None for FFmpeg's choice, or how many threads decode.

    Returns:
        `Video`.

    Raises:
        InputError: If the file is missing, broken, cut short, or no video.
        ValueError: If `frame_rate` or `short_side` is not positive.

    Example:

    >>> read_video("no_such_file.mp4")
    Traceback (most recent call last):
    kerakit.errors.InputError: no_such_file.mp4: there is no such file.
    """
    for name, value in (("frame_rate", frame_rate), ("short_side", short_side)):
        if value is not None and not 0 < value < np.inf:
            raise ValueError(f"`{name}` must be positive, got {value}.")
    path = pathlib.Path(path)
    if not path.is_file():
        what = "this is a folder, not a file" if path.is_dir() else "there is no such file"
        raise InputError(f"{path}: {what}.")
    frames, times, nominal = _decoded(path, short_side, threads)
    rate = _average_rate(times, nominal)
    ticks = np.arange(len(frames)) / rate
    if len(frames) > 1 and np.abs(times - ticks).max() < 0.5 / rate:
        times = ticks  # what differs is the rounding of the file's clock
    if frame_rate is not None and frame_rate != rate:
        # The last frame is shown for a tick too.
        end = times[-1] + 1 / rate
        rate = float(frame_rate)
        ticks = np.arange(max(1, round(end * rate))) / rate
    shown = np.searchsorted(times, ticks + 1e-6, side="right") - 1
    return Video(frames=[frames[index] for index in shown], times=ticks, frame_rate=rate)


def _decoded(path, short_side, threads):
    """Frames in the order of time, their times from the first on, and the file's own rate."""
    av = need("av", extra="video")
    frames, times = [], []
    try:
        # Absolute, as a colon in a relative one would name a protocol of FFmpeg's.
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            if not container.streams.video:
                raise InputError(f"{path} cannot be read as a video (it has no pictures in it).")
            stream = container.streams.video[0]
            if threads is not None:
                stream.codec_context.thread_count = threads
            nominal = float(stream.average_rate or 1)
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise InputError(_unreadable(path, f"frame {len(frames)} is broken", frames))
                frames.append(_upright(frame, short_side, frames))
                times.append(len(times) / nominal if frame.time is None else frame.time)
    except (av.FFmpegError, EOFError) as error:
        at_end = isinstance(error, EOFError)
        what = "it ends too early" if at_end else getattr(error, "strerror", None) or str(error)
        raise InputError(_unreadable(path, what, frames)) from error
    if not frames:
        raise InputError(f"{path} cannot be read as a video (it has no frames).")
    times = np.maximum.accumulate(np.array(times, np.float64))
    return frames, times - times[0], nominal


def _unreadable(path, what, frames):
    where = f" after {len(frames)} frames" if frames else ""
    return f"{path} cannot be read as a video ({what}{where})."


def _upright(frame, short_side, earlier):
    """uint8 (H, W, 3), of the size of those before, should the size change on the way."""
    turns = round(frame.rotation / 90) % 4  # counterclockwise, as `np.rot90` counts
    height, width = frame.height, frame.width
    if earlier:
        height, width = earlier[0].shape[:2]
        if turns % 2:
            height, width = width, height
    elif short_side is not None and min(height, width) > short_side:
        scale = short_side / min(height, width)
        height, width = max(1, round(height * scale)), max(1, round(width * scale))
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _average_rate(times, nominal):
    """Frames a second between the first frame and the last."""
    return (len(times) - 1) / times[-1] if times[-1] > 0 else nominal
