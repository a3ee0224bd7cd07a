import numpy as np
import pytest

from kerakit.export.answers import classification_differences


def answer(logits, classes="abc"):
    logits = np.asarray(logits, "float32")
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    chosen = logits.argmax(axis=1)
    return {
        "logits": logits,
        "probabilities": exponentials / exponentials.sum(axis=1, keepdims=True),
        "class_id": chosen,
        "class_name": np.array([classes[k] for k in chosen]),
    }


def test_the_same_differs_by_nothing():
    found = classification_differences(answer([[1, 2, 3]]), answer([[1, 2, 3]]))
    assert found == {"logits": 0, "probabilities": 0, "class_id": 0, "class_name": 0}


def test_logits_are_relative_to_the_largest():
    found = classification_differences(
        answer([[0, 0, 200], [0, 0, 0]]), answer([[1, 0, 200], [0, 0, 0]])
    )
    assert found["logits"] == pytest.approx(1 / 200)


def test_another_class_costs_its_lack_of_probability():
    expected, served = answer([[0.0, 1.0, -50.0]]), answer([[0.0, 1.0, -50.0]])
    served["class_id"] = np.array([0])
    found = classification_differences(expected, served)
    # sigmoid(1) - sigmoid(-1) of the two that count
    assert found["class_id"] == pytest.approx(np.tanh(0.5), abs=1e-6)


def test_either_of_two_equal_classes_will_do():
    expected, served = answer([[1, 1, 0]]), answer([[1, 1, 0]])
    served["class_id"], served["class_name"] = np.array([1]), np.array(["b"])
    assert max(classification_differences(expected, served).values()) == 0


def test_a_wrong_name_is_never_close():
    found = classification_differences(answer([[1, 2, 3]]), answer([[1, 2, 3]], classes="abd"))
    assert found["class_name"] == np.inf


def test_what_is_no_number_never_passes():
    broken = answer([[1, 2, 3]])
    broken["probabilities"] = np.array([[0, 0, np.nan]])
    assert classification_differences(answer([[1, 2, 3]]), broken)["probabilities"] == np.inf
