"""Mean average precision of an export's answers."""

import itertools

import numpy as np

from kerakit.metrics.detection_metrics import detection_metrics
from kerakit.ops.mask_pasting import paste_masks

_AT_ONCE = 16  # images whose masks are drawn at their full size at once


def detection_figures(answers, source, classes, *, masks):
    """COCO's figures of boxes, and of masks, in the pixels of the original images.

    Args:
        answers: Iterable of dicts as `Served.answer` gives them, one an image, in order.
        source: Source of the images, with `objects`.
        classes: K names.
        masks: Whether the answers have masks.

    Returns:
        Dict of floats by name: `images`, `mAP`, `mAP@50` and so on, of masks `mask_mAP` ...
    """
    objects = source.objects
    max_boxes = max(1, objects.largest_count)
    metrics, count, answers = None, 0, iter(answers)
    while some := list(itertools.islice(answers, _AT_ONCE)):
        found = {name: np.stack([answer[name] for answer in some]) for name in some[0]}
        found["classes"] = found.pop("class_ids")
        if metrics is None:
            rows = found["scores"].shape[1]
            metrics = detection_metrics(
                objects, classes, max_boxes=max_boxes, max_detections=rows, masks=masks
            )
        ids = np.arange(count, count + len(some))
        truth = {**objects.padded(ids, max_boxes), "example_id": ids}
        metrics[0].update_state(truth, found)
        if masks:
            size = objects.largest_size
            pasted = paste_masks(found["masks"], found["boxes"], image_size=size)
            drawn = objects.full_masks(ids, max_boxes=max_boxes, size=size)
            metrics[1].update_state({**truth, "masks": drawn}, {**found, "masks": pasted >= 0.5})
        count += len(some)
    figures = {"images": count}
    for metric in metrics or ():
        figures |= {name: float(value) for name, value in metric.result().items()}
    return figures
