import numpy as np
import pytest

from kerakit import ops
from tests.conformance.case import compiled
from tests.golden import detection as cases
from tests.golden.detection import golden
from tests.reference.detection import roi_align_by_loop


@pytest.mark.parametrize("under_xla", [False, True])
def test_targets_are_torchvisions(under_xla):
    masks, boxes = cases.masks("discs", 4), cases.inside(cases.boxes("proposals", 9, batch=1))

    def run(masks, boxes):
        return ops.mask_targets(masks, boxes, matches=np.arange(9)[None] % 4, size=14)

    found = (compiled(run) if under_xla else run)(masks, boxes)
    np.testing.assert_allclose(found[0], golden("targets"), rtol=1e-5, atol=1e-4)


def test_targets_are_the_loops():
    masks = cases.masks("discs", 2)
    boxes = np.array([[[10, 5, 80, 90], [0, 0, 0, 0], [3, 3, 5, 60]]], "float32")
    found = ops.mask_targets(masks, boxes, matches=[[0, 1, 1]], size=6)
    for row, match in enumerate([0, 1, 1]):
        expected = roi_align_by_loop(
            masks[0, match, ..., None].astype("float64"), boxes[0, row], output_size=(6, 6), scale=1
        )
        np.testing.assert_allclose(found[0, row], expected[..., 0], rtol=1e-5, atol=1e-5)


def test_without_a_match_the_target_is_empty():
    masks = np.ones((1, 2, 8, 8))
    found = ops.mask_targets(masks, [[[0.0, 0, 8, 8], [0, 0, 8, 8]]], matches=[[-1, 1]], size=4)
    np.testing.assert_allclose(found, [[np.zeros((4, 4)), np.ones((4, 4))]], rtol=1e-6)


def test_cropped_masks_lie_in_their_boxes():
    """A mask cropped without resizing gives what the whole one does, away from its border."""
    whole = np.zeros((1, 1, 40, 40), "float32")
    whole[0, 0, 10:30, 8:32] = np.random.default_rng(0).integers(0, 2, (20, 24))
    crop = whole[:, :, 10:30, 8:32]
    boxes = [[[10.0, 12.0, 28.0, 26.0]]]
    expected = ops.mask_targets(whole, boxes, matches=[[0]], size=5)
    found = ops.mask_targets(
        crop, boxes, matches=[[0]], size=5, mask_boxes=[[[8.0, 10.0, 32.0, 30.0]]]
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_outside_of_its_box_a_cropped_mask_is_empty():
    found = ops.mask_targets(
        np.ones((1, 1, 28, 28)),
        [[[0.0, 0.0, 56.0, 28.0]]],
        matches=[[0]],
        size=4,
        mask_boxes=[[[0.0, 0.0, 28.0, 28.0]]],
    )
    np.testing.assert_allclose(found[0, 0, 1], [1, 1, 0, 0], atol=0.08)


def test_empty_boxes_and_nonsense_stay_finite():
    boxes = np.array([[[0, 0, 0, 0], [np.nan, 0, 5, 5], [0, 0, np.inf, 5]]], "float32")
    found = ops.mask_targets(np.ones((1, 1, 8, 8)), boxes, matches=[[0, 0, 0]], size=4)
    assert np.isfinite(np.asarray(found)).all()


@pytest.mark.parametrize("under_xla", [False, True])
def test_pasted_as_torchvision_does(under_xla):
    masks = np.abs(cases.drawn("small", (9, 1, 14, 14)))[None, :, 0] % 1
    boxes = cases.boxes("pasted", 9, batch=1) / 2

    def run(masks, boxes):
        return ops.paste_masks(masks, boxes, image_size=cases.SMALL_IMAGE)

    found = (compiled(run) if under_xla else run)(masks, boxes)
    np.testing.assert_allclose(found[0], golden("pasted"), rtol=1e-5, atol=1e-5)


def test_a_box_of_no_area_pastes_a_pixel():
    found = np.asarray(
        ops.paste_masks(np.ones((1, 1, 4, 4)), [[[3.2, 2.1, 3.2, 2.1]]], image_size=(6, 7))
    )
    assert found[0, 0, 2, 3] == 1
    assert found.sum() == 1


def test_arguments_are_checked():
    with pytest.raises(
        ValueError, match=r"`masks` must be \(B, D, M, M\), got shape \(1, 2, 3, 4\)"
    ):
        ops.paste_masks(np.zeros((1, 2, 3, 4)), np.zeros((1, 2, 4)), image_size=(8, 8))
    with pytest.raises(ValueError, match="`size` must be a positive integer, got 0"):
        ops.mask_targets(np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 4)), matches=[[0]], size=0)
