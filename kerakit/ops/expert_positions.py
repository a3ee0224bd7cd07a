"""Which place each token gets in the queue of each expert that it chose."""

from keras import ops


def expert_positions(experts, *, num_experts, capacity):
    """Places of tokens in their experts' queues, for a mixture of experts.

    Within an example, all first choices are served before any second choice, and tokens in
    their order among equals, as in GShard. An expert that is full turns away the rest. Examples
    have queues of their own, so that none depends on what else is in its batch.

    Args:
        experts: (B, N, A) integer experts that each token chose, best first, in
            [0, num_experts), no expert twice for a token.
        num_experts: E.
        capacity: Places an expert has for an example.

    Returns:
        (B, N, A) int32 places in [0, capacity), and -1 where the expert was full.

    Reference:
        Lepikhin et al., GShard: Scaling Giant Models with Conditional Computation and Automatic
        Sharding, 2020, Algorithm 1. Deviations: no random dropping of second choices.

    Example:

    >>> import numpy as np
    >>> experts = np.array([[[0, 1], [0, 1], [1, 0]]])  # three tokens, two choices each
    >>> ops.convert_to_numpy(expert_positions(experts, num_experts=2, capacity=2)).tolist()
    [[[0, 1], [1, -1], [0, -1]]]
    """
    experts = ops.cast(experts, "int32")
    num_tokens, num_choices = experts.shape[1:]
    in_order = ops.reshape(ops.transpose(experts, (0, 2, 1)), (-1, num_choices * num_tokens))
    is_chosen = ops.one_hot(in_order, num_experts, dtype="int32")
    ahead = ops.cumsum(is_chosen, axis=1) - is_chosen
    places = ops.sum(ahead * is_chosen, axis=-1)
    places = ops.where(places < capacity, places, -1)
    return ops.transpose(ops.reshape(places, (-1, num_choices, num_tokens)), (0, 2, 1))
