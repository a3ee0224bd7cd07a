"""TensorFlow Serving's REST API: which address asks for what, and how it is refused.

Reference:
    TensorFlow Serving, "RESTful API" (tensorflow.org/tfx/serving/api_rest). Addresses are those
    of its `http_rest_api_util.cc`, statuses those of `http_server.cc`, messages those of
    `http_rest_api_handler.cc`, `get_model_status_impl.cc` and `classifier.cc` (Apache-2.0).
    Deviations: no version labels; `GET /v1/models`, which it refuses, lists the models.
"""

import re
from typing import NamedTuple

_ADDRESSES = {
    "GET": re.compile(r"/v1/models/([^/:]+)(?:/versions/([0-9]+))?(?:/(metadata))?", re.I),
    "POST": re.compile(
        r"/v1/models/([^/:]+)(?:/versions/([0-9]+))?:(classify|regress|predict)", re.I
    ),
}


class Refusal(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: Sentence for the client.
        headers: Dict of further headers, or None.
    """

    def __init__(self, status, message, headers=None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


class Asked(NamedTuple):
    """What an address asks for; `version` is None for the newest."""

    model: str
    version: int | None
    action: str  # "status", "metadata", "predict", "classify" or "regress"


def asked_by(method, path):
    """What a request's first line asks for.

    Args:
        method: HTTP method.
        path: Path, decoded, without the query.

    Returns:
        `Asked`.

    Raises:
        Refusal: If it is no address of the API.

    Example:

    >>> asked_by("POST", "/v1/models/digits/versions/3:predict")
    Asked(model='digits', version=3, action='predict')
    """
    found = method in _ADDRESSES and _ADDRESSES[method].fullmatch(path)
    if not found:
        raise Refusal(400, f"Malformed request: {method} {path}")
    model, version, action = found.groups()
    # TensorFlow Serving's versions are 64-bit integers, of 19 digits at most.
    if version and (len(version) > 19 or int(version) >= 2**63):
        raise Refusal(400, f"Failed to convert version: {version} to numeric.")
    return Asked(model, int(version) if version else None, (action or "status").lower())


def not_served(model, version):
    """The refusal where no such model or version answers."""
    servable = f"Latest({model})" if version is None else f"Specific({model}, {version})"
    return Refusal(404, f"Servable not found for request: {servable}")


def no_status(model, version):
    """The refusal where nothing is known of a model or version."""
    if version is None:
        return Refusal(404, f"Could not find any versions of model {model}")
    return Refusal(404, f"Could not find version {version} of model {model}")


def no_signature(name):
    """The refusal where a version has no such signature."""
    return Refusal(400, f'Serving signature name: "{name}" not found in signature def')


def not_of_method(action, found):
    """The refusal of `classify` and `regress`, for which a signature must be made.

    Args:
        action: "classify" or "regress".
        found: The signature's `method_name`.
    """
    kind = {"classify": "classification", "regress": "regression"}[action]
    return Refusal(
        400,
        f"Expected {kind} signature method_name to be tensorflow/serving/{action}. Was: {found}",
    )


def statuses(states):
    """The answer of the status address: a `GetModelStatusResponse` as JSON.

    Args:
        states: Dict from numbers of versions to (state, error message).
    """
    return {
        "model_version_status": [
            {
                "version": str(number),
                "state": state,
                "status": {
                    "error_code": "DATA_LOSS" if error else "OK",
                    "error_message": error,
                },
            }
            for number, (state, error) in sorted(states.items(), reverse=True)
        ]
    }


def metadata(model, version, signatures):
    """The answer of the metadata address: a `GetModelMetadataResponse` as JSON.

    Args:
        model: Name of the model.
        version: Number of its version.
        signatures: Dict from names to `SignatureDef`s as JSON.
    """
    return {
        "model_spec": {"name": model, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }
