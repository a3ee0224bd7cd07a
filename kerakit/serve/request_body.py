"""The body of a request to predict: its signature, and its inputs in rows or in columns.

Reference:
    TensorFlow Serving's `json_tensor.cc` (Apache-2.0). Deviation: all inputs of a request must
    have as many rows, in the column form too.
"""

import codecs
import json
import re

import numpy as np

from kerakit.serve.json_tensor import is_binary, shape_shown, shown, tensor
from kerakit.serve.protocol import Refusal

# Possessive, and without need of an end, so that no text takes more than one pass.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def parsed(body, *, nesting):
    """The object that a request's body holds.

    Args:
        body: bytes.
        nesting: Depth of lists and objects that is taken.

    Returns:
        A dict.

    Raises:
        Refusal: If it is no JSON object, or a deeper one.

    Example:

    >>> parsed(b'{"instances": [1, NaN]}', nesting=8)
    {'instances': [1, nan]}
    """
    if not body:
        raise Refusal(400, "JSON Parse error: The document is empty")
    if _depth(body) > nesting:
        raise Refusal(400, f"JSON Parse error: Lists and objects are nested deeper than {nesting}.")
    try:
        # Not as "utf-8-sig": that codec would be loaded from its file when the first request comes.
        content = json.loads(body.removeprefix(codecs.BOM_UTF8).decode())
    except json.JSONDecodeError as error:
        what = error.msg.replace("Expecting value", "Invalid value.")
        raise Refusal(400, f"JSON Parse error: {what} at offset: {error.pos}") from None
    except ValueError as error:  # not UTF-8, or a number of thousands of digits
        raise Refusal(400, f"JSON Parse error: {error}") from None
    if not isinstance(content, dict):
        raise Refusal(400, f"JSON Value: {shown(content)} Is not object")
    return content


def _depth(body):
    brackets = np.frombuffer(_STRING.sub(b"", body).translate(None, _NO_BRACKETS), np.uint8)
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    return np.cumsum(np.where(opening, 1, -1)).max(initial=0)


def signature_name(content):
    """The signature that a request names, or the default one."""
    name = content.get("signature_name", "")
    if not isinstance(name, str):
        raise Refusal(
            400,
            f"JSON Value: {shown(content)} not formatted correctly. 'signature_name' key must be "
            "a string value.",
        )
    return name or "serving_default"


def inputs_of(content, specs):
    """The inputs of a signature, in the row form ("instances") or in the column form ("inputs").

    Args:
        content: Object as of `parsed`.
        specs: Dict from the inputs' names to their `tf.TensorSpec`.

    Returns:
        Dict of arrays whose first axis are the rows, as of `tensor`, and the form.

    Raises:
        Refusal: If they do not fit.

    Example:

    >>> import tensorflow as tf
    >>> specs = {"x": tf.TensorSpec((None,), tf.float32)}
    >>> inputs_of({"instances": [1.0, 2]}, specs)
    ({'x': array([1., 2.], dtype=float32)}, 'instances')
    """
    forms = [form for form in ("instances", "inputs") if form in content]
    if not forms:
        raise Refusal(400, "Missing 'inputs' or 'instances' key")
    if len(forms) > 1:
        raise Refusal(
            400,
            f"JSON Value: {shown(content)} Not formatted correctly expecting only one of 'inputs' "
            "or 'instances' keys to exist",
        )
    (form,) = forms
    inputs = (_of_rows if form == "instances" else _of_columns)(content[form], specs)
    _check_shapes(inputs, specs)
    return inputs, form


def _of_rows(instances, specs):
    if not isinstance(instances, list):
        raise Refusal(
            400, f"JSON Value: {shown(instances)} Expecting 'instances' to be a list/array"
        )
    if not instances:
        raise Refusal(400, "No values in 'instances' array")
    named = _is_named(instances[0])
    if not named and len(specs) > 1:
        raise Refusal(
            400,
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map",
        )
    columns = {name: [] for name in specs}
    for number, instance in enumerate(instances):
        if named != _is_named(instance):
            expected, got = ("object", "list") if named else ("value/list", "object")
            raise Refusal(400, f"Expecting {expected} but got {got} at item {number} of input list")
        values = instance if named else dict.fromkeys(specs, instance)
        if values.keys() != specs.keys():
            raise Refusal(
                400,
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{shown(instance)} keys must be equal to: {','.join(sorted(specs))}",
            )
        for name, column in columns.items():
            try:
                column.append(_alike(tensor(values[name], specs[name].dtype), column))
            except Refusal as refusal:
                raise Refusal(
                    400,
                    f"Failed to process element: {number} key: {name} of 'instances' list. Error: "
                    f"INVALID_ARGUMENT: {refusal.message}",
                ) from None
    return {name: np.stack(column) for name, column in columns.items()}


def _alike(array, before):
    if before and array.shape != before[0].shape:
        expected, got = shape_shown(before[0].shape), shape_shown(array.shape)
        raise Refusal(400, f"Expecting shape {expected} but got: {got}")
    return array


def _of_columns(inputs, specs):
    if not _is_named(inputs):
        if len(specs) > 1:
            raise Refusal(
                400,
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map",
            )
        inputs = dict.fromkeys(specs, inputs)
    for name in specs:
        if name not in inputs:
            raise Refusal(400, f"Missing named input: {name} in 'inputs' object.")
    return {name: tensor(inputs[name], spec.dtype) for name, spec in specs.items()}


def _is_named(value):
    """Whether it is an object of named inputs, and not a binary value."""
    return isinstance(value, dict) and not is_binary(value)


def _check_shapes(inputs, specs):
    for name, array in inputs.items():
        shape = specs[name].shape
        if array.ndim == 0 or not shape.is_compatible_with(array.shape):
            raise Refusal(400, f"`{name}` must have the shape {shape}, got {array.shape}.")
    rows = {len(array) for array in inputs.values()}
    if len(rows) > 1 or 0 in rows:
        counts = ", ".join(f"{len(array)} of {name}" for name, array in inputs.items())
        raise Refusal(400, f"Each input must have as many rows, and at least 1, got {counts}.")
