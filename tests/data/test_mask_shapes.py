"""Masks of annotations against pycocotools'."""

import re

import numpy as np
import pytest
from pycocotools import mask as coco_masks

from kerakit.data.mask_shapes import (
    counted,
    cropped,
    run_length_mask,
    run_lengths,
    segmentation_fault,
    segmentation_mask,
)

# pycocotools' decode, under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SIZE = (37, 53)


def theirs(polygons):
    return coco_masks.decode(coco_masks.merge(coco_masks.frPyObjects(polygons, *SIZE))).astype(bool)


@pytest.mark.parametrize("kind", ["stars", "whole numbers", "halves", "outside", "degenerate"])
def test_polygons_have_pycocotools_pixels(kind):
    rng = np.random.default_rng(5)
    filled = 0
    for _ in range(150):
        polygons = []
        for _ in range(rng.integers(1, 4)):
            points = rng.uniform(0, SIZE[::-1], (rng.integers(3, 12), 2))
            if kind == "whole numbers":
                points = np.round(points)
            if kind == "halves":
                points = np.floor(points) + 0.5
            if kind == "outside":
                points = points * 1.6 - 10
            if kind == "degenerate":
                points[1:] = points[rng.integers(0, 2, len(points) - 1)]
            polygons.append(points.ravel().tolist())
        mask = segmentation_mask(polygons, SIZE)
        filled += mask.sum()
        np.testing.assert_array_equal(mask, theirs(polygons))
    assert filled > 0 or kind == "degenerate"


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_run_lengths_both_compressed_and_not(share):
    rng = np.random.default_rng(6)
    for _ in range(20):
        mask = rng.random(SIZE) < share
        code = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        np.testing.assert_array_equal(segmentation_mask(code, SIZE), mask)
        text = {"size": list(SIZE), "counts": code["counts"].decode()}
        np.testing.assert_array_equal(segmentation_mask(text, SIZE), mask)
        plain = {"size": list(SIZE), "counts": counted(mask).tolist()}
        np.testing.assert_array_equal(segmentation_mask(plain, SIZE), mask)
        np.testing.assert_array_equal(run_lengths(code["counts"]), counted(mask))


def test_long_runs_take_several_characters():
    mask = np.zeros((1000, 900), bool)
    mask[3:990, 5:870] = True
    code = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    np.testing.assert_array_equal(segmentation_mask(code, mask.shape), mask)


def test_a_crop_has_the_mask_at_the_middle_of_each_cell():
    rng = np.random.default_rng(7)
    mask = rng.random(SIZE) < 0.5
    box = (3.0, 5.0, 3.0 + 28, 5.0 + 14)  # 4 cells to a pixel across, 8 down
    want = np.repeat(np.repeat(mask[5:19, 3:31], 8, axis=0), 4, axis=1)
    np.testing.assert_array_equal(cropped(mask, box, 112), want)


@pytest.mark.parametrize(
    ("segmentation", "fault"),
    [
        ([], "it has no mask"),
        (None, "it has no mask"),
        ([[0, 0, 4, 4]], "it has a polygon of 2 points, and three or more are needed"),
        ([[0, 0, 4, 4, 1]], "its polygons are no lists of x, y, x, y, ..."),
        ([[0, 0, 4, 4, 1, "x"]], "its polygons are no lists of numbers"),
        ({"counts": [3, 4], "size": list(SIZE)}, "its run lengths sum to 7, not to the 1961"),
        ({"counts": [1961], "size": [53, 37]}, r"its mask has size \[53, 37\], the image \[37"),
        ({"counts": "5p", "size": list(SIZE)}, "its run length code is cut short or has a"),
        ({"size": list(SIZE)}, "its mask has no run lengths"),
        ([[0, 0, 4, 0, 4, 4]], None),
    ],
)
def test_faults_are_told(segmentation, fault):
    found = segmentation_fault(segmentation, SIZE)
    if fault is None:
        assert found is None
    else:
        assert re.match(fault, found)


def test_run_lengths_of_another_size_are_refused():
    with pytest.raises(ValueError, match="a mask 2 high and 3 wide"):
        run_length_mask([1, 2], (2, 3))
