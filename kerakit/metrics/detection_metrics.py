"""The metrics of a detector on a set of images."""

from kerakit.metrics.mean_average_precision import MeanAveragePrecision


def detection_metrics(objects, classes, *, max_boxes, max_detections, masks=False, per_class=False):
    """COCO's figures of boxes and, if asked for, of masks (with the prefix `mask_`).

    Args:
        objects: Table of the images' objects, such as `source.objects` of a set that
            `kerakit.data.load` opened for detection: it has `sizes` and `largest_size`.
        classes: Names of the classes.
        max_boxes: Rows of objects an image.
        max_detections: Rows of detections an image.
        masks: Whether masks are scored too, in the pixels of the original images.
        per_class: Whether each class has its figure.

    Returns:
        List of `MeanAveragePrecision`.
    """
    options = {
        "max_boxes": max_boxes,
        "max_detections": max_detections,
        "classes": classes,
        "per_class": per_class,
    }
    metrics = [MeanAveragePrecision(len(classes), len(objects.sizes), **options)]
    if masks:
        metrics.append(
            MeanAveragePrecision(
                len(classes), len(objects.sizes), iou_type="segm", mask_size=objects.largest_size,
                prefix="mask_", name="mask_mean_average_precision", **options,
            )
        )  # fmt: skip
    return metrics
