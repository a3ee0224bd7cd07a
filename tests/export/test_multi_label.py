import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import average_precision_score, f1_score

from kerakit import export
from kerakit.cli import main
from kerakit.data import Data, StreamSource
from kerakit.errors import InputError
from kerakit.export.answers import multi_label_answer, multi_label_differences
from tests.export.tiny import CLASSES, PREPARATION, many, save_tiny

# Between the tiny model's probabilities, so that some classes are named and some are not.
THRESHOLD = 0.45


@pytest.fixture(scope="session")
def named(model, tmp_path_factory):
    """Folder of a version that names all classes of a probability of 0.45 or more."""
    folder = tmp_path_factory.mktemp("named") / "tiny"
    return save_tiny(model, folder, task="multi_label", threshold=THRESHOLD)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype("float64")))


def test_answers_are_the_sigmoid_of_predict(named, model):
    files = many(23)
    pixels = PREPARATION.batch(tf.constant(files)).numpy()
    expected = sigmoid(model.predict(pixels.astype("float32"), verbose=0))
    counts = set()
    for answer, row in zip(export.Served(named).answer(files), expected, strict=True):
        np.testing.assert_allclose(answer["probabilities"], row, atol=1e-5)
        present = [int(k) for k in np.argsort(-row, kind="stable") if row[k] >= THRESHOLD]
        counts.add(len(present))
        padding = 3 - len(present)
        assert answer["num_classes"] == len(present)
        assert answer["class_ids"].tolist() == present + [-1] * padding
        names = [name.decode() for name in answer["class_names"]]
        assert names == [CLASSES[k] for k in present] + [""] * padding
    assert len(counts) > 1  # or the threshold would not have been seen at work


def test_the_card_says_so_and_it_verifies(named, model, tmp_path):
    copy = shutil.copytree(named, tmp_path / "1")
    assert export.verify(copy, model, images=many(5)).passed
    card = json.loads((copy / "card.json").read_text())
    assert (card["task"], card["threshold"]) == ("multi_label", THRESHOLD)
    outputs = card["signatures"]["tensors"]["outputs"]
    assert outputs["class_ids"]["shape"] == [None, 3]
    graph = tf.saved_model.load(str(copy)).signatures["tensors"].structured_outputs
    assert {name: spec.shape.as_list() for name, spec in graph.items()} == {
        name: output["shape"] for name, output in outputs.items()
    }
    card["threshold"] = 0.55  # not the one in the graph
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(export.VerificationError, match="in class_ids of "):
        export.verify(copy, model)


def test_the_default_threshold_is_a_half(model, tmp_path):
    folder = save_tiny(model, tmp_path / "tiny", task="multi_label")
    assert json.loads((folder / "card.json").read_text())["threshold"] == 0.5


LOGITS = [[2.0, -3.0, 0.5, 0.5], [-1.0, -2.0, -3.0, -4.0]]


def answer(logits, **changes):
    names = tf.constant(list("abcd"))
    answer = multi_label_answer(
        tf.constant(logits), lambda ids: tf.gather(names, ids), threshold=0.5
    )
    answer = {name: value.numpy() for name, value in answer.items()}
    answer["class_names"] = answer["class_names"].astype(str)
    return {**answer, **changes}


def test_of_two_alike_the_first_stands_first():
    assert answer(LOGITS)["class_ids"].tolist() == [[0, 2, 3, -1], [-1, -1, -1, -1]]


def differences(served):
    return multi_label_differences(answer(LOGITS), served, threshold=0.5)


def test_the_same_differs_by_nothing():
    assert set(differences(answer(LOGITS)).values()) == {0.0}


def changed(ids, names, count):
    return answer(
        LOGITS,
        class_ids=np.array([ids, [-1] * 4]),
        class_names=np.array([names, [""] * 4]),
        num_classes=np.array([count, 0]),
    )


