"""The end of a detector's run: its figures, pictures, samples, export and report."""

import time
from typing import NamedTuple

import keras
import numpy as np

from kerakit.data import detection_evaluation_batches
from kerakit.metrics.detection_metrics import detection_metrics
from kerakit.runs.detection_pictures import plot_found, plot_precision_recall
from kerakit.runs.exporting import export_and_report, write_samples
from kerakit.runs.pictures import plot_curves

SHOWN, TIMED = 8, 15


def validation_of(data, preparation, *, batch_size, max_detections):
    """Batches of the images held out, and the metrics for them.

    Args:
        data: `kerakit.data.Data` of objects.
        preparation: `kerakit.data.Preparation` of its images.
        batch_size: Images a batch.
        max_detections: Rows of the model's detections.

    Returns:
        Dataset for `fit`'s `validation_data`, and a function of `per_class` that makes a list of
        `MeanAveragePrecision`, of boxes and, where the set has them, of masks.
    """
    masks = data.task == "instance_segmentation"
    batches = detection_evaluation_batches(
        data.val_source, preparation, batch_size=batch_size, full_masks=masks
    )
    rows = batches.element_spec[1]["boxes"].shape[1]

    def metrics(per_class=False):
        return detection_metrics(
            data.val_source.objects,
            data.classes,
            max_boxes=rows,
            max_detections=max_detections,
            masks=masks,
            per_class=per_class,
        )

    return batches, metrics


def finish_detector(run, model, *, recipe, data, preparation, batch_size, keep="best"):
    """Evaluates, draws, exports, verifies, reports and says so; the run is then complete.

    Args:
        run: The `Run`.
        model: The trained `kerakit.models.detection.Detector`.
        recipe: Name of the recipe, for the card.
        data: `kerakit.data.Data` that it was trained on.
        preparation: `kerakit.data.Preparation` of its images.
        batch_size: Images that are computed at once.
        keep: Which weights: `"best"`, those of the best epoch on the validation images,
            or `"last"`, chosen without looking at them.

    Returns:
        Dict of the figures, the export's folder as `savedmodel`.

    Raises:
        kerakit.export.VerificationError: If the export does not answer as the model.
    """
    if not run.is_chiefs:
        return {}
    if keep == "best":
        model.load_weights(run.best.path)
    batches, make_metrics = validation_of(
        data, preparation, batch_size=batch_size, max_detections=model.max_detections
    )
    judged = judge_detector(run, model, batches, make_metrics(per_class=True), data=data)
    samples = write_samples(run.folder / "samples", data.val_source)
    return export_and_report(
        run, model, recipe=recipe, data=data, preparation=preparation, metrics=judged.figures,
        by_class=judged.by_class, headline=judged.headline, keep=keep, notes=judged.notes,
        pictures=judged.pictures, samples=samples,
    )  # fmt: skip


class Judged(NamedTuple):
    """What a detector does on the images held out, for a report."""

    figures: dict
    by_class: list
    headline: str
    pictures: list
    notes: dict


def judge_detector(run, model, batches, metrics, *, data):
    """Scores a detector on the images held out, and draws what it finds.

    Args:
        run: The `Run`, into whose folder the pictures come.
        model: The trained `kerakit.models.detection.Detector`.
        batches: Dataset of (inputs, targets), all images held out once, in order.
        metrics: List of `MeanAveragePrecision` with figures of each class.
        data: `kerakit.data.Data`.

    Returns:
        `Judged`.
    """
    shown = []
    for x, y in batches:
        scored = model.scored(x, y, model.predict_on_batch(x))
        for metric in metrics:
            metric.update_state(*scored)
        if len(shown) < SHOWN:
            pairs = zip(*(_rows(side) for side in scored), strict=True)
            shown += [(int(truth["example_id"]), truth, found) for truth, found in pairs]
    figures, by_class = _figures(metrics, data)
    shown_of = [f"{metric.prefix}{name}" for metric in metrics for name in ("mAP", "mAP@50")]
    plot_curves(run.log.rows, run.folder / "curves.png", validation_only=shown_of)
    pictures = ["curves.png"]
    for metric in metrics:
        pictures.append(f"{metric.prefix}precision_recall.png")
        plot_precision_recall(metric, run.folder / pictures[-1])
    plot_found(shown[:SHOWN], data.val_source, data.classes, run.folder / "predictions.png")
    pictures.append("predictions.png")
    milliseconds = 1000 * _seconds_an_image(model, batches)
    notes = {"answers": f"{milliseconds:.1f} ms an image, one at a time, prepared before"}
    return Judged(figures, by_class, f"{metrics[-1].prefix}mAP@50", pictures, notes)


def _seconds_an_image(model, batches):
    """Median time of one image through the network and all that follows."""
    inputs = next(iter(batches))[0]
    one = keras.tree.map_structure(lambda part: part[:1], inputs)
    seconds = []
    for number in range(TIMED + 2):  # the first two trace and warm up
        start = time.perf_counter()
        model.predict_on_batch(one)
        if number >= 2:
            seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def _rows(side):
    """Dict of arrays a row of a batch."""
    side = {name: np.asarray(value) for name, value in side.items() if value is not None}
    return [{name: value[row] for name, value in side.items()} for row in range(len(side["boxes"]))]


def _figures(metrics, data):
    """Dict of all figures but those of the classes, and a list of a dict a class."""
    objects = data.val_source.objects
    figures = {"images": len(objects.sizes)}
    counted = np.bincount(objects.labels, minlength=len(data.classes)).tolist()
    by_class = [
        {"class": name, "objects": n} for name, n in zip(data.classes, counted, strict=True)
    ]
    for metric in metrics:
        found, curves = metric.result(), metric.curves()
        key = f"{metric.prefix}AP/"
        figures |= {name: float(value) for name, value in found.items() if not name.startswith(key)}
        for row in by_class:
            curve = curves.get(row["class"])  # None where there is nothing to find
            row[f"{metric.prefix}AP"] = None if curve is None else float(found[key + row["class"]])
            row[f"{metric.prefix}AP@50"] = None if curve is None else float(np.mean(curve[1]))
    return figures, by_class
