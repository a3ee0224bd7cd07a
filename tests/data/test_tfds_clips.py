import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerakit.data import StreamedClips, clip_source, decode, load
from kerakit.errors import InputError


@pytest.fixture(scope="module")
def videos():
    """Clips of 1 to 6 frames."""
    rng = np.random.default_rng(2)
    return [rng.integers(0, 256, (1 + i % 6, 6, 5, 3), dtype=np.uint8) for i in range(20)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory, videos):
    """Function of a name, features and splits (ranges of the clips); gives the folder."""

    def store(name, features=None, **splits):
        folder = tmp_path_factory.mktemp(name)
        features = features or {
            "video": tfds.features.Video(shape=(None, None, None, 3)),
            "label": tfds.features.ClassLabel(names=["to", "fro"]),
        }
        specs = {
            "video": tf.TensorSpec((None, 6, 5, 3), tf.uint8),
            "label": tf.TensorSpec((), tf.int64),
        }

        def rows(chosen):
            def generate():
                for number in range(20)[chosen]:
                    row = {"video": videos[number], "label": number % 2}
                    yield {key: row[key] for key in features}

            spec = {key: specs[key] for key in features}
            return tf.data.Dataset.from_generator(generate, output_signature=spec)

        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets={split: rows(chosen) for split, chosen in splits.items()},
            data_dir=folder,
            citation="Somebody, 2020",
            disable_shuffling=True,
        )
        return folder / name / "1.0.0"

    return store


@pytest.fixture(scope="module")
def moves(stored):
    return stored("moves", train=slice(0, 14), test=slice(14, 20))


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("limit", [1 << 30, 0])
def test_a_stored_set_is_read_with_sockets_blocked(limit, moves, videos, monkeypatch):
    monkeypatch.setattr(clip_source, "HELD_LIMIT", limit)
    data = load(f"tfds:{moves}", task="video")
    assert isinstance(data.train_source, StreamedClips) == (limit == 0)
    assert (data.train_source.size, data.val_source.size) == (14, 6)
    assert (data.classes, data.task) == (("to", "fro"), "video")
    assert data.citation == "Somebody, 2020"
    for dataset, source, chosen in (
        (data.train, data.train_source, range(14)),
        (data.val, data.val_source, range(14, 20)),
    ):
        assert source.counts.tolist() == [len(videos[number]) for number in chosen]
        for position, (clip, number) in enumerate(zip(dataset, chosen, strict=True)):
            np.testing.assert_array_equal(clip["video"], videos[number])
            assert clip["label"] == number % 2
            assert clip["example_id"] == position
        for sent, number in zip(source.encoded_dataset(), chosen, strict=True):
            np.testing.assert_array_equal(decode(sent["frames"][-1]), videos[number][-1])


@pytest.mark.usefixtures("no_network")
def test_train_alone_is_divided(stored, videos):
    data = load(f"tfds:{stored('alone', train=slice(0, 20))}", task="video", val_fraction=0.3)
    found = [clip["video"].numpy().tobytes() for part in (data.train, data.val) for clip in part]
    assert sorted(found) == sorted(video.tobytes() for video in videos)
    assert data.val_source.size == len(list(data.val))


def test_what_a_set_may_lack(stored):
    video = {"video": tfds.features.Video(shape=(None, None, None, 3))}
    folder = stored("bare", video, train=slice(0, 3))
    with pytest.raises(InputError, match="has no feature label, which video needs; it has video"):
        load(f"tfds:{folder}", task="video")
    folder = stored(
        "numbers", {**video, "label": tfds.features.Scalar(tf.int64)}, train=slice(0, 3)
    )
    with pytest.raises(InputError, match="its label is no ClassLabel"):
        load(f"tfds:{folder}", task="video")
