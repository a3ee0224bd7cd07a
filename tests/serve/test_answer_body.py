import json
import math

import numpy as np
import pytest

from kerakit.serve.answer_body import answer_text
from kerakit.serve.protocol import Refusal


def written(values):
    """The tokens of a list of numbers."""
    text = answer_text([{"y": np.asarray(values)}], "instances")
    return text.removeprefix('{"predictions": [[').removesuffix("]]}").split(", ")


def by_serving(value):
    """WriteDecimal of json_tensor.cc: %g where it is exact, else 9 digits."""
    text = f"{value:g}"
    if np.float32(text) != value:
        text = f"{value:.9g}"
    return text if "." in text or "e" in text else text + ".0"


def test_decimals_are_tensorflow_servings(rng):
    usual = (rng.normal(size=20_000) * 10 ** rng.uniform(-10, 10, 20_000)).astype(np.float32)
    usual = np.concatenate([usual, np.float32([0.2, 1, -3, 0, 16777216, 0.1])])
    for value, token in zip(usual, written(usual), strict=True):
        assert float(token) == float(by_serving(value))
        assert len(token) <= 16


def test_decimals_are_exact(rng):
    extreme = (rng.normal(size=20_000) * 10 ** rng.uniform(-44, 38, 20_000)).astype(np.float32)
    extreme = np.concatenate([extreme, np.float32([1e-45, 3.4028235e38, -1.1754944e-38])])
    np.testing.assert_array_equal(np.float32(written(extreme)), extreme)


def test_whole_decimals_are_told_from_integers():
    assert written(np.float32([3, -0.5, 0])) == ["3.0", "-0.5", "0.0"]
    assert written(np.float64([3, 0.1])) == ["3.0", "0.1"]
    assert written(np.float16([0.1])) == ["0.0999755859"]
    assert written(np.uint8([3])) == ["3"]
    assert written(np.array([True, False])) == ["true", "false"]
    assert written(np.float32([np.nan, np.inf, -np.inf])) == ["NaN", "Infinity", "-Infinity"]


def test_one_output_or_several():
    rows = [{"y": np.int64(i)} for i in range(2)]
    assert json.loads(answer_text(rows, "instances")) == {"predictions": [0, 1]}
    assert json.loads(answer_text(rows, "inputs")) == {"outputs": [0, 1]}
    rows = [{"y": np.int64(i), "z": np.array([b"a", b"\xff"], object)} for i in range(2)]
    text = ["a", "�"]
    named = [{"y": 0, "z": text}, {"y": 1, "z": text}]
    assert json.loads(answer_text(rows, "instances")) == {"predictions": named}
    assert json.loads(answer_text(rows, "inputs")) == {"outputs": {"y": [0, 1], "z": [text, text]}}


def test_large_arrays_are_written_as_small_ones(rng):
    values = rng.normal(size=(3, 400, 200)).astype(np.float32)
    rows = [{"y": values}]
    found = json.loads(answer_text(rows, "instances"))["predictions"][0]
    np.testing.assert_array_equal(np.float32(found), values)


def test_a_scalar_of_bytes():
    text = answer_text([{"png_bytes": b"\x89P"}], "instances")
    assert json.loads(text) == {"predictions": [{"b64": "iVA="}]}


def test_rows_of_unlike_sizes():
    rows = [{"mask": np.zeros((2, 2))}, {"mask": np.zeros((3, 1))}]
    assert len(json.loads(answer_text(rows, "instances"))["predictions"]) == 2
    with pytest.raises(Refusal, match="`outputs` cannot hold mask of several sizes; ask with"):
        answer_text(rows, "inputs")


def test_the_reference_is_a_reference():
    assert [by_serving(np.float32(x)) for x in (0.2, 9e6, 3e-5, 1 / 3)] == [
        "0.2", "9e+06", "3e-05", "0.333333343",
    ]  # fmt: skip
    assert math.isclose(float(by_serving(np.float32(math.pi))), math.pi, rel_tol=1e-7)
