"""Requests and answers that TensorFlow Serving's documentation and tests state."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf

from kerakit.data import Preparation
from kerakit.export.warmup import write_warmup
from tests.serve.client import serving


class HalfPlusThree(tf.Module):
    """The model of "RESTful API", section Example, and one of bytes."""

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def half_plus_three(self, x):
        return {"y": 0.5 * x + 3.0}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    def twice(self, text):
        return {"text": text + text, "text_bytes": text + text, "length": tf.strings.length(text)}


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    folder = directory / "half_plus_three" / "00000123"
    module = HalfPlusThree()
    signatures = {"serving_default": module.half_plus_three, "twice": module.twice}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    preparation = Preparation(height=1, width=1).to_dict()
    card = {"task": "classification", "classes": [], "verification": None}
    (folder / "card.json").write_text(json.dumps({**card, "preparation": preparation}))
    write_warmup(folder, {"serving_default": {"x": np.float32([1.0])}}, model_name="half")
    with serving(directory) as client:
        yield client


def test_status(half):
    documented = {
        "model_version_status": [
            {
                "version": "123",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    assert half.get("/v1/models/half_plus_three") == (200, documented)
    assert half.get("/v1/models/half_plus_three/versions/123") == (200, documented)
    assert half.get("/V1/Models/half_plus_three") == (200, documented)  # (?i) in its patterns


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"instances": [1.0, 2.0, 5.0]}, {"predictions": [3.5, 4.0, 5.5]}),
        ({"inputs": [1.0, 2.0, 5.0]}, {"outputs": [3.5, 4.0, 5.5]}),
        ({"instances": [[1.0, 2.0], [3.0, 4.0]]}, {"predictions": [[3.5, 4.0], [4.5, 5.0]]}),
        ({"instances": [{"x": 1}, {"x": 5}]}, {"predictions": [3.5, 5.5]}),
        ({"inputs": {"x": [1, 5]}}, {"outputs": [3.5, 5.5]}),
        ({"signature_name": "serving_default", "instances": [2]}, {"predictions": [4.0]}),
        ({"signature_name": "", "instances": [2]}, {"predictions": [4.0]}),
    ],
)
@pytest.mark.parametrize("version", ["", "/versions/123"])
def test_predict(half, version, body, answer):
    path = f"/v1/models/half_plus_three{version}:predict"
    status, found, headers = half.ask(path, body)
    assert (status, found) == (200, answer)
    assert headers["content-type"] == "application/json"


def test_what_json_has_not(half):
    body = b'{"instances": [NaN, Infinity, -Infinity]}'
    _, found = half.predict(body, "half_plus_three")
    nan, *infinite = found["predictions"]
    assert math.isnan(nan)
    assert infinite == [math.inf, -math.inf]


def test_bytes(half):
    body = {"signature_name": "twice", "instances": ["é", {"b64": "/w=="}]}
    assert half.predict(body, "half_plus_three")[1]["predictions"] == [
        {"text": "éé", "text_bytes": {"b64": "w6nDqQ=="}, "length": 2},
        {"text": "��", "text_bytes": {"b64": "//8="}, "length": 1},
    ]
    body = {"signature_name": "twice", "inputs": ["ab", "c"]}
    assert half.predict(body, "half_plus_three")[1]["outputs"] == {
        "text": ["abab", "cc"],
        "text_bytes": [{"b64": "YWJhYg=="}, {"b64": "Y2M="}],
        "length": [2, 1],
    }


def test_metadata(half):
    for path in ("", "/versions/123"):
        status, found = half.get(f"/v1/models/half_plus_three{path}/metadata")
        assert status == 200
        spec = {"name": "half_plus_three", "signature_name": "", "version": "123"}
        assert found["model_spec"] == spec
        signature = found["metadata"]["signature_def"]["signature_def"]["twice"]
        assert signature["method_name"] == "tensorflow/serving/predict"
        assert signature["inputs"] == {
            "text": {
                "dtype": "DT_STRING",
                "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
                "name": "twice_text:0",
            }
        }
        assert set(signature["outputs"]) == {"text", "text_bytes", "length"}


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        # What http_rest_api_handler_test.cc refuses.
        ("GET", "/v1/foo", 400, "Malformed request: GET /v1/foo"),
        ("POST", "/v1/foo", 400, "Malformed request: POST /v1/foo"),
        ("GET", "/v1/models/debug/model_name", 400, "Malformed request"),
        ("GET", "/v1/models/foo:predict", 400, "Malformed request"),
        ("GET", "/v1/models/foo/version/50:predict", 400, "Malformed request"),
        ("POST", "/v1/models/foo/version/50:regress", 400, "Malformed request"),
        ("POST", "/v1/models/foo/versions/HELLO:regress", 400, "Malformed request"),
        ("POST", f"/v1/models/foo/versions/{2**64 - 1}:regress", 400, "Failed to convert version"),
        ("POST", f"/v1/models/foo/versions/{'9' * 5000}:regress", 400, "Failed to convert version"),
        ("POST", "/v1/models/foo/metadata", 400, "Malformed request"),
        ("DELETE", "/v1/models/half_plus_three", 400, "Malformed request: DELETE"),
        # Example of "RESTful API".
        ("POST", "/v1/models/half:predict", 404, "Servable not found for request: Latest(half)"),
        (
            "POST",
            "/v1/models/half_plus_three/versions/7:predict",
            404,
            "Servable not found for request: Specific(half_plus_three, 7)",
        ),
        ("GET", "/v1/models/half/metadata", 404, "Servable not found for request: Latest(half)"),
        ("GET", "/v1/models/half", 404, "Could not find any versions of model half"),
        (
            "GET",
            "/v1/models/half_plus_three/versions/7",
            404,
            "Could not find version 7 of model half_plus_three",
        ),
        ("GET", "/etc/passwd", 404, "Not Found"),
        ("GET", "/v1/models/..%2F..%2Fetc%2Fpasswd", 400, "Malformed request"),
        ("GET", "/v1/models/..", 404, "Could not find any versions of model .."),
    ],
)
def test_addresses_that_are_refused(half, method, path, status, message):
    body = {"instances": [1.0, 5.0]} if method == "POST" else None
    found, content, _ = half.ask(path, body, method=method)
    assert found == status
    assert list(content) == ["error"]
    assert content["error"].startswith(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"instances = [1, 2]", "JSON Parse error: Invalid value"),
        (b"[1]", "JSON Value: [1] Is not object"),
        ({"instances": ["x", "y"]}, "not of expected type: float"),
        ({"instances": [1], "signature_name": 100}, "'signature_name' key must be a string value."),
        (
            {"instances": [1], "signature_name": "other"},
            'Serving signature name: "other" not found in signature def',
        ),
        ({"examples": [1]}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [1], "inputs": [1]}, "expecting only one of 'inputs' or 'instances'"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": 1}, "Expecting 'instances' to be a list/array"),
        ({"inputs": 1}, "`x` must have the shape"),
        ({"inputs": {"y": [1]}}, "Missing named input: x in 'inputs' object."),
        ({"instances": [{"y": 1}]}, "keys must be equal to: x"),
        ({"instances": [{"x": 1}, 2]}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [1, {"x": 1}]}, "Expecting value/list but got object at item 1"),
        ({"instances": [[1], [1, 2]]}, "Failed to process element: 1 key: x of 'instances' list."),
        ({"instances": [1e39]}, "Cannot convert JSON value: 1e+39 to float without loss"),
    ],
)
def test_bodies_that_are_refused(half, body, message):
    assert message in half.error(body, "half_plus_three")


@pytest.mark.parametrize(
    ("method", "kind"), [("classify", "classification"), ("regress", "regression")]
)
def test_no_signature_is_made_to_classify(half, method, kind):
    status, content, _ = half.ask(f"/v1/models/half_plus_three:{method}", {"examples": [{"x": 1}]})
    assert status == 400
    assert content["error"] == (
        f"Expected {kind} signature method_name to be tensorflow/serving/{method}. "
        "Was: tensorflow/serving/predict"
    )
