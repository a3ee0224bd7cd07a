"""Activation functions: what each computes, its exact derivative, and when to use it.

The functions are Keras's own wherever Keras has the formula. What Keras lacks, and what
this table adds, is the derivative in closed form, the range, the behaviour far from zero
and the cost.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import ops

__all__ = ["TABLE", "Activation", "advice", "leaky_relu_001", "prelu"]


# Not called `leaky_relu`: Keras saves any function of that name as its own, and a reloaded
# model would compute with slope 0.2.
@keras.saving.register_keras_serializable(package="kerakit")
def leaky_relu_001(x):
    """Leaky ReLU of slope 0.01: `max(0.01 x, x)`.

    Keras's function has slope 0.2 unless told otherwise, its layer 0.3: at x = -1 they give
    -0.2 and -0.3, this gives -0.01.

    Args:
        x: Float tensor of any shape.

    Returns:
        Tensor of x's shape, of any size and sign.

    Reference:
        Maas, Hannun and Ng, Rectifier Nonlinearities Improve Neural Network Acoustic
        Models, 2013, section 2. Deviations: none.

    Example:

    >>> [round(float(y), 4) for y in leaky_relu_001([-2.0, 0.0, 3.0])]
    [-0.02, 0.0, 3.0]
    """
    return keras.activations.leaky_relu(x, negative_slope=0.01)


@keras.saving.register_keras_serializable(package="kerakit")
def prelu(x, alpha=0.25):
    """Leaky ReLU whose slope below zero, `alpha`, is given: `x if x > 0 else alpha x`.

    In a model use `keras.layers.PReLU`, which learns alpha and computes the same. Its alpha
    starts at 0 unless told otherwise, which is ReLU; the paper's starts at 0.25. The
    derivative by alpha, from which it learns, is `min(0, x)`.

    Args:
        x: Float tensor of any shape.
        alpha: Slope below zero: a number, or a tensor that broadcasts to x.

    Returns:
        Tensor of x's shape.

    Reference:
        He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015, Eq. 1 and 2.
        Deviations: none.

    Example:

    >>> [float(y) for y in prelu([-2.0, 0.0, 3.0], alpha=0.5)]
    [-1.0, 0.0, 3.0]
    """
    return ops.relu(x) - alpha * ops.relu(ops.negative(x))


def _sigmoid_derivative(x):
    # sigmoid(-x) is 1 - sigmoid(x) without the cancellation: 2e-9 at 20 in float32, not 0.
    return ops.sigmoid(x) * ops.sigmoid(ops.negative(x))


def _tanh_derivative(x):
    # 1 - tanh(x)^2 without the cancellation, as 1 - tanh(x) = 2 sigmoid(-2x).
    return 4.0 * _sigmoid_derivative(2.0 * x)


def _relu_derivative(x):
    return ops.cast(x > 0, x.dtype)


def _leaky_relu_derivative(x):
    return _prelu_derivative(x, alpha=0.01)


def _prelu_derivative(x, alpha=0.25):
    above = ops.cast(x > 0, x.dtype)
    return above + alpha * (1.0 - above)


def _elu_derivative(x, alpha=1.0):
    # The exponential of a large x would overflow in the branch that is not taken.
    return ops.where(x > 0, ops.ones_like(x), alpha * ops.exp(ops.minimum(x, 0.0)))


def _gelu_derivative(x):
    cumulative = 0.5 * (1.0 + ops.erf(x / math.sqrt(2.0)))
    density = ops.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return cumulative + x * density


def _softmax_jacobian(z):
    y = ops.softmax(z)
    row, column = ops.expand_dims(y, -1), ops.expand_dims(y, -2)
    return row * (ops.eye(y.shape[-1], dtype=y.dtype) - column)


@dataclass(frozen=True, kw_only=True)
class Activation:
    """One activation function, and what there is to know of it.

    Args:
        function: The function of a float tensor. Softmax runs over the last axis.
        derivative: Its exact derivative, of x's shape. Softmax's is the Jacobian
            `y_i (1[i = j] - y_j)`, of shape (..., K, K): row i, column j is
            `d y_i / d z_j`. At a kink (x = 0) it is the value from the left, as ReLU's is 0.
        range: Lowest and highest value of one output, or the limits that it tends to.
        slopes: The derivative's limits far below and far above zero. Softmax's are those of
            one output by its own score.
        zero_centred: Whether inputs spread evenly around zero give outputs that average zero.
        flops_per_element: Operations an element, counted on the formula in `notes`: each
            addition, subtraction, negation, multiplication, division, exponential, error
            function, and each choice between two values (a comparison with the selection it
            decides) counts 1. This gives 4 for sigmoid, 1 for ReLU and 3 for softmax.
        notes: The formula that the operations are counted on, and what it is known for.
        hidden_layers: Whether and when to use it in hidden layers.
    """

    function: Callable
    derivative: Callable
    range: tuple[float, float]
    slopes: tuple[float, float]
    zero_centred: bool
    flops_per_element: int
    notes: str
    hidden_layers: str

    @property
    def saturates(self):
        """Whether the derivative dies out on both sides, so that no large input learns."""
        return self.slopes == (0.0, 0.0)


TABLE = {
    "sigmoid": Activation(
        function=keras.activations.sigmoid,
        derivative=_sigmoid_derivative,
        range=(0.0, 1.0),
        slopes=(0.0, 0.0),
        zero_centred=False,
        flops_per_element=4,
        notes="1 / (1 + e^-x). Derivative y (1 - y), at most 1/4. The ends are not reached.",
        hidden_layers=(
            "No: it saturates on both sides, and its outputs are all positive. Keep it for the "
            "output of a yes-or-no question, for independent labels, and for gates."
        ),
    ),
    "tanh": Activation(
        function=keras.activations.tanh,
        derivative=_tanh_derivative,
        range=(-1.0, 1.0),
        slopes=(0.0, 0.0),
        zero_centred=True,
        flops_per_element=6,
        notes="(e^x - e^-x) / (e^x + e^-x). Derivative 1 - y^2, at most 1. The ends are not "
        "reached.",
        hidden_layers=(
            "Seldom: its outputs are centred on zero, which sigmoid's are not, but it saturates "
            "all the same. Recurrent cells use it."
        ),
    ),
    "relu": Activation(
        function=keras.activations.relu,
        derivative=_relu_derivative,
        range=(0.0, math.inf),
        slopes=(0.0, 1.0),
        zero_centred=False,
        flops_per_element=1,
        notes="max(0, x). Derivative 1 if x > 0, else 0 (0 at x = 0).",
        hidden_layers=(
            "Yes, the first choice: cheapest, converges fast, does not saturate above zero. A "
            "unit whose input is negative for every example gets no gradient and stays dead; if "
            "many die, lower the learning rate or take leaky_relu."
        ),
    ),
    "leaky_relu": Activation(
        function=leaky_relu_001,
        derivative=_leaky_relu_derivative,
        range=(-math.inf, math.inf),
        slopes=(0.01, 1.0),
        zero_centred=False,
        flops_per_element=2,
        notes="max(0.01 x, x). Derivative 1 if x > 0, else 0.01; at x = 0 exactly, automatic "
        "gradients are 0.01 on TensorFlow and 1 on JAX.",
        hidden_layers="Yes, where ReLU's units die: below zero a little gradient is left.",
    ),
    "prelu": Activation(
        function=prelu,
        derivative=_prelu_derivative,
        range=(-math.inf, math.inf),
        slopes=(0.25, 1.0),
        zero_centred=False,
        flops_per_element=2,
        notes="max(alpha x, x), alpha learned; here 0.25, where the paper starts. Derivative 1 if "
        "x > 0, else alpha; by alpha, min(0, x).",
        hidden_layers=(
            "Yes, if there are data enough: as leaky_relu, and the slope below zero is learned "
            "(`keras.layers.PReLU`, one slope a channel with `shared_axes`)."
        ),
    ),
    "elu": Activation(
        function=keras.activations.elu,
        derivative=_elu_derivative,
        range=(-1.0, math.inf),
        slopes=(0.0, 1.0),
        zero_centred=False,
        flops_per_element=4,
        notes="x if x > 0, else alpha (e^x - 1); alpha = 1, and the range starts at -alpha, not "
        "reached. Derivative 1 if x > 0, else alpha e^x.",
        hidden_layers=(
            "Possible: what ReLU offers, with outputs that average nearer zero, for the price of "
            "an exponential. Far below zero it goes flat."
        ),
    ),
    "gelu": Activation(
        function=keras.activations.gelu,
        derivative=_gelu_derivative,
        # The lowest value, at x = -0.7517916, where Phi(x) + x phi(x) = 0.
        range=(-0.16997120747990369, math.inf),
        slopes=(0.0, 1.0),
        zero_centred=False,
        flops_per_element=5,
        notes="x Phi(x) = x * (0.5 * (1 + erf(x / sqrt(2)))), exact: `keras.ops.gelu` is the tanh "
        "form unless told otherwise (1.39957 at 1.5, where this is 1.39979). Derivative "
        "Phi(x) + x phi(x). Lowest value -0.16997 at x = -0.75179.",
        hidden_layers="Yes, in transformers, where it is the usual choice; smooth, but costs more.",
    ),
    "softmax": Activation(
        function=keras.activations.softmax,
        derivative=_softmax_jacobian,
        range=(0.0, 1.0),
        slopes=(0.0, 0.0),
        zero_centred=False,
        flops_per_element=3,
        notes="e^z_i / sum_j e^z_j: an exponential, an addition and a division an element. "
        "Subtracting the largest score first, as Keras does against overflow, is not counted.",
        hidden_layers=(
            "No: it is for the output, where one class out of many is right, and for the weights "
            "of attention. Train on logits, with a loss that has the softmax inside."
        ),
    ),
}


def advice(name=None):
    """What to use in hidden layers.

    Args:
        name: An activation's name, a key of `TABLE`; None for advice on the whole.

    Returns:
        Text.

    Raises:
        ValueError: If there is no such activation.

    Example:

    >>> print(advice("gelu"))
    gelu in hidden layers: Yes, in transformers, where it is the usual choice; smooth, but costs more.
    """  # noqa: E501
    if name is None:
        return (
            "Hidden layers: start with relu. If its units die, leaky_relu, or prelu to learn the "
            "slope; elu for outputs that average nearer zero; gelu in transformers. Not sigmoid "
            "(saturates, not zero-centred) and not softmax (for the output); tanh only in "
            "recurrent cells (zero-centred, but saturates).\n"
            "Outputs: softmax for one class out of many, sigmoid for yes or no, nothing for a "
            "number."
        )
    if name not in TABLE:
        raise ValueError(f"`name` must be one of {', '.join(TABLE)}, got {name!r}.")
    return f"{name} in hidden layers: {TABLE[name].hidden_layers}"
