"""Detection's operations are lowered for devices that are not here."""

import keras
import numpy as np
import pytest

from kerakit import gradients, ops
from tests.golden import detection as cases

BOXES = np.stack([cases.boxes("rois", 9)[0]] * 2)
SCORES = np.abs(cases.drawn("scores", (2, 9))) % 1
MAPS = cases.maps("pyramid", cases.PYRAMID, (3,) * 3)
SCALES = (1 / 4, 1 / 8, 1 / 16)


def suppressed(boxes, scores):
    classes = np.arange(18).reshape(2, 9) % 2
    return ops.non_max_suppression(boxes, scores, iou_threshold=0.5, max_output=4, classes=classes)


def aligned(boxes, *maps):
    return ops.multi_level_roi_align(list(maps), boxes, scales=SCALES, output_size=7)


def aligned_backwards(boxes, *maps):
    return gradients.gradient(lambda *maps: aligned(boxes, *maps), *maps)


def pooled_backwards(boxes, features):
    return gradients.gradient(
        lambda x: ops.roi_pooling(x, boxes, output_size=7, scale=1 / 4), features
    )


def sampled(boxes, seed):
    matches = ops.match_boxes(ops.pairwise_iou(boxes, boxes), high=0.5, low=0.3)
    keys = ops.random_keys(np.arange(2), seed=seed, step=1)
    return ops.sample_matches(matches, keys, size=4, positive_fraction=0.5)


def masks_there_and_back(boxes, masks):
    targets = ops.mask_targets(masks, boxes, matches=np.arange(18).reshape(2, 9) % 2, size=7)
    return ops.paste_masks(targets, boxes, image_size=cases.IMAGE)


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (suppressed, (BOXES, SCORES)),
        (aligned_backwards, (BOXES, *MAPS)),
        (pooled_backwards, (BOXES, MAPS[0])),
        (sampled, (BOXES, np.int32(3))),
        (masks_there_and_back, (BOXES, np.moveaxis(MAPS[0], -1, 1))),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_is_lowered_for_tpu_and_cuda(function, inputs):
    if keras.backend.backend() != "jax":
        pytest.skip("JAX lowers for devices that are not here")
    import jax

    exported = jax.export.export(jax.jit(function), platforms=["tpu", "cuda"])(*inputs)
    assert exported.platforms == ("tpu", "cuda")
