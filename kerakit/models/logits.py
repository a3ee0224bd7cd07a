"""The precision of a network's answers."""

import keras


def logits_dtype():
    """Type of the layers that give logits, whatever the others compute in: float32 at least.

    Under `mixed_float16` and `mixed_bfloat16` answers and losses stay float32; under `float64`
    all is float64.

    Example:

    >>> logits_dtype()
    'float32'
    """
    return "float64" if keras.config.dtype_policy().compute_dtype == "float64" else "float32"
