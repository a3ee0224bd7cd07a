"""The pointing game: does a heat map have its maximum on the digit whose detection it explains?

For the detections of highest score in the images of digit-scenes that were held out, each matched
with a digit by an IoU above 0.5, the share of heat maps whose maximum lies within the digit's box
and within its mask. "by area" is what a point thrown into the image at random would reach.

    python -m recipes.detect scenes --name scenes
    python -m benchmarks.pointing_game runs/scenes [--images 300] [--top 1] [--json FILE]
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import functools
import json
from pathlib import Path

import keras
import numpy as np

import kerakit
from kerakit import explain
from kerakit.ops import pairwise_iou, paste_masks

METHODS = {
    "grad_cam": explain.grad_cam,
    "grad_cam_plus_plus": explain.grad_cam_plus_plus,
    "hires_cam": explain.hires_cam,
    "hires_cam, smoothed": functools.partial(explain.hires_cam, smoothing=0.6),
    "saliency": explain.saliency,
}
LEAST_IOU = 0.5
BAR = 0.9  # share within the box that is asked for
BATCH = 25


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="folder of a run, or a .keras file")
    parser.add_argument("--images", type=int, default=300, help="images (default: 300)")
    parser.add_argument("--top", type=int, default=1, help="detections an image (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the shares there too")
    options = parser.parse_args()
    path = options.model / "best.keras" if options.model.is_dir() else options.model
    model = keras.saving.load_model(path, compile=False)
    shares = pointing_game(model, held_out(options.images), top=options.top)
    print(table(shares))
    if options.json:
        options.json.write_text(json.dumps(shares, indent=1) + "\n")


def held_out(count):
    """List of dicts of arrays: `image` (H, W, 3), `boxes` (N, 4) and `masks` (N, H, W)."""
    source = kerakit.data.load("digit-scenes", task="instance_segmentation").val
    examples = []
    for example in source.take(count):
        image, boxes = (np.asarray(example[name]) for name in ("image", "boxes"))
        # They come cropped to their boxes.
        masks = paste_masks(example["masks"][None], boxes[None], image_size=image.shape[:2])[0]
        examples.append({"image": image, "boxes": boxes, "masks": np.asarray(masks) > 0.5})
    return examples


def pointing_game(model, examples, *, top=1, methods=METHODS):
    """How often each method points at the digit.

    Args:
        model: Detector of kerakit's.
        examples: List of dicts of `image` (H, W, C), `boxes` (N, 4) and `masks` (N, H, W).
        top: Detections of highest score that are explained, of each image.
        methods: Dict from names to functions of `kerakit.explain`.

    Returns:
        Dict from each method, and "by area", to `box` and `mask`, the shares, and `of`, the number
        of detections that match a digit.
    """
    points = {name: [] for name in methods}
    areas, matched = [], 0
    for start in range(0, len(examples), BATCH):
        some = examples[start : start + BATCH]
        images = np.stack([example["image"] for example in some]).astype("float32")
        for rank in range(top):
            target = explain.Detection(rank)
            heats = {name: method(model, images, target=target) for name, method in methods.items()}
            heat = next(iter(heats.values()))
            for number, example in enumerate(some):
                digit = matching(heat.boxes[number], example["boxes"])
                if digit is None:
                    continue
                matched += 1
                box, mask = example["boxes"][digit], example["masks"][digit]
                areas.append((within_box(box, mask.shape).mean(), mask.mean()))
                for name, one in heats.items():
                    row, column = np.unravel_index(one.values[number].argmax(), mask.shape)
                    inside = within_box(box, mask.shape)[row, column]
                    points[name].append((inside, mask[row, column]))
    points["by area"] = areas
    return {
        name: {
            "box": float(np.mean([pair[0] for pair in pairs])),
            "mask": float(np.mean([pair[1] for pair in pairs])),
            "of": matched,
        }
        for name, pairs in points.items()
    }


def matching(box, boxes):
    """Index of the box that overlaps most, or None where none does by more than `LEAST_IOU`."""
    if not len(boxes):
        return None
    overlap = np.asarray(pairwise_iou(box[None], boxes))[0]
    return int(overlap.argmax()) if overlap.max() > LEAST_IOU else None


def within_box(box, size):
    """(H, W) bool: pixels whose centre lies in a box xyxy."""
    rows, columns = (np.arange(n) + 0.5 for n in size)
    high = (rows >= box[1]) & (rows <= box[3])
    wide = (columns >= box[0]) & (columns <= box[2])
    return high[:, None] & wide[None, :]


def table(shares):
    """Text with a line a method."""
    lines = [f"{'method':20s} {'in box':>7s} {'in mask':>8s}  of {shares['by area']['of']}"]
    for name, share in shares.items():
        passes = "" if name == "by area" else ("  ok" if share["box"] >= BAR else "  below 0.9")
        lines.append(f"{name:20s} {share['box']:7.3f} {share['mask']:8.3f}{passes}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
