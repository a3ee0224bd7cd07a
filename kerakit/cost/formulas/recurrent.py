"""Recurrent layers."""

from kerakit.activations import TABLE

_SIGMOID = TABLE["sigmoid"].flops_per_element
_TANH = TABLE["tanh"].flops_per_element


def rnn_parameters(inputs, hidden, outputs=None):
    """Parameters of a vanilla recurrent layer: `d_h^2 + d_x d_h + d_h`.

    With an output layer `y = W_hy h + b_y`: `d_h d_y + d_y` more.

    Args:
        inputs: d_x.
        hidden: d_h.
        outputs: d_y; None without an output layer.

    Example:

    >>> rnn_parameters(8, 16), rnn_parameters(8, 16, 4)
    (400, 468)
    """
    own = hidden * hidden + inputs * hidden + hidden
    return own if outputs is None else own + hidden * outputs + outputs


def lstm_parameters(inputs, hidden):
    """Parameters of an LSTM: `4 ((d_h + d_x) d_h + d_h)`.

    Args:
        inputs: d_x.
        hidden: d_h.

    Example:

    >>> lstm_parameters(8, 16)
    1600
    """
    return 4 * ((hidden + inputs) * hidden + hidden)


def gru_parameters(inputs, hidden, *, reset_after=False):
    """Parameters of a GRU: `3 ((d_h + d_x) d_h + d_h)`.

    Keras's default, `reset_after=True`, has a second bias: `3 d_h` more.

    Args:
        inputs: d_x.
        hidden: d_h.
        reset_after: Whether the reset gate is applied after the matrix product.

    Example:

    >>> gru_parameters(8, 16), gru_parameters(8, 16, reset_after=True)
    (1200, 1248)
    """
    return 3 * ((hidden + inputs) * hidden + (2 if reset_after else 1) * hidden)


def recurrent_macs(inputs, hidden, *, gates=1, steps=1):
    """MACs of a recurrent layer: `n g (d_x + d_h) d_h`.

    Args:
        inputs: d_x.
        hidden: d_h.
        gates: g: 1 for a vanilla layer, 4 for an LSTM, 3 for a GRU.
        steps: n.

    Example:

    >>> recurrent_macs(8, 16, gates=4, steps=10)
    15360
    """
    return steps * gates * (inputs + hidden) * hidden


def rnn_flops(inputs, hidden, *, steps=1, activation=_TANH):
    """FLOPs of a vanilla recurrent layer: its products with their sums and bias, and tanh.

    Args:
        inputs: d_x.
        hidden: d_h.
        steps: n.
        activation: FLOPs an element of its activation.

    Example:

    >>> rnn_flops(8, 16)  # 2 * 384 + 6 * 16
    864
    """
    return 2 * recurrent_macs(inputs, hidden, steps=steps) + steps * activation * hidden


def lstm_flops(inputs, hidden, *, steps=1, activation=_TANH, gate=_SIGMOID):
    """FLOPs of an LSTM: products, three gates, two activations, and 4 for the states, a unit.

    The 4 are `f * C`, `i * C~`, their sum and `o * tanh(C)`.

    Args:
        inputs: d_x.
        hidden: d_h.
        steps: n.
        activation: FLOPs an element of the activation.
        gate: FLOPs an element of the gates' activation.

    Example:

    >>> lstm_flops(8, 16)  # 2 * 1536 + (3 * 4 + 2 * 6 + 4) * 16
    3520
    """
    unit = 3 * gate + 2 * activation + 4
    return 2 * recurrent_macs(inputs, hidden, gates=4, steps=steps) + steps * unit * hidden


def gru_flops(inputs, hidden, *, steps=1, reset_after=False, activation=_TANH, gate=_SIGMOID):
    """FLOPs of a GRU: products, two gates, one activation, and 5 for the state, a unit.

    The 5 are `r * h` (or r times its product), `z * h`, `1 - z`, its product with the candidate,
    and the sum. With `reset_after` the input's and the state's products have a bias each, and
    their sum is 3 more.

    Args:
        inputs: d_x.
        hidden: d_h.
        steps: n.
        reset_after: Whether the reset gate is applied after the matrix product.
        activation: FLOPs an element of the activation.
        gate: FLOPs an element of the gates' activation.

    Example:

    >>> gru_flops(8, 16)  # 2 * 1152 + (2 * 4 + 6 + 5) * 16
    2608
    """
    unit = 2 * gate + activation + 5 + (3 if reset_after else 0)
    return 2 * recurrent_macs(inputs, hidden, gates=3, steps=steps) + steps * unit * hidden
