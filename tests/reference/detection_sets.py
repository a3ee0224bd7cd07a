"""Random detection sets, and what pycocotools says about them."""

import contextlib
import io

import numpy as np


def random_set(rng, *, size=(190, 210), most=7, masks=False):
    """Padded truth and detections of a few images, full of cases that are easy to get wrong.

    Empty images, images with objects and no detections and the other way round, crowds, equal
    scores, boxes on a coarse grid (so that overlaps lie exactly on a threshold), doubled boxes,
    areas on the border of two sizes, objects of all sizes.

    Returns:
        Two dictionaries as `MeanAveragePrecision.update_state` takes them, and K.
    """
    num_images, num_classes = rng.integers(1, 9), rng.integers(1, 5)
    height, width = size
    grid = rng.choice([1, 8, 16])
    truth = _boxes(rng, num_images, most, size, grid)
    labels = rng.integers(0, num_classes, (num_images, most))
    labels[np.arange(most) >= rng.integers(0, most + 1, num_images)[:, None]] = -1
    labels[rng.random(num_images) < 0.15] = -1
    found = _boxes(rng, num_images, 2 * most, size, grid)
    classes = rng.integers(0, num_classes, (num_images, 2 * most))
    origin = rng.integers(0, most, (num_images, 2 * most))
    near = rng.random((num_images, 2 * most)) < 0.7
    moved = np.take_along_axis(truth, origin[..., None], axis=1)
    moved = moved + grid * rng.integers(-1, 2, moved.shape) * (rng.random(moved.shape) < 0.4)
    proper = np.all(moved[..., 2:] > moved[..., :2], axis=-1)
    found = np.where((near & proper)[..., None], moved, found).astype("float32")
    close = np.maximum(np.take_along_axis(labels, origin, axis=1), 0)
    classes = np.where(near & (rng.random(classes.shape) < 0.9), close, classes)
    classes[np.arange(2 * most) >= rng.integers(0, 2 * most + 1, num_images)[:, None]] = -1
    area = np.prod(truth[..., 2:] - truth[..., :2], axis=-1) * rng.uniform(0.6, 1, labels.shape)
    border = rng.random(labels.shape) < 0.2
    area = np.where(border, rng.choice([1024, 9216], labels.shape), area)
    y_true = {
        "boxes": truth.astype("float32"),
        "labels": labels,
        "crowd": rng.random(labels.shape) < 0.2,
        "area": area.astype("float32"),
        "example_id": np.arange(num_images),
    }
    y_pred = {
        "boxes": found,
        "scores": rng.random(classes.shape).round(rng.choice([1, 6])).astype("float32"),
        "classes": classes,
    }
    if masks:
        noise = rng.random((height, width)) < 0.9
        y_true["masks"] = _filled(y_true["boxes"], size) & noise
        y_pred["masks"] = _filled(found, size) & (rng.random((height, width)) < 0.95)
    return y_true, y_pred, int(num_classes)


def _boxes(rng, images, boxes, size, grid):
    height, width = size
    extent = np.array([width, height])
    side = np.minimum(np.exp(rng.uniform(1.5, 5.8, (images, boxes, 2))), extent - grid)
    corner = rng.uniform(0, 1, side.shape) * (extent - side)
    corner, side = corner // grid * grid, np.maximum(side // grid, 1) * grid
    if grid == 1 and rng.random() < 0.7:
        corner, side = corner + rng.random(side.shape), side + rng.random(side.shape)
    return np.concatenate([corner, corner + side], axis=-1).astype("float32")


def _filled(boxes, size):
    """Masks (B, N, h, w) of the ellipses in boxes."""
    y, x = (np.arange(extent) + 0.5 for extent in size)
    centre, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    across = ((x - centre[..., :1]) / half[..., :1]) ** 2
    down = ((y - centre[..., 1:]) / half[..., 1:]) ** 2
    return across[..., None, :] + down[..., :, None] <= 1.3


def annotations(y_true, y_pred, *, masks=False):
    """The dictionaries that pycocotools takes: annotations and results."""
    from pycocotools import mask

    def run(one):
        return mask.encode(np.asfortranarray(one.astype("uint8")))

    known, found = [], []
    for row in np.argsort(y_true["example_id"]):
        image = int(y_true["example_id"][row])
        for place in np.flatnonzero(y_true["labels"][row] >= 0):
            box = y_true["boxes"][row, place].astype("float64")
            known.append(
                {
                    "id": len(known) + 1,
                    "image_id": image,
                    "category_id": int(y_true["labels"][row, place]),
                    "bbox": [*box[:2], *(box[2:] - box[:2])],
                    "iscrowd": int(y_true["crowd"][row, place]),
                    "area": float(y_true["area"][row, place]),
                    **({"segmentation": run(y_true["masks"][row, place])} if masks else {}),
                }
            )
        for place in np.flatnonzero(y_pred["classes"][row] >= 0):
            box = y_pred["boxes"][row, place].astype("float64")
            shape = {"bbox": [*box[:2], *(box[2:] - box[:2])]}
            found.append(
                {
                    "image_id": image,
                    "category_id": int(y_pred["classes"][row, place]),
                    "score": float(y_pred["scores"][row, place]),
                    **({"segmentation": run(y_pred["masks"][row, place])} if masks else shape),
                }
            )
    return known, found


def evaluated_by_pycocotools(known, found, *, images, num_classes, size=None, masks=False):
    """The finished `pycocotools.cocoeval.COCOeval`; its `stats` are the 12 figures."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    height, width = size or (1, 1)
    truth = COCO()
    truth.dataset = {
        "images": [{"id": int(i), "height": height, "width": width} for i in images],
        "categories": [{"id": label, "name": str(label)} for label in range(num_classes)],
        "annotations": known,
        "info": {},
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        results = truth.loadRes(found) if found else COCO()
        if not found:
            results.dataset = {**truth.dataset, "annotations": []}
            results.createIndex()
        evaluation = COCOeval(truth, results, "segm" if masks else "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation
