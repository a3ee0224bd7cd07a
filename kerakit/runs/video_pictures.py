"""Pictures of clips: film strips with their answers, and scores over time."""

import fractions

import numpy as np

from kerakit.export.video_answers import film_strip
from kerakit.extras import need


def plot_clips(videos, titles, right, path):
    """Draws a film strip of each video, with its answer: green where right, red where wrong.

    Args:
        videos: Arrays uint8 (N, H, W, 3), each of its own N, H and W.
        titles: A string each.
        right: A boolean each.
        path: Picture to write, `.png`.
    """
    figure_module = need("matplotlib.figure", extra="plot")
    figure = figure_module.Figure(figsize=(10.4, 1.55 * len(videos)), layout="constrained")
    rows = figure.subplots(len(videos), 1, squeeze=False)[:, 0]
    for axes, video, title, good in zip(rows, videos, titles, right, strict=True):
        axes.imshow(film_strip(video))
        axes.set_title(
            title.replace("\n", ", "),
            fontsize=9,
            color="darkgreen" if good else "crimson",
            parse_math=False,
        )
        axes.set_axis_off()
    figure.savefig(path, dpi=100)


def plot_scores(scores, titles, classes, path):
    """Draws the probability of each class over time, a video each.

    Args:
        scores: Pairs of int (M,) frame numbers and (M, K) probabilities.
        titles: A string each.
        classes: K names; of more than ten, those with the highest scores are drawn.
        path: Picture to write, `.png`.
    """
    figure_module = need("matplotlib.figure", extra="plot")
    wide = min(3, len(scores))
    high = -(-len(scores) // wide)
    figure = figure_module.Figure(figsize=(4.2 * wide, 2.6 * high), layout="constrained")
    drawn = np.argsort(-np.max([p.max(axis=0) for _, p in scores], axis=0), kind="stable")[:10]
    for number, ((frames, probabilities), title) in enumerate(zip(scores, titles, strict=True)):
        axes = figure.add_subplot(high, wide, number + 1)
        marker = "o" if len(frames) == 1 else None
        for k in sorted(drawn):
            axes.plot(
                frames, probabilities[:, k], label=classes[k], color=f"C{k % 10}", marker=marker
            )
        axes.set_ylim(0, 1.02)
        axes.set_title(title, fontsize=9, parse_math=False)
        axes.set_xlabel("frame")
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=100)


def write_film(path, frames, *, frame_rate=None):
    """Writes frames as a video that loses nothing.

    Args:
        path: File to write, `.mkv`.
        frames: Arrays uint8 (H, W, 3), all of one size.
        frame_rate: Frames a second; None: ten.
    """
    av = need("av", extra="video")
    with av.open(str(path), "w") as file:
        rate = fractions.Fraction(frame_rate or 10).limit_denominator(1000)
        stream = file.add_stream("ffv1", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "bgr0"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))
