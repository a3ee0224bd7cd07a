"""COCO's mAP of one evaluation, beside pycocotools and faster-coco-eval on the same detections.

    python -m benchmarks.mean_average_precision [--rounds 9] [--json FILE]

kerakit's time is that of the whole metric: a compiled update for each batch of 8 padded images,
as a test step makes it, and the result. The peers get their annotations and results as ready
lists of dictionaries, but masks as the arrays that a model gives; they encode these, build their
index, match and summarise. The figures must be equal, or nothing is reported.
"""

import contextlib
import importlib.util
import io
import os

import numpy as np

from benchmarks.alternate import alternate, command_line, report

BATCH = 8


def detection_set(*, images, num_classes, detections, most, mask_size=None):
    """Padded truth and predictions: half of the detections lie near an object."""
    rng = np.random.default_rng(0)

    def boxes(rows, extent):
        corner = rng.uniform(0, 0.8, (images, rows, 2)) * extent
        side = np.exp(rng.normal(-2.5, 0.9, (images, rows, 2))).clip(0.01, 0.9) * extent
        return np.concatenate([corner, corner + side], axis=-1)

    extent = mask_size[0] if mask_size else 640
    truth = boxes(most, extent)
    labels = rng.integers(0, num_classes, (images, most))
    labels[np.arange(most) >= rng.poisson(7.3, (images, 1))] = -1
    origin = rng.integers(0, 8, (images, most))
    near = rng.random((images, most)) < 0.5
    moved = np.take_along_axis(truth, origin[..., None], axis=1)
    moved = moved + rng.normal(0, 0.05, moved.shape) * np.tile(moved[..., 2:] - moved[..., :2], 2)
    classes = np.where(
        near & (rng.random(near.shape) < 0.8),
        np.maximum(np.take_along_axis(labels, origin, axis=1), 0),
        rng.integers(0, num_classes, near.shape),
    )
    classes[np.arange(most) >= rng.poisson(detections / images, (images, 1))] = -1
    y_true = {
        "boxes": truth.astype("float32"),
        "labels": labels.astype("int32"),
        "crowd": rng.random(labels.shape) < 0.01,
        "example_id": np.arange(images, dtype="int32"),
    }
    y_pred = {
        "boxes": np.where(near[..., None], moved, boxes(most, extent)).astype("float32"),
        "scores": rng.random(classes.shape, "float32"),
        "classes": classes.astype("int32"),
    }
    if mask_size:
        y_true["masks"], y_pred["masks"] = (
            _ellipses(side["boxes"], mask_size) for side in (y_true, y_pred)
        )
    return y_true, y_pred


def _ellipses(boxes, size):
    y, x = (np.arange(extent, dtype="float32") + 0.5 for extent in size)
    centre, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    across = ((x - centre[..., :1]) / half[..., :1]) ** 2
    down = ((y - centre[..., 1:]) / half[..., 1:]) ** 2
    return (across[..., None, :] + down[..., :, None] <= 1).astype("uint8")


def by_kerakit(y_true, y_pred, num_classes, mask_size):
    """A callable that updates and reads the metric."""
    import tensorflow as tf

    from kerakit.metrics import MeanAveragePrecision

    metric = MeanAveragePrecision(
        num_classes,
        len(y_true["labels"]),
        max_boxes=y_true["labels"].shape[1],
        max_detections=y_pred["classes"].shape[1],
        **({"iou_type": "segm", "mask_size": mask_size} if mask_size else {}),
    )
    batches = [
        tuple(
            {name: tf.constant(value[start : start + BATCH]) for name, value in side.items()}
            for side in (y_true, y_pred)
        )
        for start in range(0, len(y_true["labels"]), BATCH)
    ]
    update = tf.function(metric.update_state)

    def run():
        metric.reset_state()
        for batch in batches:
            update(*batch)
        return list(metric.result().values())

    return run


def dictionaries(y_true, y_pred, mask_size):
    """Annotations and results as the peers take them."""
    sides = []
    for side, classes in ((y_true, y_true["labels"]), (y_pred, y_pred["classes"])):
        rows = []
        for image, place in zip(*np.nonzero(classes >= 0), strict=True):
            box = side["boxes"][image, place].astype("float64")
            row = {"image_id": int(image), "category_id": int(classes[image, place])}
            if mask_size:
                row["segmentation"] = side["masks"][image, place]
            if side is y_true or not mask_size:
                row["bbox"] = [float(value) for value in (*box[:2], *(box[2:] - box[:2]))]
            if side is y_true:
                row["id"] = len(rows) + 1
                row["iscrowd"] = int(side["crowd"][image, place])
                width, height = row["bbox"][2:]
                area = row["segmentation"].sum() if mask_size else width * height
                row["area"] = float(area)
            else:
                row["score"] = float(side["scores"][image, place])
            rows.append(row)
        sides.append(rows)
    return sides


def by_peer(package, truth, found, *, images, num_classes, mask_size):
    """A callable that evaluates with pycocotools, or with another of its interface."""
    if package == "pycocotools":
        from pycocotools import mask
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        from faster_coco_eval import COCO, mask
        from faster_coco_eval import COCOeval_faster as COCOeval
    height, width = mask_size or (1, 1)

    def copied(row):
        """What they may write into, with the mask encoded."""
        if mask_size:
            return {**row, "segmentation": mask.encode(np.asfortranarray(row["segmentation"]))}
        return dict(row)

    def run():
        with contextlib.redirect_stdout(io.StringIO()):
            known = COCO()
            known.dataset = {
                "info": {},
                "images": [{"id": i, "height": height, "width": width} for i in range(images)],
                "categories": [{"id": k, "name": str(k)} for k in range(num_classes)],
                "annotations": [copied(row) for row in truth],
            }
            known.createIndex()
            results = known.loadRes([copied(row) for row in found])
            evaluation = COCOeval(known, results, "segm" if mask_size else "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return list(evaluation.stats[:12])

    return run


WORKS = {
    "boxes: 1,000 images, 80 classes, 35,000 detections": {
        "images": 1000,
        "num_classes": 80,
        "detections": 35_000,
        "most": 60,
    },
    "masks of 320 x 320: 100 images, 10 classes, 3,500 detections": {
        "images": 100,
        "num_classes": 10,
        "detections": 3_500,
        "most": 60,
        "mask_size": (320, 320),
    },
}


def main():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options = command_line(__doc__.partition("\n")[0]).parse_args()
    comparisons = []
    for work, sizes in WORKS.items():
        y_true, y_pred = detection_set(**sizes)
        truth, found = dictionaries(y_true, y_pred, sizes.get("mask_size"))
        rest = {name: sizes.get(name) for name in ("images", "num_classes", "mask_size")}
        ours = by_kerakit(y_true, y_pred, rest["num_classes"], rest["mask_size"])
        contestants = {"kerakit": ours}
        for package, module in (
            ("pycocotools", "pycocotools"),
            ("faster-coco-eval", "faster_coco_eval"),
        ):
            if importlib.util.find_spec(module) is None:
                print(f"{package} is not installed: left out")
                continue
            contestants[package] = by_peer(package, truth, found, **rest)
            np.testing.assert_allclose(ours(), contestants[package](), rtol=0, atol=1e-9)
        print(f"{work}: {len(truth)} objects, {len(found)} detections, mAP {ours()[0]:.4f}")
        comparisons.append(alternate(work, contestants, rounds=options.rounds, warmup=0))
    report(comparisons, json_file=options.json, batch=BATCH)


if __name__ == "__main__":
    main()
