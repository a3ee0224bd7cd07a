"""The body of an answer, in the form in which it was asked for.

Reference:
    TensorFlow Serving's `json_tensor.cc` (Apache-2.0). Deviation: bytes that are no UTF-8, in an
    output whose name does not end in `_bytes`, are replaced, as JSON cannot hold them.
"""

import base64
import json

import numpy as np

from kerakit.serve.protocol import Refusal

_AT_ONCE = 50_000  # values written in one go, for which other threads stand still


def answer_text(rows, form):
    """An answer as JSON.

    Args:
        rows: For each row of the request a dict of arrays, by the outputs' names.
        form: "instances" or "inputs".

    Returns:
        str. Of one output the values alone, else objects by the outputs' names.

    Raises:
        Refusal: If rows of unlike shapes are to be one column.

    Example:

    >>> answer_text([{"y": np.float32(0.2)}, {"y": np.float32(3)}], "instances")
    '{"predictions": [0.2, 3.0]}'
    >>> answer_text([{"y": np.float32(0.2)}, {"y": np.float32(3)}], "inputs")
    '{"outputs": [0.2, 3.0]}'
    """
    if form == "instances":
        return f'{{"predictions": [{", ".join(map(_named, rows))}]}}'
    return f'{{"outputs": {_named(_columns(rows))}}}'


def _columns(rows):
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for name, values in columns.items():
        if len({np.shape(value) for value in values}) > 1:
            raise Refusal(
                400,
                f"`outputs` cannot hold {name} of several sizes; ask with `instances`, or for one "
                "at a time.",
            )
    return {name: np.stack(values) for name, values in columns.items()}


def _named(values):
    texts = {name: _text(name, np.asarray(array)) for name, array in values.items()}
    if len(texts) == 1:
        return next(iter(texts.values()))
    return f"{{{', '.join(f'{json.dumps(name)}: {text}' for name, text in texts.items())}}}"


def _text(name, array):
    if array.ndim and array.size > _AT_ONCE:
        return f"[{', '.join(_text(name, part) for part in array)}]"
    if array.dtype.kind == "f":
        array = _decimal(array)
    of_bytes = _base64 if name.endswith("_bytes") else _utf8
    return json.dumps(array.tolist(), default=of_bytes, ensure_ascii=False)


def _decimal(array):
    """The numbers with as few decimals as give the same float32 again: 0.2, not 0.200000003."""
    wide = array.astype(np.float64)
    if array.dtype == np.float64:
        return wide
    short, long = (_rounded(wide, digits) for digits in (6, 9))
    return np.where(short.astype(np.float32) == array, short, long)


def _rounded(values, digits):
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = digits - 1 - np.floor(np.log10(np.abs(values)))
        # Powers of ten are exact up to 10**22, and a quotient of two such numbers is the nearest.
        up, down = 10.0 ** np.maximum(exponent, 0), 10.0 ** np.maximum(-exponent, 0)
        rounded = np.round(values * up / down) / up * down
    return np.where(np.isfinite(rounded), rounded, values)


def _utf8(value):
    return value.decode("utf-8", "replace")


def _base64(value):
    return {"b64": base64.b64encode(value).decode()}
