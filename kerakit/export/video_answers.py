"""An export's answers to video files, whose frames are cut here."""

import numpy as np
import tensorflow as tf

from kerakit.data.clip_cache import JPEG_QUALITY, SHORT_SIDE
from kerakit.data.video_file import read_video
from kerakit.errors import InputError
from kerakit.export.file_answers import answered
from kerakit.extras import MissingExtraError, need
from kerakit.image_files import VIDEO_SUFFIXES, is_image_alone

_STRIP = 8  # frames of a film strip


class VideoAnswer:
    """What an export says of one video.

    Args:
        video: The `Video`.
        windows: int (clips, T), the frames that were sent.
        probabilities: (clips, K), the answers.

    Attributes:
        probabilities: (K,), their mean.
    """

    def __init__(self, video, windows, probabilities):
        self.video, self.windows, self.by_clip = video, windows, probabilities
        self.probabilities = probabilities.mean(axis=0)

    def scores(self, classes):
        """The answer to each clip, by the seconds of its first and last frame."""
        times = self.video.times[self.windows[:, [0, -1]]]
        return [
            {
                "start": round(float(start), 3),
                "end": round(float(end), 3),
                "probabilities": dict(zip(classes, map(float, row), strict=True)),
            }
            for (start, end), row in zip(times, self.by_clip, strict=True)
        ]


def video_answers(served, files, *, clips=1, batch_size=8):
    """The answer to each video file, or, as text, why there is none.

    Frames are taken as the export's card says, the short side at most 256 pixels, and sent as JPEG
    of quality 95: as they were in training and evaluation on `clips:DIR`.

    Args:
        served: A `Served` of the task "video".
        files: Paths.
        clips: Windows of a video, spread evenly, whose probabilities are averaged.
        batch_size: Clips computed at once.

    Yields:
        A `VideoAnswer`, or text that goes on behind the file's name.

    Raises:
        MissingExtraError: If PyAV is not installed.
    """
    for file in files:
        if is_image_alone(file):
            takes = ", ".join(sorted(VIDEO_SUFFIXES))
            yield f"is an image, and this model takes videos ({takes})"
            continue
        try:
            video = read_video(file, frame_rate=served.frame_rate, short_side=SHORT_SIDE)
        except MissingExtraError:
            raise  # no file is at fault
        except InputError as error:
            yield str(error).removeprefix(f"{file}").lstrip(": ").rstrip(".")
            continue
        windows = served.sampling.even(len(video.frames), clips=clips).numpy()
        encoded = {
            number: tf.io.encode_jpeg(video.frames[number], quality=JPEG_QUALITY).numpy()
            for number in np.unique(windows)
        }
        sent = ([encoded[number] for number in window] for window in windows)
        answers = list(served.answer(sent, batch_size=batch_size))
        yield VideoAnswer(video, windows, np.stack([one["probabilities"] for one in answers]))


def tell_video(answer, classes, *, top):
    """What a person and a program are told of a video, and how it is drawn.

    Args:
        answer: A `VideoAnswer`.
        classes: K names.
        top: How many classes to tell, or None for one.

    Returns:
        Columns of text, a dict for JSON, and a function that draws the answer into a file.
    """
    best, record = answered({"probabilities": answer.probabilities}, classes, top)
    width = max(len(name) for name in classes)
    columns = [f"{name:<{width}}  {p:6.4f}" for name, p in best]
    if len(answer.windows) > 1:
        record = {**record, "scores": answer.scores(classes)}
    title = ", ".join(f"{name} {p:.4f}" for name, p in best)
    return columns, record, lambda path: write_film_strip(answer, classes, title, path)


def film_strip(frames):
    """Eight frames of a clip side by side, from the first to the last.

    Args:
        frames: N arrays uint8 (H, W, 3).

    Returns:
        uint8 (H, 8 W + gaps, 3).
    """
    height, width, _ = frames[0].shape
    gap = np.full((height, max(1, width // 32), 3), 255, np.uint8)
    chosen = np.linspace(0, len(frames) - 1, _STRIP).round().astype(int)
    parts = [part for number in chosen for part in (frames[number], gap)]
    return np.concatenate(parts[:-1], axis=1)


def write_film_strip(answer, classes, title, path):
    """Draws frames of a video with its answer, and below the score over time of several clips.

    Args:
        answer: A `VideoAnswer`.
        classes: K names; the ten most probable are drawn.
        title: Text above the frames.
        path: PNG to write; its folder is made if need be.
    """
    figure_module = need("matplotlib.figure", extra="plot")
    several = len(answer.windows) > 1
    strip = film_strip(answer.video.frames)
    strip_height = min(6.0, 10.0 * strip.shape[0] / strip.shape[1])
    sizes = [strip_height + 0.4, *([2.4] if several else [])]
    figure = figure_module.Figure(figsize=(10.0, sum(sizes)), layout="constrained")
    rows = figure.subplots(len(sizes), 1, squeeze=False, height_ratios=sizes)[:, 0]
    rows[0].imshow(strip)
    rows[0].set_title(title, parse_math=False)
    rows[0].set_axis_off()
    if several:
        middles = answer.video.times[answer.windows].mean(axis=1)
        for k in np.argsort(-answer.probabilities, kind="stable")[:10]:
            rows[1].plot(middles, answer.by_clip[:, k], label=classes[k], marker="o")
        rows[1].set_ylim(0, 1.02)
        rows[1].set_xlabel("seconds")
        rows[1].grid(alpha=0.3)
        rows[1].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
