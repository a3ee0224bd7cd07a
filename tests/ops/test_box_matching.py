import keras
import numpy as np
import pytest

from kerakit import ops
from tests.golden import detection as cases
from tests.golden.detection import golden

# Of seed 3, step 4 and images 5, 6 and 7, and what the first of them chooses below.
KEYS = [-915816079, -263486150, -195484284]
CHOICE = [18, 0, 48, 21, 38, 40, 4, 8, 43]


@pytest.mark.parametrize("name", cases.MATCHERS)
def test_matches_are_torchvisions(name):
    found = ops.match_boxes(golden(f"{name}.quality"), **cases.MATCHERS[name])
    np.testing.assert_array_equal(found, golden(f"{name}.matches"))


@pytest.mark.parametrize("name", cases.MATCHERS)
def test_padding_changes_nothing(name):
    quality = golden(f"{name}.quality")
    padded = np.concatenate([np.ones_like(quality[:2]), quality, np.zeros_like(quality)])
    row = np.arange(len(padded))
    valid = (row >= 2) & (row < 2 + len(quality))
    found = np.array(ops.match_boxes(padded, valid, **cases.MATCHERS[name]))
    found[found >= 0] -= 2
    np.testing.assert_array_equal(found, golden(f"{name}.matches"))


def test_of_equal_truths_the_first():
    quality = np.array([[0.2, 0.6], [0.6, 0.6], [0.6, 0.6]])
    np.testing.assert_array_equal(ops.match_boxes(quality, high=0.5, low=0.5), [1, 0])


def test_all_of_equal_candidates_and_each_its_own_best():
    # Both candidates are the second truth's best; the first fits the first truth better.
    quality = np.array([[0.6, 0.1], [0.5, 0.5]])
    found = ops.match_boxes(quality, high=0.9, low=0.2, allow_low_quality=True)
    np.testing.assert_array_equal(found, [0, 1])


def test_without_truth_all_is_background():
    quality = np.zeros((2, 3, 4))
    found = ops.match_boxes(quality, np.zeros((2, 3)), high=0.7, low=0.3, allow_low_quality=True)
    np.testing.assert_array_equal(found, np.full((2, 4), -1))


def test_a_truth_that_nothing_touches_takes_nothing():
    quality = np.array([[0.0, 0.0], [0.0, 0.8]])
    found = ops.match_boxes(quality, high=0.7, low=0.3, allow_low_quality=True)
    np.testing.assert_array_equal(found, [-1, 1])


def test_thresholds_are_in_order():
    with pytest.raises(ValueError, match="`low` must be at most `high`, got 0.6 and 0.5"):
        ops.match_boxes(np.zeros((1, 1)), high=0.5, low=0.6)


@pytest.mark.parametrize(
    ("positives", "negatives", "expected"),
    [(30, 100, (4, 12)), (2, 100, (2, 14)), (30, 5, (4, 5)), (0, 0, (0, 0)), (1, 0, (1, 0))],
)
def test_sample_is_balanced(positives, negatives, expected, rng):
    matches = np.full(140, -2)
    matches[:positives] = rng.integers(0, 5, positives)
    matches[positives : positives + negatives] = -1
    matches = rng.permutation(matches)[None]
    found, is_positive, is_chosen = (
        np.asarray(x)[0]
        for x in ops.sample_matches(matches, np.array([7]), size=16, positive_fraction=0.25)
    )
    assert (is_positive.sum(), (is_chosen & ~is_positive).sum()) == expected
    assert len(set(found[is_chosen])) == sum(expected)
    assert (matches[0, found[is_positive]] >= 0).all()
    assert (matches[0, found[is_chosen & ~is_positive]] == -1).all()
    assert (found[~is_chosen] == 0).all()


def test_fewer_candidates_than_places():
    found, _is_positive, is_chosen = ops.sample_matches(
        np.array([[-1, 0, 1]]), np.array([1]), size=8, positive_fraction=0.75
    )
    assert sorted(np.asarray(found)[0, :3]) == [0, 1, 2]
    np.testing.assert_array_equal(np.asarray(is_chosen)[0], [True] * 3 + [False] * 5)


def test_every_candidate_is_chosen_as_often():
    matches = np.where(np.arange(20) < 10, 0, -1)[None].repeat(4000, axis=0)
    keys = ops.random_keys(np.arange(4000), seed=1, step=2)
    found, is_positive, _ = map(
        np.asarray, ops.sample_matches(matches, keys, size=6, positive_fraction=0.5)
    )
    counts = np.bincount(found.ravel(), minlength=20)
    # 1200 of 4000 each; the standard deviation of a count is 29.
    assert np.abs(counts - 1200).max() < 4.5 * 29
    together = np.bincount(found[is_positive].reshape(-1, 3).min(axis=1), minlength=10)
    assert together[0] == counts[0]


def test_keys_differ_by_image_step_and_seed():
    keys = [
        np.asarray(ops.random_keys(np.arange(1000), seed=seed, step=step))
        for seed in range(4)
        for step in range(4)
    ]
    assert len(np.unique(keys)) > 15990  # 16,000 of 4 billion meet 0.03 times


def test_the_choice_does_not_depend_on_the_batch():
    matches = np.where(np.arange(50) % 3 == 0, 1, -1)[None].repeat(3, axis=0)
    keys = ops.random_keys(np.array([5, 6, 7]), seed=3, step=4)
    whole = ops.sample_matches(matches, keys, size=9, positive_fraction=0.5)
    alone = ops.sample_matches(matches[:1], keys[2:], size=9, positive_fraction=0.5)
    np.testing.assert_array_equal(whole[0][2], alone[0][0])
    assert not np.array_equal(whole[0][0], whole[0][1])
    # The same on every backend and machine.
    np.testing.assert_array_equal(keys, KEYS)
    np.testing.assert_array_equal(whole[0][0], CHOICE)


def test_steps_may_be_variables():
    step = keras.Variable(4, dtype="int32", trainable=False)
    keys = ops.random_keys(np.array([5, 6, 7]), seed=3, step=step)
    np.testing.assert_array_equal(keys, KEYS)


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="`size` must be positive and .* got 0 and 0.5"):
        ops.sample_matches(np.zeros((1, 3)), np.zeros(1), size=0, positive_fraction=0.5)
