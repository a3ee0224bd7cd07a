"""Pictures of clips: film strips with their answers, and scores over time."""

import numpy as np

from kerakit.extras import need

_STRIP = 8  # frames of a film strip


def plot_clips(videos, titles, right, path):
    """Draws a film strip of each video, with its answer: green where right, red where wrong.

    Args:
        videos: Arrays uint8 (N, H, W, 3), each of its own N, H and W.
        titles: A string each.
        right: A boolean each.
        path: Picture to write, `.png`.
    """
    figure_module = need("matplotlib.figure", extra="plot")
    figure = figure_module.Figure(figsize=(1.3 * _STRIP, 1.55 * len(videos)), layout="constrained")
    rows = figure.subplots(len(videos), 1, squeeze=False)[:, 0]
    for axes, video, title, good in zip(rows, videos, titles, right, strict=True):
        chosen = np.linspace(0, len(video) - 1, _STRIP).round().astype(int)
        gap = np.full((video.shape[1], max(1, video.shape[2] // 32), 3), 255, np.uint8)
        strip = [part for number in chosen for part in (video[number], gap)][:-1]
        axes.imshow(np.concatenate(strip, axis=1))
        axes.set_title(
            title.replace("\n", ", "), fontsize=9, color="darkgreen" if good else "crimson"
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
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("frame")
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=100)


def write_film(path, frames):
    """Writes frames as an animated GIF, ten a second.

    Args:
        path: File to write, `.gif`.
        frames: Arrays uint8 (H, W, 3), all of one size.
    """
    pillow = need("PIL.Image", extra="plot")
    first, *others = map(pillow.fromarray, frames)
    first.save(path, save_all=True, append_images=others, duration=100, loop=0)
