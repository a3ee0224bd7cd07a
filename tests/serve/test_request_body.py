"""Bodies to arrays: the documented forms, and what must be refused."""

import base64
import json
import time

import numpy as np
import pytest
import tensorflow as tf

from kerakit.serve.protocol import Refusal
from kerakit.serve.request_body import inputs_of, parsed

# "RESTful API", sections on the row and the column format, its stray bracket left out.
ROWS = [
    {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
    {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
]
COLUMNS = {
    "tag": ["foo", "bar"],
    "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
    "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]],
}
SPECS = {
    "tag": tf.TensorSpec((None,), tf.string),
    "signal": tf.TensorSpec((None, 5), tf.int64),
    "sensor": tf.TensorSpec((None, 2, 2), tf.float32),
}


def one(shape, dtype):
    return {"x": tf.TensorSpec(shape, dtype)}


@pytest.mark.parametrize(("form", "content"), [("instances", ROWS), ("inputs", COLUMNS)])
def test_several_inputs(form, content):
    inputs, found = inputs_of({form: content}, SPECS)
    assert found == form
    assert inputs["tag"].tolist() == [b"foo", b"bar"]
    assert inputs["signal"].dtype == np.int64
    assert inputs["signal"].tolist() == COLUMNS["signal"]
    assert inputs["sensor"].dtype == np.float32
    assert inputs["sensor"].tolist() == COLUMNS["sensor"]


@pytest.mark.parametrize("form", ["instances", "inputs"])
@pytest.mark.parametrize("content", [b"", b"\0\0", bytes(range(256)), b"\xff\xd8\xff" + b"\0" * 9])
def test_binary_values_come_whole(form, content):
    text = base64.b64encode(content).decode()
    for variant in (text, text.rstrip("="), f" {text[:3]}\n{text[3:]}\t"):  # as absl reads it
        inputs, _ = inputs_of({form: [{"b64": variant}]}, one((None,), tf.string))
        assert inputs["x"].tolist() == [content]


@pytest.mark.parametrize(
    "dtype", [tf.uint8, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint32, tf.uint64]
)
def test_integers_reach_their_limits_and_no_further(dtype):
    limits = [dtype.min, dtype.max]
    inputs, _ = inputs_of({"inputs": limits}, one((None,), dtype))
    assert inputs["x"].dtype == dtype.as_numpy_dtype
    assert inputs["x"].tolist() == limits
    for beyond in (dtype.min - 1, dtype.max + 1, 10**400):
        with pytest.raises(Refusal, match="out of the range of the expected type"):
            inputs_of({"inputs": [beyond]}, one((None,), dtype))


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        (tf.uint8, 1.0, "JSON Value: 1.0 Type: Number is not of expected type: uint8"),
        (tf.uint8, True, "JSON Value: true Type: True is not of expected type: uint8"),
        (tf.uint8, "1", 'JSON Value: "1" Type: String is not of expected type: uint8'),
        (tf.float32, None, "JSON Value: null Type: Null is not of expected type: float"),
        (tf.float32, False, "JSON Value: false Type: False is not of expected type: float"),
        (tf.float64, {"b64": "QQ=="}, "Type: Object is not of expected type: double"),
        (tf.float32, 10**400, "out of the range of the expected type: float"),
        (tf.bool, 1, "JSON Value: 1 Type: Number is not of expected type: bool"),
        (tf.string, 1, "JSON Value: 1 Type: Number is not of expected type: string"),
        (tf.string, {"b64": 1}, "not formatted correctly for base64 data"),
        (tf.string, {"b64": "QQ==", "more": 1}, "not formatted correctly for base64 data"),
        (tf.string, {"b64": "Q"}, "Unable to base64 decode"),
        (tf.string, {"b64": "Q!=="}, "Unable to base64 decode"),
        (tf.string, {"b64": "é"}, "Unable to base64 decode"),
        (tf.string, "\ud800", "The surrogate pair in string is invalid."),
    ],
)
def test_values_of_another_type(dtype, value, message):
    with pytest.raises(Refusal, match=message) as caught:
        inputs_of({"inputs": {"x": [value]}}, one((None,), dtype))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2], [3]], "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ([[1, 2], 3], "JSON Value: 3 found at incorrect level: 2 in the JSON DOM. Expected at"),
        ([1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        ([[[1]], [[2]]], "`x` must have the shape (None, 2), got (2, 1, 1)."),
        ([[1, 2, 3]], "`x` must have the shape (None, 2), got (1, 3)."),
        ([], "`x` must have the shape (None, 2), got (0,)."),
        (7, "`x` must have the shape (None, 2), got ()."),
    ],
)
def test_lists_of_another_shape(value, message):
    with pytest.raises(Refusal) as caught:
        inputs_of({"inputs": value}, one((None, 2), tf.int32))
    assert message in caught.value.message


def test_rows_must_be_as_many():
    specs = {"a": tf.TensorSpec((None,), tf.int32), "b": tf.TensorSpec((None,), tf.int32)}
    with pytest.raises(Refusal, match="as many rows, and at least 1, got 2 of a, 1 of b"):
        inputs_of({"inputs": {"a": [1, 2], "b": [3]}}, specs)
    with pytest.raises(Refusal, match="at least 1, got 0 of a, 0 of b"):
        inputs_of({"inputs": {"a": [], "b": []}}, specs)
    for form in ("instances", "inputs"):
        with pytest.raises(Refusal, match=f"^{form} is a plain"):
            inputs_of({form: [1, 2]}, specs)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xff{}", "JSON Parse error: 'utf-8' codec can't decode byte 0xff"),
        (b'{"a": 1', "JSON Parse error: Expecting ',' delimiter at offset: 7"),
        (b'{"a": ' + b"1" * 5000 + b"}", "JSON Parse error: Exceeds the limit"),
        (b'"text"', 'JSON Value: "text" Is not object'),
        (b"NaN", "JSON Value: NaN Is not object"),
        (b"[" * 9 + b"]" * 9, "nested deeper than 8"),
        (b"[" * 1_000_000, "nested deeper than 8"),
        (b'{"a":' * 1_000_000, "nested deeper than 8"),
    ],
)
def test_bodies_that_are_no_json(body, message):
    with pytest.raises(Refusal) as caught:
        parsed(body, nesting=8)
    assert message in caught.value.message


def test_brackets_in_texts_nest_nothing():
    content = {"a": "[[[[[[[[[[" + '\\"[[[[[', "b": [[1], [2]] * 20}
    assert parsed(json.dumps(content).encode(), nesting=3) == content
    assert parsed(b"\xef\xbb\xbf{}", nesting=1) == {}  # with a byte order mark


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 2_000_000, b'"' * 2_000_001, b"\\" * 2_000_000])
def test_unended_texts_take_no_longer_than_their_length(body):
    start = time.perf_counter()
    with pytest.raises(Refusal):
        parsed(body, nesting=8)
    assert time.perf_counter() - start < 5  # a quadratic search takes hours


def test_messages_are_short():
    with pytest.raises(Refusal) as caught:
        inputs_of({"instances": {"x": list(range(10**6))}}, one((None,), tf.int32))
    assert len(caught.value.message) < 250
