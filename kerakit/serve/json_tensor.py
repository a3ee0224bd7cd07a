"""A JSON value to an array of a TensorFlow type.

Reference:
    TensorFlow Serving's `json_tensor.cc` (Apache-2.0): types and messages. Deviation: values in
    messages are cut short.
"""

import binascii
import itertools
import json

import numpy as np

from kerakit.serve.protocol import Refusal

_SERVING_NAMES = {"float32": "float", "float64": "double"}


def tensor(value, dtype):
    """The array that a JSON value means.

    Args:
        value: What `json.loads` gives: a number, text, {"b64": text}, or lists of them.
        dtype: `tf.DType`; strings become objects of type bytes.

    Returns:
        NumPy array.

    Raises:
        Refusal: If a value is of another type, or lists are of unlike sizes.

    Example:

    >>> import tensorflow as tf
    >>> tensor([{"b64": "aGk="}, "there"], tf.string)
    array([b'hi', b'there'], dtype=object)
    """
    leaves, shape = _flat(value)
    if dtype == "string":
        array = np.empty(len(leaves), object)
        array[:] = [_bytes(leaf) for leaf in leaves]
    else:
        array = _numbers(leaves, dtype)
    return array.reshape(shape)


def is_binary(value):
    """Whether a JSON value is one binary string, {"b64": text}."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def shown(value, *, length=100):
    """A JSON value for a message, cut short."""
    # Text by text, as the value may have millions of numbers.
    parts = json.JSONEncoder(ensure_ascii=False).iterencode(value)
    text = "".join(part[: length + 1] for part in itertools.islice(parts, length + 1))
    return text if len(text) <= length else f"{text[:length]}..."


def shape_shown(shape):
    """A shape for a message, as TensorFlow Serving writes it."""
    return f"[{','.join(map(str, shape))}]"


def _flat(value):
    """The values in nested lists, and the lists' shape."""
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    level = [value]
    # Level by level, not list by list: an image is many thousand lists.
    for axis, size in enumerate(shape):
        if set(map(type, level)) > {list}:
            item = next(item for item in level if not isinstance(item, list))
            raise Refusal(
                400,
                f"JSON Value: {shown(item)} found at incorrect level: {axis + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}",
            )
        for other in set(map(len, level)) - {size}:
            raise Refusal(
                400,
                f"Encountered list at unexpected size: {other} at level: {axis} expected size: "
                f"{size}",
            )
        level = list(itertools.chain.from_iterable(level))
    if list in set(map(type, level)):
        raise Refusal(
            400, f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}"
        )
    return level, shape


def _numbers(leaves, dtype):
    allowed = {bool} if dtype.is_bool else {int} if dtype.is_integer else {int, float}
    if not set(map(type, leaves)) <= allowed:
        raise _wrong_type(next(leaf for leaf in leaves if type(leaf) not in allowed), dtype)
    try:
        if not dtype.is_floating:
            return np.array(leaves, dtype.as_numpy_dtype)
        wide = np.array(leaves, np.float64)
    except OverflowError:
        raise Refusal(
            400, f"A JSON number is out of the range of the expected type: {_type_shown(dtype)}"
        ) from None
    with np.errstate(over="ignore"):
        narrow = wide.astype(dtype.as_numpy_dtype)
    lost = np.isfinite(wide) & ~np.isfinite(narrow)
    if lost.any():
        raise Refusal(
            400,
            f"Cannot convert JSON value: {wide[lost][0]:g} to {_type_shown(dtype)} without loss of "
            "precision.",
        )
    return narrow


def _bytes(leaf):
    if isinstance(leaf, str):
        try:
            return leaf.encode()
        except UnicodeEncodeError:
            raise Refusal(400, "The surrogate pair in string is invalid.") from None
    if is_binary(leaf):
        try:
            return _from_base64(leaf["b64"])
        except ValueError:
            raise Refusal(400, "Unable to base64 decode") from None
    if isinstance(leaf, dict):
        raise Refusal(400, f"JSON Value: {shown(leaf)} not formatted correctly for base64 data")
    raise _wrong_type(leaf, "string")


def _from_base64(text):
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        # As TensorFlow Serving's decoder: white space is skipped, padding may be left out.
        text = "".join(text.split())
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)


def _wrong_type(leaf, dtype):
    named = {bool: str(leaf), str: "String", dict: "Object", type(None): "Null"}
    return Refusal(
        400,
        f"JSON Value: {shown(leaf)} Type: {named.get(type(leaf), 'Number')} is not of expected "
        f"type: {_type_shown(dtype)}",
    )


def _type_shown(dtype):
    name = getattr(dtype, "name", dtype)
    return _SERVING_NAMES.get(name, name)
