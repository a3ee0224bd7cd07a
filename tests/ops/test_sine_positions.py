import numpy as np
import pytest
from keras import ops

from kerakit.ops import sine_positions
from tests.conformance.case import assert_close
from tests.layers.test_token_layers import sines_by_loop


def test_equals_the_loop(rng):
    positions = rng.uniform(-5, 5, 20)
    found = sine_positions(positions.astype("float32"), 6, longest=30.0)
    assert_close(found, sines_by_loop(positions, 6, 30.0), rtol=0, atol=1e-5)


def test_a_step_is_the_same_rotation_everywhere():
    """The paper's reason: PE(p + k) is a linear function of PE(p), which k alone decides."""
    table = ops.convert_to_numpy(sine_positions(np.arange(40.0), 8))
    step, *_ = np.linalg.lstsq(table[:20], table[3:23], rcond=None)
    assert_close(table[17:37] @ step, table[20:40], atol=1e-3)


@pytest.mark.parametrize("width", [0, 5])
def test_errors(width):
    with pytest.raises(ValueError, match=f"`width` must be even and positive, got {width}."):
        sine_positions(np.arange(3.0), width)
