import json
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def run(request, monkeypatch, capsys):
    """Runs the command line of the module's RECIPE in this process: (exit code, output, error)."""
    recipe = request.module.RECIPE

    def run(*arguments):
        path = ROOT / f"{recipe.__name__.replace('.', '/')}.py"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        code = 0
        try:
            recipe.main()
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def write_rectangles(folder):
    """A COCO folder: rectangles of two colours on images of odd sizes, one image without any."""
    draw, classes = np.random.default_rng(0), ("red", "blue")
    for part, count in (("train", 8), ("val", 5)):
        (folder / "images" / part).mkdir(parents=True)
        images, annotations = [], []
        for number in range(count):
            height, width = (int(side) for side in draw.integers(40, 120, 2))
            pixels = np.full((height, width, 3), 90, np.uint8)
            for _ in range(number % 4):
                x, y = int(draw.integers(0, width - 20)), int(draw.integers(0, height - 20))
                w, h = (int(side) for side in draw.integers(8, 20, 2))
                label = int(draw.integers(0, 2))
                pixels[y : y + h, x : x + w] = ((200, 30, 30), (30, 30, 200))[label]
                annotations.append({
                    "id": len(annotations) + 1, "image_id": number, "category_id": (3, 7)[label],
                    "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0,
                    "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                })  # fmt: skip
            name = f"{number}.png"
            Image.fromarray(pixels).save(folder / "images" / part / name)
            images.append({"id": number, "file_name": name, "width": width, "height": height})
        categories = [{"id": i, "name": n} for i, n in zip((3, 7), classes, strict=True)]
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / f"annotations/instances_{part}.json").write_text(
            json.dumps({"images": images, "annotations": annotations, "categories": categories})
        )


@pytest.fixture(scope="module")
def rectangles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rectangles")
    write_rectangles(folder)
    return folder
