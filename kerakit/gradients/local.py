"""The four gates of a computational graph, and what each does to a gradient on its way back.

A gate knows only its own inputs and its own derivatives. Backpropagation is the chain rule from
gate to gate: upstream gradient times local derivative.

>>> multiply, add = Multiply(), Add()
>>> z = add.forward(multiply.forward(-2.0, 3.0), 4.0)
>>> to_product, to_4 = add.backward(1.0)
>>> to_minus_2, to_3 = multiply.backward(to_product)
>>> float(z), float(to_minus_2), float(to_3), float(to_4)
(-2.0, 3.0, -2.0, 1.0)
"""

from keras import ops

__all__ = ["Add", "Max", "Multiply", "ReLU"]


class _Gate:
    """What the gates share: the inputs are kept on the way forward for the way back."""

    num_inputs = 2

    def __init__(self):
        self._inputs = None

    def forward(self, *inputs):
        """Output of the gate.

        Args:
            *inputs: Numbers or float tensors, one shape for all.

        Returns:
            Tensor of that shape.

        Raises:
            ValueError: If their number or their shapes do not fit.
        """
        inputs = tuple(ops.convert_to_tensor(x) for x in inputs)
        shapes = [tuple(x.shape) for x in inputs]
        if len(inputs) != self.num_inputs or len(set(shapes)) != 1:
            raise ValueError(
                f"`inputs` of {type(self).__name__} must be {self.num_inputs} of one shape, "
                f"got shapes {shapes}."
            )
        self._inputs = inputs
        return self._output(*inputs)

    def derivatives(self):
        """Tuple of the output's derivative by each input, at the last inputs."""
        if self._inputs is None:
            raise ValueError(f"{type(self).__name__} must run forward before it runs backward.")
        return self._derivatives(*self._inputs)

    def backward(self, upstream):
        """Tuple of the gradient by each input: the upstream gradient times its derivative.

        Args:
            upstream: Gradient of the final result by this gate's output, of its shape.
        """
        return tuple(upstream * derivative for derivative in self.derivatives())


class Add(_Gate):
    """`x + y`, the distributor: both inputs get the upstream gradient as it is.

    Derivatives: 1 by x, 1 by y.
    """

    role = "distributor"

    def _output(self, x, y):
        return x + y

    def _derivatives(self, x, y):
        return ops.ones_like(x), ops.ones_like(y)


class Multiply(_Gate):
    """`x y`, the switcher: each input gets the upstream gradient times the other input.

    Derivatives: y by x, x by y.
    """

    role = "switcher"

    def _output(self, x, y):
        return x * y

    def _derivatives(self, x, y):
        return y, x


class ReLU(_Gate):
    """`max(0, x)`, the router: the gradient passes where x > 0, and stops elsewhere.

    Derivative: I(x > 0), so 0 at x = 0. `keras.ops.relu` has the same rule on TensorFlow and
    JAX. `keras.ops.maximum(x, 0)` has not: at x = 0 its gradient is 1 on TensorFlow and 0.5 on
    JAX.
    """

    num_inputs = 1
    role = "router"

    def _output(self, x):
        return ops.relu(x)

    def _derivatives(self, x):
        return (ops.cast(x > 0, x.dtype),)


class Max(_Gate):
    """`max(x, y)`, the selector: the larger input gets the whole gradient, the other nothing.

    Derivatives: I(x > y) by x and 1 - I(x > y) by y. At a tie x therefore gets 0, as the rule
    I(x > y) says, and y gets 1. The rule itself names x alone; of the two ways to read it for y
    this is the one in which always exactly one input is selected. I(y > x) would lose the
    gradient at a tie, where (0, 0) is not even a subgradient of the maximum.

    At a tie automatic gradients differ: `keras.ops.maximum` gives (1, 0) on TensorFlow and
    (0.5, 0.5) on JAX.
    """

    role = "selector"

    def _output(self, x, y):
        return ops.maximum(x, y)

    def _derivatives(self, x, y):
        is_first = ops.cast(x > y, x.dtype)
        return is_first, 1.0 - is_first
