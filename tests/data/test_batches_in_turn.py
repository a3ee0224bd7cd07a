import numpy as np
import pytest

from kerakit.data import BatchesInTurn, Preparation, TrainingBatches, load


def batches(seed=0, batch_size=400, side=8):
    source = load("digits").train_source
    preparation = Preparation(height=side, width=8, channels=1)
    return TrainingBatches(source, preparation, batch_size=batch_size, seed=seed)


def labels(some, step, count):
    return [np.asarray(batch[1]) for batch in some.starting_at(step).take(count)]


@pytest.mark.parametrize("start", [0, 2, 5, 6, 8])
def test_each_step_comes_from_its_own_kind(start):
    first, second = batches(seed=0), batches(seed=1)
    assert first.steps_per_epoch == 3
    both = BatchesInTurn(first, second, from_epoch=2)
    expected = [*labels(first, 0, 6), *labels(second, 6, 4)][start:]
    found = labels(both, start, 10 - start)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_arguments():
    with pytest.raises(ValueError, match="as many steps an epoch, got 3 and 1"):
        BatchesInTurn(batches(), batches(batch_size=1000), from_epoch=1)
    with pytest.raises(ValueError, match="`from_epoch` must be at least 0, got -1"):
        BatchesInTurn(batches(), batches(), from_epoch=-1)
    with pytest.raises(ValueError, match="must give batches of the same shapes"):
        BatchesInTurn(batches(), batches(side=9), from_epoch=1).starting_at(0)
