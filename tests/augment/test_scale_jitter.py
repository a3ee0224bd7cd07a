import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import ScaleJitter
from tests.augment.test_geometry import bounds, drawn

FEW = 200


@pytest.fixture(scope="module")
def batch():
    return {key: value[:FEW] for key, value in drawn().items()}


def test_boxes_and_masks_are_where_they_are_drawn(batch):
    jitter = ScaleJitter(scale=(0.4, 2.0), fill=0, min_visible=0.2)
    moved = {k: v.numpy() for k, v in jitter(batch, tf.constant([1, 2])).items()}
    seen, kept = moved["image"][..., 0] >= 128, moved["labels"][:, 0] == 4
    assert kept.sum() > 100
    boxes, masks = moved["boxes"][kept, 0], moved["masks"][kept, 0] > 0
    assert np.abs(bounds(masks) - boxes).max() <= 1
    assert np.abs(bounds(seen[kept]) - boxes).max() <= 1
    assert not moved["boxes"][~kept].any()
    sides = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    assert sides.max() > 4 * sides.min()


def test_what_shrinks_is_smoothed():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 2, (4, 64, 64, 1)).astype(np.uint8) * 255
    small = ScaleJitter(scale=(0.125, 0.125), fill=0)(
        {"image": tf.constant(image)}, tf.constant([0, 1])
    )
    inside = small["image"].numpy()
    inside = inside[inside > 0]
    # Means of some hundred pixels, none black or white.
    assert inside.max() < 200
    assert len(inside) >= 4 * 8 * 8


def test_the_scale_one_changes_nothing(batch):
    same = ScaleJitter(scale=(1.0, 1.0))(batch, tf.constant([3, 4]))
    for key in batch:
        np.testing.assert_array_equal(same[key], batch[key])


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"`scale` must be \(least, largest\) in \(0, inf"):
        ScaleJitter(scale=(2.0, 1.0))
    with pytest.raises(ValueError, match=r"`fill` must be in \[0, 255\]"):
        ScaleJitter(fill=-1)