@pytest.mark.parametrize(
    ("served", "output", "difference"),
    [
        # What is missing, or too much, by its distance from the threshold.
        (changed([0, 2, -1, -1], ["a", "c", "", ""], 2), "class_ids", sigmoid(np.array(0.5)) - 0.5),
        (changed([0, 2, 3, 1], list("acdb"), 4), "class_ids", 0.5 - sigmoid(np.array(-3.0))),
        # Another order, by how far the second is above the first; of two alike, nothing.
        (
            changed([2, 0, 3, -1], ["c", "a", "d", ""], 3),
            "class_ids",
            sigmoid(np.array(2.0)) - sigmoid(np.array(0.5)),
        ),
        (changed([0, 3, 2, -1], ["a", "d", "c", ""], 3), "class_ids", 0.0),
        (changed([0, 2, 3, -1], ["a", "c", "d", ""], 2), "num_classes", np.inf),
        (changed([0, 2, 3, -1], ["a", "b", "d", ""], 3), "class_names", np.inf),
        (changed([0, 2, 3, -1], ["a", "c", "d", "e"], 3), "class_names", np.inf),
        (changed([0, -1, 2, 3], ["a", "", "c", "d"], 3), "class_ids", np.inf),
        (changed([0, 2, 3, 3], list("acdd"), 3), "class_ids", np.inf),
    ],
)
def test_differences(served, output, difference):
    found = differences(served)
    assert found[output] == pytest.approx(difference, abs=1e-6)
    assert found["logits"] == found["probabilities"] == 0


def data_of(files, labels, task="multi_label"):
    examples = {"encoded": files, "label": labels.astype("float32")}
    source = StreamSource(len(files), tf.data.Dataset.from_tensor_slices(examples))
    return Data(train_source=source, val_source=source, classes=CLASSES, name="set", task=task)


def test_figures_are_scikit_learns(named, rng):
    served, files = export.Served(named), many(23)
    labels = rng.integers(0, 2, (23, 3))
    probabilities = np.stack([answer["probabilities"] for answer in served.answer(files)])
    figures = export.score(served, data_of(files, labels), batch_size=5)
    assert figures["images"] == 23
    expected = average_precision_score(labels, probabilities)
    assert figures["mean_average_precision"] == pytest.approx(expected)
    expected = f1_score(labels, probabilities >= THRESHOLD, average="macro", zero_division=0)
    assert figures["f1_macro"] == pytest.approx(expected)


def test_data_must_be_of_the_task(named, exported, rng):
    files, labels = many(2), rng.integers(0, 2, (2, 3))
    with pytest.raises(InputError, match="load it with task='classification'"):
        export.score(export.Served(exported), data_of(files, labels))


def test_predict_prints_what_is_named(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    named = save_tiny(model, tmp_path / "tiny", task="multi_label", threshold=0.54)
    files = many(12)
    for number, file in enumerate(files):
        (tmp_path / f"{number:02}.png").write_bytes(file)
    assert main(["predict", str(named), ".", "--json", "a.json", "--pictures", "drawn"]) == 0
    lines = capsys.readouterr().out.splitlines()
    records = json.loads((tmp_path / "a.json").read_text())
    found = list(export.Served(named).answer(files))
    assert {int(answer["num_classes"]) for answer in found} == {0, 1}
    for line, record, answer in zip(lines, records, found, strict=True):
        present = [CLASSES[k] for k in answer["class_ids"] if k >= 0]
        told = [f"{name} {answer['probabilities'][CLASSES.index(name)]:.4f}" for name in present]
        assert " ".join(line.split()[1:]) == (" ".join(told) or "none")
        assert [entry["class"] for entry in record["classes"]] == present
    assert len(list((tmp_path / "drawn").iterdir())) == 12

    # By their probability, whether named or not, where so many are asked for.
    assert main(["predict", str(named), "00.png", "--top", "3"]) == 0
    line = capsys.readouterr().out
    assert all(name in line for name in CLASSES)
