import keras
import pytest

from kerakit.training import precision


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_layers_made_within_follow_the_policy(policy):
    with precision(policy):
        layer = keras.layers.Dense(2)
    layer.build((None, 3))
    assert layer.compute_dtype == policy.removeprefix("mixed_")
    assert layer.kernel.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_the_policy_comes_back_after_an_error():
    with pytest.raises(RuntimeError), precision("mixed_bfloat16"):
        raise RuntimeError
    assert keras.config.dtype_policy().name == "float32"


def test_other_policies_are_refused():
    message = "`policy` must be one of float32, mixed_bfloat16, mixed_float16, got 'float64'"
    with pytest.raises(ValueError, match=message), precision("float64"):
        pass
