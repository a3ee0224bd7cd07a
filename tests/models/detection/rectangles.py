"""Images of coloured rectangles, proposals around them, and how well they were found."""

import numpy as np

HEIGHT, WIDTH = 48, 64


def drawn(rng, count, *, rows=3):
    """Images of one or two rectangles, red of class 0 or blue of class 1, and their targets."""
    images = rng.uniform(90, 110, (count, HEIGHT, WIDTH, 3))
    boxes, labels = np.zeros((count, rows, 4)), np.full((count, rows), -1)
    for n in range(count):
        for m in range(rng.integers(1, 3)):
            left = m * WIDTH // 2  # each in its half
            x1, y1 = left + rng.integers(0, 10), rng.integers(0, 20)
            x2, y2 = x1 + rng.integers(12, 22), y1 + rng.integers(12, 28)
            boxes[n, m], labels[n, m] = (x1, y1, x2, y2), rng.integers(0, 2)
            images[n, y1:y2, x1:x2] = ((220, 30, 30), (30, 30, 220))[labels[n, m]]
    targets = {
        "boxes": boxes.astype("float32"),
        "labels": labels.astype("int32"),
        "example_id": np.arange(count).astype("int32"),
    }
    return images.astype("float32"), targets


def proposals_around(rng, targets, number):
    """Half of them shifted objects, the others anywhere."""
    boxes, labels = targets["boxes"], targets["labels"]
    found = np.zeros((len(boxes), number, 4))
    for n, own in enumerate(boxes):
        objects = own[labels[n] >= 0]
        for m in range(number):
            if m % 2:
                box = objects[m % len(objects)]
                found[n, m] = box + rng.normal(0, 0.12, 4) * np.tile(box[2:] - box[:2], 2)
            else:
                corner = rng.uniform(0, (WIDTH - 16, HEIGHT - 16))
                found[n, m] = (*corner, *(corner + rng.uniform(8, 30, 2)))
    return found.clip(0, (WIDTH, HEIGHT) * 2).astype("float32")


def average_overlap(found, targets):
    """Over objects: the IoU of the best-scored detection of the class that touches it."""
    overlaps = []
    for n, (boxes, labels) in enumerate(zip(targets["boxes"], targets["labels"], strict=True)):
        for box, label in zip(boxes[labels >= 0], labels[labels >= 0], strict=True):
            own = found["boxes"][n][found["classes"][n] == label]
            best = 0.0
            for x1, y1, x2, y2 in own:
                width = max(0.0, min(x2, box[2]) - max(x1, box[0]))
                height = max(0.0, min(y2, box[3]) - max(y1, box[1]))
                union = (x2 - x1) * (y2 - y1) + (box[2] - box[0]) * (box[3] - box[1])
                best = width * height / (union - width * height)
                if best > 0:
                    break
            overlaps.append(best)
    return float(np.mean(overlaps))
