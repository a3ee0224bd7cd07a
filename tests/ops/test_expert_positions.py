import numpy as np
import pytest

from kerakit.ops import expert_positions
from tests.conformance.case import assert_close


def positions_by_loop(experts, num_experts, capacity):
    places = np.full(experts.shape, -1)
    for example, choices in enumerate(experts):
        served = [0] * num_experts
        for choice in range(experts.shape[2]):
            for token, expert in enumerate(choices[:, choice]):
                if served[expert] < capacity:
                    places[example, token, choice] = served[expert]
                    served[expert] += 1
    return places


@pytest.mark.parametrize("capacity", [1, 3, 20])
@pytest.mark.parametrize("num_choices", [1, 2, 4])
def test_equals_the_loop(num_choices, capacity, rng):
    experts = rng.permuted(np.tile(np.arange(4), (3, 20, 1)), axis=-1)[..., :num_choices]
    found = expert_positions(experts, num_experts=4, capacity=capacity)
    assert_close(found, positions_by_loop(experts, 4, capacity), rtol=0, atol=0)


def test_first_choices_come_before_second_ones():
    experts = np.array([[[1, 0], [2, 0], [0, 2]]])
    found = expert_positions(experts, num_experts=3, capacity=2)
    # Expert 0: the last token's first choice, then one second choice; the other finds it full.
    assert_close(found, np.array([[[0, 1], [0, -1], [0, 1]]]), rtol=0, atol=0)
