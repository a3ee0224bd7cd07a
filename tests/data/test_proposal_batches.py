import numpy as np
import pytest

from kerakit.augment import RandomFlip
from kerakit.data import Preparation, ProposalBatches, load, proposal_evaluation_batches

PREPARATION = Preparation(height=64, width=128, fit="letterbox")


@pytest.fixture(scope="module")
def source():
    return load("digit-scenes", task="detection").val_source


@pytest.fixture(scope="module")
def proposals(source):
    """The objects themselves, padded: what moves with them must end where they end."""
    ids = np.arange(source.size)
    return np.asarray(source.objects.padded(ids, 9)["boxes"])


@pytest.mark.parametrize("flip", [False, True])
def test_regions_move_as_objects_do(flip, source, proposals):
    augment = RandomFlip(vertical=True, probability=1.0) if flip else None
    batches = ProposalBatches(
        source, PREPARATION, proposals=proposals, batch_size=4, seed=0, augment=augment
    )
    x, y = next(iter(batches.starting_at(3)))
    assert x["images"].shape == (4, 64, 128, 3)
    boxes, regions = y["boxes"].numpy(), x["proposals"].numpy()
    assert regions.shape == (4, 9, 4)
    assert (y["labels"].numpy() >= 0).any()
    rows = min(9, boxes.shape[1])
    np.testing.assert_allclose(regions[:, :rows], boxes[:, :rows], atol=1e-3)
    assert not regions[:, rows:].any()


def test_evaluation_sees_all_in_order(source, proposals):
    batches = proposal_evaluation_batches(source, PREPARATION, proposals=proposals, batch_size=64)
    ids = []
    for x, y in batches:
        ids += y["example_id"].numpy().tolist()
        rows = min(9, y["boxes"].shape[1])
        np.testing.assert_allclose(
            x["proposals"][:, :rows].numpy(), y["boxes"][:, :rows].numpy(), atol=1e-3
        )
    assert ids == list(range(source.size))


def test_a_row_an_image(source, proposals):
    with pytest.raises(ValueError, match=r"`proposals` must be \(300, R, 4\), a row an image, got"):
        ProposalBatches(source, PREPARATION, proposals=proposals[1:], batch_size=4, seed=0)
