"""Findings, their order, and the forms they are written in."""

import json

import numpy as np
import pytest

from kerakit.diagnose import ORDER, Diagnosis, Finding


def finding(rule, severity="warning", message="", **evidence):
    return Finding(rule=rule, severity=severity, message=message, evidence=evidence)


def test_worst_first_then_causes_before_symptoms():
    mixed = [
        finding("overfitting", "error"),
        finding("large_kernel", "hint"),
        finding("loss_explodes"),
        finding("learning_rate_too_high"),
        finding("labels_out_of_range", "hint"),
        finding("zero_initial_weights", "error"),
    ]
    assert [f.rule for f in Diagnosis(tuple(mixed)).findings] == [
        "zero_initial_weights",
        "overfitting",
        "learning_rate_too_high",
        "loss_explodes",
        "labels_out_of_range",
        "large_kernel",
    ]


@pytest.mark.parametrize(
    ("cause", "symptom"),
    [
        ("labels_out_of_range", "first_loss_unexpected"),
        ("double_softmax", "no_initial_progress"),
        ("saturating_activations", "vanishing_gradients"),
        ("badly_scaled_initial_weights", "loss_explodes"),
        ("inputs_not_normalised", "badly_scaled_initial_weights"),
        ("learning_rate_too_high", "dead_relus"),
        ("learning_rate_too_low", "underfitting"),
    ],
)
def test_order_has_causes_first(cause, symptom):
    assert ORDER.index(cause) < ORDER.index(symptom)


def test_adding_keeps_the_more_severe_of_a_rule_and_place():
    first = Diagnosis((finding("dead_relus", layer="a"), finding("dead_relus", layer="b")))
    second = Diagnosis((finding("dead_relus", "error", layer="b"),))
    both = [(f.severity, f.place) for f in (first + second).findings]
    assert both == [("error", "b"), ("warning", "a")]
    assert first + second == second + first


def test_quiet_and_first():
    assert Diagnosis().quiet
    assert Diagnosis().first is None
    assert str(Diagnosis()) == "Nothing found."
    assert Diagnosis((finding("large_kernel", "hint"),)).quiet
    assert not Diagnosis((finding("large_kernel"),)).quiet


def test_json_keeps_it_all(tmp_path):
    numbers = {"a": np.float32(0.5), "b": np.int64(3), "c": float("nan"), "d": [np.inf, None]}
    found = Diagnosis((finding("loss_explodes", "error", "It is NaN.", layer="x", **numbers),))
    found.write_json(tmp_path / "diagnosis.json")
    text = (tmp_path / "diagnosis.json").read_text()
    # Strict JSON has no NaN.
    read = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert Diagnosis.from_dict(read) == found
    expected = {"layer": "x", "a": 0.5, "b": 3, "c": "nan", "d": ["inf", None]}
    assert read["findings"][0]["evidence"] == expected


def test_tensorboard_reads_the_text(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = Diagnosis((finding("loss_explodes", "error", "It is a | b."),))
    found.write_tensorboard(tmp_path / "logs", step=7)
    events = accumulator.EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    (event,) = events.Tensors("diagnosis")
    assert event.step == 7
    assert b"| error | loss_explodes | It is a \\| b. |" in event.tensor_proto.string_val[0]
    metadata = events.SummaryMetadata("diagnosis")
    assert metadata.plugin_data.plugin_name == "text"


def test_long_lines_wrap():
    found = finding("overfitting", message="word " * 60)
    assert max(map(len, str(found).splitlines())) <= 96


def test_errors():
    with pytest.raises(ValueError, match="`rule` must be one of labels_out_of_range, .* got 'x'"):
        finding("x")
    with pytest.raises(ValueError, match="`severity` must be one of error, warning, hint, got 'x'"):
        finding("overfitting", "x")
