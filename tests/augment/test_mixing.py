"""Mixup and CutMix: labels are the shares of the pixels."""

import numpy as np
import pytest
import tensorflow as tf

from kerakit.augment import CutMix, Mixup

SEED = tf.constant([5, 6])
COUNT, CLASSES = 400, 7


def batch(shape=(12, 15, 1)):
    """Each picture is all of one value, its number modulo 250."""
    values = (np.arange(COUNT) % 250).astype(np.uint8)
    pictures = np.broadcast_to(values.reshape(-1, *[1] * len(shape)), (COUNT, *shape))
    return {"image": tf.constant(pictures), "label": tf.constant(np.arange(COUNT) % CLASSES)}


def shares(labels):
    """Share of the own class; each example's partner is the one before."""
    labels = labels.numpy()
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    own, partner = np.arange(COUNT) % CLASSES, np.roll(np.arange(COUNT) % CLASSES, 1)
    own_share = labels[np.arange(COUNT), own]
    expected = np.zeros((COUNT, CLASSES), np.float32)
    np.add.at(expected, (np.arange(COUNT), own), own_share)
    np.add.at(expected, (np.arange(COUNT), partner), 1 - own_share)
    np.testing.assert_array_equal(labels[1:], expected[1:])
    return own_share


def test_mixup_mixes_pixels_by_the_labels_shares():
    mixed = Mixup(CLASSES, alpha=1.0)(batch(), SEED)
    share = shares(mixed["label"])[1:, None, None, None]
    pictures = batch()["image"].numpy().astype(np.float32)
    want = np.round(share * pictures[1:] + (1 - share) * pictures[:-1])
    off = np.abs(mixed["image"].numpy()[1:] - want)
    assert off.max() <= 1
    assert (off > 0).mean() < 0.01  # halves, rounded by the last digit
    assert mixed["image"].dtype == tf.uint8


def test_cutmix_labels_are_the_pixels_shares_exactly():
    mixed = CutMix(CLASSES)(batch(), SEED)
    own = batch()["image"].numpy()
    pixels = mixed["image"].numpy() == own
    share = pixels.mean(axis=(1, 2, 3), dtype=np.float64)
    np.testing.assert_array_equal(shares(mixed["label"])[1:], share[1:].astype(np.float32))
    others = np.where(pixels, own, np.roll(own, 1, axis=0))
    np.testing.assert_array_equal(mixed["image"], others)
    # What is pasted is one rectangle: as many pixels as its rows times its columns.
    pasted = ~pixels[..., 0]
    area = pasted.any(axis=1).sum(axis=1) * pasted.any(axis=2).sum(axis=1)
    np.testing.assert_array_equal(pasted.sum(axis=(1, 2)), area)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixups_shares_are_of_the_beta_distribution(alpha):
    share = shares(Mixup(CLASSES, alpha=alpha)(batch((1, 1, 1)), SEED)["label"])[1:]
    deviation = np.sqrt(1 / (4 * (2 * alpha + 1)))  # of Beta(alpha, alpha)
    assert abs(share.mean() - 0.5) < 4 * deviation / np.sqrt(COUNT)
    # The fourth central moment is at most 1/16.
    assert abs(share.var() - deviation**2) < 4 * np.sqrt((1 / 16 - deviation**4) / COUNT)


@pytest.mark.parametrize("make", [Mixup, CutMix])
def test_probability(make):
    mixed = make(CLASSES, alpha=1.0, probability=0.3)(batch((64, 64, 1)), SEED)
    share = (shares(mixed["label"]) < 1).mean()
    # A CutMix rectangle below a pixel, of 1 example in 1,000, leaves the label as it is.
    assert abs(share - 0.3) < 4 * np.sqrt(0.3 * 0.7 / COUNT) + 0.002


@pytest.mark.parametrize("make", [Mixup, CutMix])
def test_one_after_the_other_and_clips(make):
    soft = Mixup(CLASSES, alpha=1.0)(batch(), SEED)
    again = make(CLASSES, alpha=1.0)(soft, tf.constant([7, 8]))["label"].numpy()
    np.testing.assert_allclose(again.sum(axis=1), 1, atol=1e-5)
    assert ((again > 0).sum(axis=1) == 3).mean() > 0.5
    one = batch()
    clips = {"video": tf.stack([one["image"]] * 3, axis=1), "label": one["label"]}
    whole = make(CLASSES)(clips, SEED)["video"]
    for frame in range(3):
        np.testing.assert_array_equal(whole[:, frame], make(CLASSES)(one, SEED)["image"])


@pytest.mark.parametrize("make", [Mixup, CutMix])
def test_errors(make):
    with pytest.raises(ValueError, match="`num_classes` must be at least 2, got 1"):
        make(1)
    with pytest.raises(ValueError, match="`alpha` must be above 0, got 0"):
        make(3, alpha=0)
    with pytest.raises(ValueError, match=r"`probability` must be in \[0, 1\], got -1"):
        make(3, probability=-1)
    with pytest.raises(ValueError, match="with one `label` each, got a batch of .'image'.."):
        make(3)({"image": tf.zeros((1, 2, 2, 3), tf.uint8)}, SEED)
    boxes = {**batch(), "boxes": tf.zeros((COUNT, 1, 4))}
    with pytest.raises(ValueError, match=f"{make.__name__} needs .*'boxes', 'image', 'label'"):
        make(3)(boxes, SEED)
