"""The end of a classifier's run: its figures, pictures, samples, export and report."""

import numpy as np

from kerakit.data import evaluation_batches
from kerakit.export.answers import TASKS
from kerakit.runs.explanation import draw_explanation
from kerakit.runs.exporting import export_and_report, write_sample
from kerakit.runs.judgement import OneLabel, SeveralLabels
from kerakit.runs.pictures import plot_answers, plot_curves

SHOWN = 24


def finish_classifier(
    run, model, *, recipe, data, preparation, batch_size, keep="best", explain=None
):
    """Evaluates, draws, exports, verifies, reports and says so; the run is then complete.

    Args:
        run: The `Run`.
        model: The trained `keras.Model`, from pixels to (B, K) logits.
        recipe: Name of the recipe, for the card.
        data: `kerakit.data.Data` that it was trained on.
        preparation: `kerakit.data.Preparation` of its images.
        batch_size: Images that are computed at once.
        keep: Which weights: `"best"`, those of the best epoch on the validation images,
            or `"last"`, chosen without looking at them.
        explain: A function of `kerakit.explain`, see `explanation_of`, by which to draw the samples
            and by which the export explains itself; or None.

    Returns:
        Dict of the figures, the export's folder as `savedmodel`.

    Raises:
        kerakit.export.VerificationError: If the export does not answer as the model.
    """
    if not run.is_chiefs:
        return {}
    if keep == "best":
        model.load_weights(run.best.path)
    batches = evaluation_batches(data.val_source, preparation, batch_size=batch_size)
    logits = model.predict(batches.map(lambda images, _: images), verbose=0)
    labels = np.concatenate([batch_labels for _, batch_labels in batches.as_numpy_iterator()])
    if data.task == "multi_label":
        threshold = TASKS[data.task].threshold
        judged = SeveralLabels(labels, logits, data.classes, threshold=threshold)
    else:
        judged = OneLabel(labels, logits, data.classes)
    metrics = {"images": len(labels), **judged.metrics}

    plot_curves(run.log.rows, run.folder / "curves.png")
    judged.plot(run.folder / judged.picture)
    _draw_predictions(run.folder / "predictions.png", batches, judged)
    samples = _write_samples(run.folder / "samples", data)
    pictures = ["curves.png", judged.picture, "predictions.png"]
    if explain:
        pictures.append("heat_maps.png")
        draw_explanation(
            explain, model, np.stack([preparation(sample) for sample in samples]),
            classes=data.classes, path=run.folder / "heat_maps.png",
        )  # fmt: skip

    return export_and_report(
        run, model, recipe=recipe, data=data, preparation=preparation, metrics=metrics,
        by_class=judged.by_class, headline=judged.headline, keep=keep,
        pictures=pictures, samples=samples, explain=explain,
    )  # fmt: skip


def _draw_predictions(path, batches, judged):
    """A grid of images with their answers: wrong ones first, then right ones from all over."""
    wrong, right = (np.flatnonzero(judged.right == is_right) for is_right in (False, True))
    wrong = wrong[:SHOWN]
    spread = np.linspace(0, len(right) - 1, min(len(right), SHOWN - len(wrong))).astype(int)
    chosen = {int(position): None for position in (*wrong, *right[spread])}
    position = 0
    for images, _ in batches.as_numpy_iterator():
        for image in images:
            if position in chosen:
                chosen[position] = image
            position += 1
    titles = [judged.title(number) for number in chosen]
    plot_answers(list(chosen.values()), titles, [judged.right[number] for number in chosen], path)


def _write_samples(folder, data):
    """One validation image of each of the first ten classes, as files to try the export on."""
    folder.mkdir(exist_ok=True)
    samples = {}
    for example in data.val_source.encoded_dataset().as_numpy_iterator():
        given = example["label"]
        labels = np.flatnonzero(given) if data.task == "multi_label" else [int(given)]
        label = next((label for label in labels if label < 10 and label not in samples), None)
        if label is not None:
            samples[label] = example["encoded"]
            # Numbered: names may become alike.
            write_sample(folder, f"{label}_{data.classes[label]}", example["encoded"])
        if len(samples) == min(10, len(data.classes)):
            break
    return list(samples.values())
