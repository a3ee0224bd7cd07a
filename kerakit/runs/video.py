"""The end of a video classifier's run: its figures, pictures, samples, export and report."""

import keras
import numpy as np

from kerakit.data import clip_evaluation_batches, decode
from kerakit.runs.exporting import export_and_report
from kerakit.runs.judgement import OneLabel
from kerakit.runs.pictures import plot_curves
from kerakit.runs.video_pictures import plot_clips, plot_scores, write_film

_SHOWN = 12
_WITH_SCORES = 6  # videos whose score over time is drawn
_MOMENTS = 24  # at so many points of time
_SAMPLES = 10


def finish_video_classifier(
    run, model, *, recipe, data, preparation, sampling, batch_size, clips=1, keep="best"
):
    """Evaluates, draws, exports, verifies, reports and says so; the run is then complete.

    Args:
        run: The `Run`.
        model: The trained `keras.Model`, from clips to (B, K) logits.
        recipe: Name of the recipe, for the card.
        data: `kerakit.data.Data` that it was trained on.
        preparation: `kerakit.data.Preparation` of its frames.
        sampling: `kerakit.data.FrameSampling` of its clips.
        batch_size: Clips that are computed at once.
        clips: Clips of a video whose probabilities are averaged, for a second accuracy; 1: none.
        keep: Which weights: `"best"`, those of the best epoch on the videos held out, or
            `"last"`, chosen without looking at them.

    Returns:
        Dict of the figures, the export's folder as `savedmodel`.

    Raises:
        kerakit.export.VerificationError: If the export does not answer as the model.
    """
    if not run.is_chiefs:
        return {}
    if keep == "best":
        model.load_weights(run.best.path)
    labels, probabilities = _answers(model, data, preparation, sampling, batch_size, clips=1)
    judged = OneLabel(labels, np.log(np.maximum(probabilities, 1e-30)), data.classes)
    metrics = {"images": len(labels), **judged.metrics}
    if clips > 1:
        _, averaged = _answers(model, data, preparation, sampling, batch_size, clips=clips)
        right = averaged.argmax(axis=-1) == labels
        metrics[f"accuracy_of_{clips}_clips"] = float(right.mean())
        print(f"accuracy {right.mean():.4f} by {clips} clips of each video")

    plot_curves(run.log.rows, run.folder / "curves.png")
    judged.plot(run.folder / judged.picture)
    shown = _wrong_first(judged.right)
    videos = _videos(data.val_source, shown)
    titles = [judged.title(number) for number in shown]
    right = [judged.right[number] for number in shown]
    plot_clips([videos[number] for number in shown], titles, right, run.folder / "predictions.png")
    followed = shown[:: -(-len(shown) // _WITH_SCORES)]
    scores = [
        score_over_time(model, videos[number], preparation, sampling, moments=_MOMENTS)
        for number in followed
    ]
    titles = [f"is {data.classes[labels[number]]}" for number in followed]
    plot_scores(scores, titles, data.classes, run.folder / "scores.png")
    rate = run.settings.get("frame_rate")
    samples = _write_samples(run.folder / "samples", data, sampling, rate)

    return export_and_report(
        run, model, recipe=recipe, data=data, preparation=preparation, sampling=sampling,
        metrics=metrics, by_class=judged.by_class, headline="accuracy", keep=keep,
        pictures=("curves.png", judged.picture, "predictions.png", "scores.png"),
        samples=samples,
    )  # fmt: skip


def score_over_time(model, video, preparation, sampling, *, moments):
    """What a model would say of a video at points of time, having seen no more than until then.

    Args:
        model: `keras.Model` from clips (B, T, h, w, c) to (B, K) logits.
        video: uint8 (N, H, W, 3).
        preparation: `kerakit.data.Preparation` of the frames.
        sampling: `kerakit.data.FrameSampling`. "dense": the last window, at the beginning with the
            first frame again and again; "uniform": all that has been.
        moments: Points of time, spread evenly, at most.

    Returns:
        int (M,) numbers of the last frame seen, and float32 (M, K) probabilities.
    """
    ends = np.unique(np.linspace(0, len(video) - 1, moments).round().astype(int))
    if sampling.mode == "uniform":
        seen = np.stack([sampling.even(end + 1).numpy()[0] for end in ends])
    else:
        back = np.arange(sampling.frames)[::-1] * sampling.stride
        seen = np.maximum(ends[:, None] - back, 0)
    frames = preparation.resize(video).numpy()
    logits = model.predict(frames[seen], batch_size=8, verbose=0)
    return ends, np.asarray(keras.ops.softmax(logits))


def _answers(model, data, preparation, sampling, batch_size, *, clips):
    """(N,) labels and (N, K) probabilities, averaged over the clips of each video."""
    batches = clip_evaluation_batches(
        data.val_source, preparation, sampling, batch_size=max(1, batch_size // clips), clips=clips
    )
    labels, probabilities = [], []
    for videos, some_labels in batches.as_numpy_iterator():
        flat = videos.reshape(-1, *videos.shape[2:])
        logits = model.predict(flat, batch_size=batch_size, verbose=0)
        some = np.asarray(keras.ops.softmax(logits)).reshape(-1, clips, logits.shape[-1])
        probabilities.append(some.mean(axis=1))
        labels.append(some_labels)
    return np.concatenate(labels), np.concatenate(probabilities)


def _wrong_first(right):
    """Numbers of the videos to be shown, from all over: wrong answers first, then right ones."""

    def spread(numbers, most):
        places = np.linspace(0, len(numbers) - 1, min(len(numbers), most)).astype(int)
        return [int(number) for number in numbers[places]]

    wrong = spread(np.flatnonzero(~right), _SHOWN * 2 // 3)
    return wrong + spread(np.flatnonzero(right), _SHOWN - len(wrong))


def _videos(source, numbers):
    """Dict of the videos of these numbers, uint8 (N, H, W, 3) each."""
    wanted, found = set(numbers), {}
    examples = source.encoded_dataset().take(max(numbers) + 1).as_numpy_iterator()
    for number, example in enumerate(examples):
        if number in wanted:  # the others need not be decoded
            found[number] = np.stack([decode(frame).numpy() for frame in example["frames"]])
    return found


def _write_samples(folder, data, sampling, frame_rate):
    """A clip of each of the first classes: films to try the export on, and their frames."""
    folder.mkdir(exist_ok=True)
    samples, seen = [], set()
    for example in data.val_source.encoded_dataset().as_numpy_iterator():
        label, frames = int(example["label"]), example["frames"]
        if label in seen:
            continue
        seen.add(label)
        chosen = frames[sampling.even(len(frames)).numpy()[0]]
        samples.append(list(chosen))
        name = "".join(c if c.isalnum() else "_" for c in f"{label}_{data.classes[label]}")
        pictures = [decode(frame).numpy() for frame in frames]
        write_film(folder / f"{name}.mkv", pictures, frame_rate=frame_rate)
        if len(samples) == min(_SAMPLES, len(data.classes)):
            break
    return samples
