import numpy as np
from sklearn.datasets import load_digits as load_sklearns

from kerakit.data import decode, load


def arrays(dataset):
    examples = list(dataset.as_numpy_iterator())
    return {key: np.stack([example[key] for example in examples]) for key in examples[0]}


def test_they_are_scikit_learns_with_the_stated_split():
    theirs = load_sklearns()
    order = np.random.default_rng(0).permutation(1797)
    data = load("digits")
    assert (data.train_source.size, data.val_source.size) == (1437, 360)
    assert data.classes == tuple("0123456789")
    assert data.licence == "CC BY 4.0"
    for dataset, chosen in ((data.train, order[360:]), (data.val, order[:360])):
        got = arrays(dataset)
        grey = np.rint(theirs.images[chosen] * 255 / 16)
        np.testing.assert_array_equal(got["image"], np.repeat(grey[..., None], 3, axis=-1))
        np.testing.assert_array_equal(got["label"], theirs.target[chosen])
        np.testing.assert_array_equal(got["example_id"], np.arange(len(chosen)))
        assert {key: value.dtype.name for key, value in got.items()} == {
            "image": "uint8",
            "label": "int32",
            "example_id": "int32",
        }


def test_the_files_sent_to_an_export_hold_the_same_pixels():
    source = load("digits").val_source
    pairs = zip(source.dataset().take(20), source.encoded_dataset().take(20), strict=True)
    for example, sent in pairs:
        np.testing.assert_array_equal(decode(sent["encoded"]), example["image"])
        assert sent["label"] == example["label"]
        assert sent["example_id"] == example["example_id"]
        assert sent["encoded"] == source.encoded(sent["example_id"])
