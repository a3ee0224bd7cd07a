import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import Cutout

SEED = tf.constant([1, 2])


def erased(cutout, count=2000, size=(40, 50)):
    white = tf.fill((count, *size, 1), tf.constant(255, tf.uint8))
    return cutout({"image": white}, SEED)["image"].numpy()[..., 0] == cutout.fill


def test_area_is_uniform_and_the_shape_a_rectangle():
    gone = erased(Cutout(probability=1.0, scale=(0.1, 0.3), ratio=(0.5, 2.0), fill=7))
    area = gone.mean(axis=(1, 2))
    assert abs(area.mean() - 0.2) < 4 * 0.2 / np.sqrt(12 * 2000)
    # Quantiles of a uniform distribution; sides in whole pixels blur them.
    deciles = np.quantile(area, np.linspace(0, 1, 11))
    np.testing.assert_allclose(deciles, np.linspace(0.1, 0.3, 11), atol=0.012)
    heights, widths = gone.any(axis=2).sum(axis=1), gone.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(gone.sum(axis=(1, 2)), heights * widths)
    ratio = np.log2(heights / widths)
    assert -1.2 < ratio.min() < -0.9
    assert 0.9 < ratio.max() < 1.2
    assert gone.any(axis=(0, 1)).all()  # every column sometimes, to the border
    assert gone.any(axis=(0, 2)).all()


def test_probability():
    happened = erased(Cutout(probability=0.3)).any(axis=(1, 2)).mean()
    assert abs(happened - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 2000)


def test_what_is_larger_than_the_picture_is_left_out():
    assert not erased(Cutout(probability=1.0, scale=(1.0, 1.0), ratio=(1.0, 1.0)), 50).any()
    assert not erased(Cutout(probability=1.0), 5, (1, 1)).any()


def test_clips_and_everything_else_stay(rng):
    video = rng.integers(1, 256, (6, 4, 10, 12, 3), dtype=np.uint8)
    batch = {"video": tf.constant(video), "boxes": tf.ones((6, 2, 4)), "label": tf.range(6)}
    got = Cutout(probability=1.0)(batch, SEED)
    gone = (got["video"].numpy() == 0).all(axis=-1)
    assert (gone == gone[:, :1]).all()
    assert gone.any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(got["video"].numpy()[~gone], video[~gone])
    np.testing.assert_array_equal(got["boxes"], batch["boxes"])


def test_errors():
    with pytest.raises(ValueError, match=r"`probability` must be in \[0, 1\], got 2"):
        Cutout(probability=2)
    with pytest.raises(ValueError, match=r"`scale` must be .* got \(0.5, 0.2\)"):
        Cutout(scale=(0.5, 0.2))
    with pytest.raises(ValueError, match=r"`ratio` must be .* got \(0, 1\)"):
        Cutout(ratio=(0, 1))
    with pytest.raises(ValueError, match=r"`fill` must be in \[0, 255\], got -3"):
        Cutout(fill=-3)
