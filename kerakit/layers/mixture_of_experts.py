"""A feed-forward of many experts, of which each token visits a few."""

import math

import keras
from keras import ops

from kerakit.initializers import another
from kerakit.layers.arguments import check_whole
from kerakit.ops.expert_positions import expert_positions


@keras.saving.register_keras_serializable(package="kerakit")
class MixtureOfExperts(keras.layers.Layer):
    """E feed-forwards, of which a learned router picks A for each token.

    `y = sum over the A best experts e of g_e FFN_e(x)`, `p = softmax(x W_r)`. The gates g are
    the chosen experts' p over their sum; with A = 1 that would be 1 whatever the router does, so
    g is p itself. With E = A = 1 the layer is `FeedForward` exactly. Keras has none. Tokens are
    gathered into a fixed number of places an expert, so that all shapes are static; the time is
    that of about `capacity_factor A` dense feed-forwards, not of E.

    An expert has `C = ceil(capacity_factor A N / E)` places for the N tokens of an example. All
    first choices come before second ones, and tokens in their order; a choice of a full expert
    is dropped, and a token of which all are dropped gives 0, which on a residual leaves it as it
    was. Examples do not compete, so that an example's output does not depend on its batch.

    In training a loss is added that is smallest, `loss_weight`, when all experts are chosen
    alike: `loss_weight E sum_e f_e P_e`, where f is the share of the choices that went to e and
    P the mean of its p. Without it a few experts win all tokens. It is not added in evaluation,
    so that a validation loss is the task's. How many choices were dropped is counted;
    `kerakit.callbacks.LayerFigures` writes both figures into the logs of `fit`.

    Args:
        num_experts: E.
        num_active: A, at most E.
        hidden_dim: d_ff of each expert.
        activation: Of the experts.
        capacity_factor: Places an expert has, over those it needs if all are chosen alike;
            `E / A` or more drops nothing.
        loss_weight: Weight of the balancing loss.
        drop_rate: Share of the hidden features dropped in training, [0, 1).
        kernel_initializer: Of the experts' kernels, each drawn as if it stood alone.
        seed: Of the dropout.
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        x: (B, ..., d) tokens, whose number in an example is known.
        training: Whether to drop features, to add the loss and to count.

    Returns:
        Tensor of the shape of `x`. The router computes in float32 under mixed precision too.

    Raises:
        ValueError: If an argument is out of its range; if the number of tokens is unknown.

    Reference:
        Shazeer et al., Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts
        Layer, 2017, Eq. 1; Fedus et al., Switch Transformers, 2021, Eq. 3 (capacity) and 4
        (loss). Deviations: softmax before the choice and no noise on the router; capacity an
        example, not a batch; f counts all A choices.

    Example:

    >>> import numpy as np
    >>> layer = MixtureOfExperts(4, 2, hidden_dim=8)
    >>> tuple(layer(np.ones((2, 6, 3))).shape)
    (2, 6, 3)
    >>> [tuple(w.shape) for w in layer.trainable_weights]
    [(3, 4), (4, 3, 8), (4, 1, 8), (4, 8, 3), (4, 1, 3)]
    """

    figure_names = ("balance_loss", "dropped_fraction")

    def __init__(
        self,
        num_experts,
        num_active,
        *,
        hidden_dim,
        activation="relu",
        capacity_factor=1.25,
        loss_weight=0.01,
        drop_rate=0.0,
        kernel_initializer="glorot_uniform",
        seed=None,
        **options,
    ):
        check_whole(num_experts=num_experts, num_active=num_active, hidden_dim=hidden_dim)
        if num_active > num_experts:
            raise ValueError(
                f"`num_active` must be in [1, {num_experts}], the number of experts, got "
                f"{num_active}."
            )
        if not (capacity_factor > 0 and math.isfinite(capacity_factor)):
            raise ValueError(
                f"`capacity_factor` must be positive and finite, got {capacity_factor}."
            )
        if loss_weight < 0:
            raise ValueError(f"`loss_weight` must be at least 0, got {loss_weight}.")
        if not 0 <= drop_rate < 1:
            raise ValueError(f"`drop_rate` must be in [0, 1), got {drop_rate}.")
        super().__init__(**options)
        self.num_experts = num_experts
        self.num_active = num_active
        self.hidden_dim = hidden_dim
        self.activation = keras.activations.get(activation)
        self.capacity_factor = capacity_factor
        self.loss_weight = loss_weight
        self.drop_rate = drop_rate
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed = seed
        self.supports_masking = True
        self.dropout = keras.layers.Dropout(drop_rate, seed=seed, dtype=self.dtype_policy)

    def build(self, input_shape):
        if len(input_shape) < 3 or None in input_shape[1:]:
            raise ValueError(
                f"`x` must be (B, ..., d) tokens, all but B known, got shape {tuple(input_shape)}."
            )
        width, experts, hidden = input_shape[-1], self.num_experts, self.hidden_dim
        self.router = self.add_weight(
            (width, experts), initializer="glorot_uniform", autocast=False, name="router"
        )
        self.kernel_1 = self.add_weight(
            (experts, width, hidden), initializer=self._a_kernel_an_expert, name="kernel_1"
        )
        self.bias_1 = self.add_weight((experts, 1, hidden), initializer="zeros", name="bias_1")
        self.kernel_2 = self.add_weight(
            (experts, hidden, width), initializer=self._a_kernel_an_expert, name="kernel_2"
        )
        self.bias_2 = self.add_weight((experts, 1, width), initializer="zeros", name="bias_2")
        # Number of steps, then the sum of each figure over them. See `LayerFigures`.
        self.figure_totals = self.add_weight(
            (1 + len(self.figure_names),),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            autocast=False,
            aggregation="mean",
            name="figure_totals",
        )

    def _a_kernel_an_expert(self, shape, dtype=None):
        # Of (E, d, d_ff) an initializer would take E for the size of a window.
        return ops.stack(
            [another(self.kernel_initializer, e)(shape[1:], dtype=dtype) for e in range(shape[0])]
        )

    def capacity(self, num_tokens):
        """Places that each expert has for an example of so many tokens."""
        fair_share = self.num_active * num_tokens / self.num_experts
        return min(num_tokens, math.ceil(self.capacity_factor * fair_share))

    def call(self, x, training=None):
        width = x.shape[-1]
        num_tokens = math.prod(x.shape[1:-1])
        capacity = self.capacity(num_tokens)
        tokens = ops.reshape(x, (-1, num_tokens, width))
        probabilities = self._probabilities(tokens)
        gates, experts = ops.top_k(probabilities, self.num_active)
        if self.num_active > 1:
            gates = gates / ops.sum(gates, axis=-1, keepdims=True)
        places = expert_positions(experts, num_experts=self.num_experts, capacity=capacity)
        is_served = places >= 0
        if training:
            self._note(probabilities, experts, is_served)

        # Places of all experts in one row, an expert's for the whole batch side by side.
        batch = ops.shape(tokens)[0]
        example = ops.arange(batch, dtype="int32")[:, None, None]
        slots = (ops.cast(experts, "int32") * batch + example) * capacity + places
        gates = ops.cast(ops.where(is_served, gates, 0.0), tokens.dtype)
        num_slots = self.num_experts * batch * capacity
        nowhere = num_slots  # one place more, for those turned away
        sources = _sources(ops.where(is_served, slots, nowhere), num_slots)
        gathered = ops.take(ops.reshape(tokens, (-1, width)), sources, axis=0)
        answers = self._experts(ops.reshape(gathered, (self.num_experts, -1, width)), training)
        answers = ops.reshape(answers, (-1, width))
        slots = ops.where(is_served, slots, 0)
        y = sum(
            gates[..., choice, None] * ops.take(answers, slots[..., choice], axis=0)
            for choice in range(self.num_active)
        )
        return ops.reshape(y, (-1, *x.shape[1:]))

    def _probabilities(self, tokens):
        dtype = keras.backend.result_type(tokens.dtype, "float32")
        logits = ops.matmul(ops.cast(tokens, dtype), ops.cast(self.router, dtype))
        # Keras's softmax warns of a single expert, whose probability is rightly 1.
        return ops.exp(logits - ops.logsumexp(logits, axis=-1, keepdims=True))

    def _experts(self, x, training):
        hidden = self.activation(ops.matmul(x, self.kernel_1) + self.bias_1)
        hidden = self.dropout(hidden, training=training)
        return ops.matmul(hidden, self.kernel_2) + self.bias_2

    def _note(self, probabilities, experts, is_served):
        """Adds the balancing loss, and both figures to the totals."""
        chosen = ops.one_hot(experts, self.num_experts, dtype=probabilities.dtype)
        share = ops.mean(chosen, axis=(0, 1, 2))
        balance = self.num_experts * ops.sum(share * ops.mean(probabilities, axis=(0, 1)))
        self.add_loss(self.loss_weight * balance)
        dropped = ops.mean(ops.cast(ops.logical_not(is_served), "float32"))
        step = ops.stack([1.0, ops.cast(balance, "float32"), dropped])
        self.figure_totals.assign_add(ops.stop_gradient(step))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "num_active": self.num_active,
            "hidden_dim": self.hidden_dim,
            "activation": keras.activations.serialize(self.activation),
            "capacity_factor": self.capacity_factor,
            "loss_weight": self.loss_weight,
            "drop_rate": self.drop_rate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "seed": self.seed,
        }


def _sources(slots, num_slots):
    """Row of the token in each slot; an empty one holds row 0, and nobody asks for its answer."""
    num_rows, choices = ops.shape(slots)[0] * slots.shape[1], slots.shape[2]
    rows = ops.repeat(ops.arange(num_rows, dtype="int32"), choices)
    found = ops.scatter(ops.reshape(slots, (-1, 1)), rows, (num_slots + 1,))
    return found[:-1]
