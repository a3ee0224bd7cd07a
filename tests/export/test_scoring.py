import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from kerakit.data import Data, IndexedSource, StreamSource
from kerakit.errors import InputError
from kerakit.export import Served, score
from tests.export.tiny import CLASSES, many


def data_of(files, labels, classes=CLASSES):
    examples = {"encoded": files, "label": np.array(labels, "int32")}
    source = StreamSource(len(files), tf.data.Dataset.from_tensor_slices(examples))
    return Data(train_source=source, val_source=source, classes=tuple(classes), name="set")


def test_figures_are_scikit_learns(exported, rng):
    served = Served(exported)
    files, labels = many(23), rng.integers(0, 3, 23)
    predicted = [int(answer["class_id"]) for answer in served.answer(files)]
    figures = score(served, data_of(files, labels), batch_size=5)
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=range(3), average="macro", zero_division=0
    )
    assert figures == pytest.approx(
        {
            "images": 23,
            "accuracy": accuracy_score(labels, predicted),
            "precision_macro": precision,
            "recall_macro": recall,
            "f1_macro": f1,
        },
        abs=1e-6,
    )


def test_what_has_no_files_is_encoded(exported):
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (4, 12, 16, 3)), tf.uint8)
    source = IndexedSource(
        4,
        lambda i: {"image": images[i], "label": tf.constant(0), "example_id": tf.cast(i, tf.int32)},
    )
    data = Data(train_source=source, val_source=source, classes=CLASSES, name="set")
    logits = Served(exported)._loaded.signatures["tensors"](images=images)["logits"]
    expected = float(np.mean(np.argmax(logits, axis=1) == 0))
    assert score(Served(exported), data)["accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (
            ("ant", "bée", "dog"),
            "set has the classes ant, bée, dog, and .* answers with ant, bée, 日",
        ),
        (("bée", "ant", "日本 cat"), "set has the classes of .* in another order: bée, ant"),
    ],
)
def test_classes_must_be_the_exports(classes, said, exported):
    with pytest.raises(InputError, match=said):
        score(Served(exported), data_of(many(2), [0, 1], classes))


def test_an_unreadable_or_no_image(exported):
    with pytest.raises(InputError, match="set: validation image 1 is not a JPEG"):
        score(Served(exported), data_of([many(1)[0], b"text"], [0, 1]))
