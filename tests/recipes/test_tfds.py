"""The classification recipe on a TensorFlow Dataset of this disk, by name and by folder."""

import json
import socket

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from recipes import classify

RECIPE = classify
CLASSES = ("left", "right")


def stripes(rng, count):
    """Class 0 is bright on the left, class 1 on the right."""
    labels = np.arange(count) % 2
    images = rng.integers(0, 60, (count, 12, 10, 3), dtype=np.uint8)
    images[labels == 0, :, :5] += 150
    images[labels == 1, :, 5:] += 150
    return tf.data.Dataset.from_tensor_slices({"image": images, "label": labels})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Folder under which TFDS has written the set "stripes"."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("tfds")
    tfds.dataset_builders.store_as_tfds_dataset(
        name="stripes",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=CLASSES),
            }
        ),
        split_datasets={"train": stripes(rng, 48), "test": stripes(rng, 16)},
        data_dir=folder,
        disable_shuffling=True,
    )
    return folder


@pytest.fixture
def asked(monkeypatch):
    """What the network was asked for; each request is refused. Local sockets stay."""
    requests, connect = [], socket.socket.connect

    def refuse(self, address, *_):
        if isinstance(address, str | bytes):
            return connect(self, address)
        requests.append(address)
        raise OSError(f"no network: {address}")

    def unknown(host, *_, **__):
        requests.append(host)
        raise OSError(f"no network: {host}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    return requests


def test_the_recipe_trains_on_it_without_a_network(stored, asked, tmp_path, monkeypatch, run):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(stored))
    code, output, error = run(
        "tfds", "--data", "tfds:stripes", "--model", "linear_classifier", "--normalization",
        "image_max", "--size", "12", "10", "--epochs", "2", "--batch-size", "8",
        "--rotation", "0", "--keep", "last", "--workdir", tmp_path, "--name", "stripes",
    )  # fmt: skip
    assert code == 0, error
    assert "accuracy" in output
    card = json.loads((tmp_path / "stripes/savedmodel/1/card.json").read_text())
    assert card["verification"]["passed"] is True
    assert card["data"]["name"] == "tfds:stripes"
    report = json.loads((tmp_path / "stripes/report.json").read_text())
    assert report["metrics"]["images"] == 16
    assert report["metrics"]["accuracy"] > 0.9
    assert asked == []
