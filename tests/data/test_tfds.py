import re

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerakit.data import Preparation, TrainingBatches, decode, evaluation_batches, load
from kerakit.data.tfds import FEATURES
from kerakit.errors import InputError

CLASSES = ["ant", "bee", "fly"]


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(2).integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def stored(tmp_path_factory, images):
    """Function of a name and splits (ranges of the images) that writes a set; gives its folder."""

    def store(name, features=None, **splits):
        folder = tmp_path_factory.mktemp(name)
        features = features or {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=CLASSES),
        }

        def rows(chosen):
            columns = {"image": images[chosen], "label": np.arange(30)[chosen] % 3}
            return tf.data.Dataset.from_tensor_slices({key: columns[key] for key in features})

        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets={split: rows(chosen) for split, chosen in splits.items()},
            data_dir=folder,
            citation="Somebody, 2020",
            disable_shuffling=True,
        )
        return folder

    return store


def number_of(image, images):
    return int(np.flatnonzero((images == image.numpy()).all(axis=(1, 2, 3)))[0])


@pytest.fixture(scope="session")
def insects(stored):
    return stored("insects", train=slice(0, 20), test=slice(20, 30))


@pytest.mark.usefixtures("no_network")
def test_a_stored_set_is_read_with_sockets_blocked(insects, images, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(insects))
    data = load(f"tfds:{insects}/insects/1.0.0")
    assert (data.train_source.size, data.val_source.size) == (20, 10)
    assert data.classes == tuple(CLASSES)
    assert data.citation == "Somebody, 2020"
    for dataset, chosen in ((data.train, range(20)), (data.val, range(20, 30))):
        for position, (example, number) in enumerate(zip(dataset, chosen, strict=True)):
            np.testing.assert_array_equal(example["image"], images[number])
            assert example["label"] == number % 3
            assert example["example_id"] == position
            assert example["label"].dtype == example["example_id"].dtype == tf.int32


@pytest.mark.usefixtures("no_network")
def test_its_files_reach_our_decoding_and_the_batches(insects, images):
    data = load(f"tfds:{insects}/insects/1.0.0")
    for sent in data.val_source.encoded_dataset().take(3):
        np.testing.assert_array_equal(decode(sent["encoded"]), images[20 + sent["example_id"]])
    preparation = Preparation(height=6, width=5)
    batches = TrainingBatches(data.train_source, preparation, batch_size=20, seed=0)
    shuffled, labels = next(iter(batches.starting_at(0)))
    found = [number_of(image, images) for image in shuffled]
    assert sorted(found) == list(range(20))
    np.testing.assert_array_equal(labels, np.array(found) % 3)
    all_images, _ = next(iter(evaluation_batches(data.val_source, preparation, batch_size=64)))
    np.testing.assert_array_equal(all_images, images[20:])


@pytest.mark.usefixtures("no_network")
def test_train_alone_is_divided(stored, images):
    folder = stored("alone", train=slice(0, 30)) / "alone" / "1.0.0"
    data = load(f"tfds:{folder}", val_fraction=0.3)
    parts = [
        [number_of(example["image"], images) for example in dataset]
        for dataset in (data.train, data.val)
    ]
    assert sorted(parts[0] + parts[1]) == list(range(30))
    assert [len(part) for part in parts] == [data.train_source.size, data.val_source.size]
    assert 3 <= len(parts[1]) <= 16
    assert [int(e["example_id"]) for e in data.val] == list(range(len(parts[1])))
    assert len(list(data.val)) == data.val.cardinality()


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnist", "tfds:mnist is not on this disk (DIR/mnist/3.0.1); this command fetches it: "
         "tfds build mnist"),
        ("no_such_set", "tfds:no_such_set is neither a set that TensorFlow Datasets knows nor a"),
        ("/no/such/folder", "tfds:/no/such/folder is neither a set that"),
        ("here:mnist", "tfds:here:mnist: sets of other sites cannot be read"),
    ],
)  # fmt: skip
def test_what_is_not_on_this_disk(name, message, tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    with pytest.raises(InputError, match=re.escape(message.replace("DIR", str(tmp_path)))) as error:
        load(f"tfds:{name}")
    assert "\n" not in str(error.value)


def test_what_a_set_may_lack(insects, stored):
    with pytest.raises(InputError, match=r"insects: no dataset_info.json in it; give the folder"):
        load(f"tfds:{insects}/insects")
    image = {"image": tfds.features.Image(shape=(None, None, 3))}
    folder = stored("bare", image, train=slice(0, 3))
    with pytest.raises(InputError, match="has no feature label, which classification needs; it"):
        load(f"tfds:{folder}/bare/1.0.0")
    number = {**image, "label": tfds.features.Scalar(tf.int64)}
    folder = stored("numbers", number, train=slice(0, 3))
    with pytest.raises(InputError, match="its label is no ClassLabel"):
        load(f"tfds:{folder}/numbers/1.0.0")
    folder = stored("untaught", test=slice(0, 3))
    with pytest.raises(InputError, match="has no split train to learn from; it has test"):
        load(f"tfds:{folder}/untaught/1.0.0")


def test_boxes_become_xyxy_pixels():
    key, convert = FEATURES["objects/bbox"]
    boxes = tf.constant([[0.1, 0.2, 0.5, 1.0]])  # y0, x0, y1, x1
    assert key == "boxes"
    np.testing.assert_allclose(convert(boxes, (100, 300)), [[60, 10, 300, 50]], rtol=1e-6)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["label", "labels"])
def test_several_labels_an_image(name, images, tmp_path):
    given = [[0, 2], [], [1], [2, 1, 0]]
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        name: tfds.features.Sequence(tfds.features.ClassLabel(names=CLASSES)),
    }

    def rows():
        for image, labels in zip(images, given, strict=False):
            yield {"image": image, name: np.array(labels, np.int64)}

    spec = {"image": tf.TensorSpec((6, 5, 3), tf.uint8), name: tf.TensorSpec((None,), tf.int64)}
    split = tf.data.Dataset.from_generator(rows, output_signature=spec)
    tfds.dataset_builders.store_as_tfds_dataset(
        name="meadow",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": split, "test": split},
        data_dir=tmp_path,
        disable_shuffling=True,
    )
    data = load(f"tfds:{tmp_path}/meadow/1.0.0", task="multi_label")
    found = [example["label"].numpy().tolist() for example in data.train]
    assert found == [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]
    assert data.train.element_spec["label"] == tf.TensorSpec((3,), tf.float32)
    if name == "label":
        with pytest.raises(InputError, match="has several labels an image: give --multi-label"):
            load(f"tfds:{tmp_path}/meadow/1.0.0")
