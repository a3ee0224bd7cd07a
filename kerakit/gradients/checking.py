"""Gradient check: automatic gradients against central differences, in float64."""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops, tree

from kerakit.gradients.automatic import call_with, compiled, float_outputs, gradient_of_scalar
from kerakit.gradients.precision import float64_scope


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One derivative, computed both ways.

    Args:
        tensor: "input 0", or a variable's path.
        index: Where in the tensor.
        numeric: By central differences.
        automatic: By the backend.
        error: Their difference over the largest derivative in the tensor (see `check`).
    """

    tensor: str
    index: tuple[int, ...]
    numeric: float
    automatic: float
    error: float

    @property
    def absolute(self):
        """Absolute difference."""
        return abs(self.numeric - self.automatic)

    @property
    def relative(self):
        """Difference over the larger of the two; 0 if both are 0."""
        largest = max(abs(self.numeric), abs(self.automatic))
        return self.absolute / largest if largest else 0.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a gradient check found; printed, a table with the worst entry of each tensor.

    Args:
        entries: The worst `Entry` of each tensor, the worst of all first.
        num_checked: How many derivatives were compared.
        tolerance: The largest error that passes.
    """

    entries: tuple[Entry, ...]
    num_checked: int
    tolerance: float

    @property
    def worst(self):
        """The entry with the largest error."""
        return self.entries[0]

    @property
    def max_error(self):
        """The largest error."""
        return self.worst.error

    @property
    def passed(self):
        """Whether no error is above the tolerance."""
        return self.max_error <= self.tolerance

    def raise_if_failed(self):
        """Raises an AssertionError with the table unless the check passed."""
        if not self.passed:
            raise AssertionError(str(self))

    def __str__(self):
        width = max(len(entry.tensor) for entry in self.entries)
        verdict = "passed" if self.passed else "FAILED"
        lines = [
            f"Gradient check {verdict}: largest error {self.max_error:.2g}, at most "
            f"{self.tolerance:.2g} allowed; {self.num_checked} derivatives compared.",
            f"{'worst of':{width}}  {'index':>14}  {'numeric':>14}  {'automatic':>14}"
            f"  {'absolute':>8}  {'relative':>8}  {'error':>8}",
        ]
        for entry in self.entries:
            lines.append(
                f"{entry.tensor:{width}}  {entry.index!s:>14}  {entry.numeric:>14.7g}"
                f"  {entry.automatic:>14.7g}  {entry.absolute:>8.1e}  {entry.relative:>8.1e}"
                f"  {entry.error:>8.1e}"
            )
        return "\n".join(lines)


def check(function, *inputs, variables=None, tolerance=1e-6, step=1e-5, max_entries=100, seed=0):
    """Compares a function's automatic gradients with central differences.

    For each entry x of each float tensor, `df/dx` is compared with
    `(f(x + h) - f(x - h)) / 2h`. An output of many elements is first projected on fixed random
    weights, so that all of its elements take part. Everything runs in float64, where the
    difference of a smooth function is good to about 1e-10; in float32 no tolerance would tell a
    wrong gradient from rounding, so whatever computes in float32 is refused.

    Draw inputs away from kinks (ReLU at 0, ties of a maximum): within `step` of one, the two
    sides' slopes are averaged and the check rightly fails. Hold an input fixed by closing over
    it; choose a layer's training mode by `lambda x: layer(x, training=True)`. Variables are
    read, never written, so that a layer's random draws repeat from call to call. On TensorFlow
    and JAX the function is traced once, and may not branch on values.

    Args:
        function: Takes tensors and returns a float64 tensor, or a structure of tensors, of
            which those that are not float are left out. A loss, a layer or any function.
        *inputs: Arrays, or lists and dicts of arrays. Floats are made float64 and checked;
            integers and booleans are passed on as they are.
        variables: Keras variables to check as well, float64; None for the trainable variables
            if `function` is a layer, which is built first if need be, else for none.
        tolerance: Largest error that passes. An error is the difference of the two derivatives
            over the largest derivative of that tensor, or over 1e-3 of the output's norm if
            that is larger, for below it the differences' own rounding shows.
        step: h, for entries of size up to 1; relative to the entry above.
        max_entries: Derivatives compared in a tensor; a larger tensor is sampled.
        seed: Of the sample and the projection.

    Returns:
        A `Report`; `check(...).raise_if_failed()` in a test.

    Raises:
        ValueError: If an output, a variable or a step in between is not float64, if an output
            is not finite, or if there is nothing to check.

    Reference:
        Fornberg, Generation of Finite Difference Formulas on Arbitrarily Spaced Grids, 1988,
        Table 1 (order 2). Deviations: none.

    Example:

    >>> report = check(lambda x: x**3, np.array([1.0, -2.0]))
    >>> report.passed, report.max_error < 1e-9
    (True, True)
    """
    with float64_scope():
        if isinstance(function, keras.Layer):
            if not function.built:
                function(*inputs)
            variables = function.trainable_variables if variables is None else variables
        point = _Point(function, inputs, list(variables or ()), np.random.default_rng(seed))
        compared = [
            point.compare(position, step, max_entries)
            for position, value in enumerate(point.values)
            if value.size
        ]
        worst = [max(entries, key=lambda entry: entry.error) for entries in compared]
        worst.sort(key=lambda entry: entry.error, reverse=True)
        point.refuse_rounding(worst[0], step)
    return Report(entries=tuple(worst), num_checked=sum(map(len, compared)), tolerance=tolerance)


class _Point:
    """A function of one list, its float inputs and then its variables, at one point."""

    def __init__(self, function, inputs, variables, rng):
        leaves = tree.flatten_with_path(list(inputs))
        self.function = function
        self.structure = list(inputs)
        self.leaves = [ops.convert_to_numpy(leaf) for _, leaf in leaves]
        self.is_float = [keras.backend.is_float_dtype(str(leaf.dtype)) for leaf in self.leaves]
        self.variables = variables
        self.names = [
            f"input {'.'.join(map(str, path))}"
            for (path, _), ok in zip(leaves, self.is_float, strict=True)
            if ok
        ]
        # Paths need not differ: two bare variables are both called "variable".
        paths = [variable.path for variable in variables]
        self.names += [
            path if paths.count(path) == 1 else f"{path} ({position})"
            for position, path in enumerate(paths)
        ]
        self.values = [
            np.array(leaf, "float64")
            for leaf, ok in zip(self.leaves, self.is_float, strict=True)
            if ok
        ]
        self.values += [_value_of(variable) for variable in variables]
        if sum(value.size for value in self.values) == 0:
            raise ValueError("`inputs` and `variables` hold no float to differentiate by.")
        self.rng = rng
        self.compiled = compiled(self.call)
        outputs = self.outputs()
        # Of size about 1, so that no output is left out.
        self.weights = [
            rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape) for x in outputs
        ]
        self.norm = math.hypot(*(float(np.linalg.norm(x)) for x in outputs))
        self.gradients = self.automatic()

    def tensors(self):
        return [ops.convert_to_tensor(value, dtype="float64") for value in self.values]

    def call(self, values):
        given = iter(values)
        arguments = [
            next(given) if ok else ops.convert_to_tensor(leaf)
            for leaf, ok in zip(self.leaves, self.is_float, strict=True)
        ]
        arguments = tree.pack_sequence_as(self.structure, arguments)
        outputs = float_outputs(call_with(self.function, arguments, self.variables, list(given)))
        for output in outputs:
            dtype = keras.backend.standardize_dtype(output.dtype)
            if dtype != "float64":
                raise ValueError(
                    f"`function` must compute in float64, it returned {dtype}: make layers and "
                    'losses with dtype="float64", on JAX inside '
                    "`kerakit.gradients.float64_scope()`."
                )
        return outputs

    def outputs(self):
        outputs = [ops.convert_to_numpy(x) for x in self.compiled(self.tensors())]
        if not all(np.isfinite(x).all() for x in outputs):
            raise ValueError("`function` must be finite around the inputs, it returned NaN or inf.")
        return outputs

    def automatic(self):
        def projection(values):
            outputs = self.call(values)
            return sum(
                ops.sum(x * ops.convert_to_tensor(w, dtype="float64"))
                for x, w in zip(outputs, self.weights, strict=True)
            )

        gradients = compiled(lambda values: gradient_of_scalar(projection, values))
        return [ops.convert_to_numpy(x) for x in gradients(self.tensors())]

    def slope(self, position, index, step):
        """Central difference of the projection by one entry."""
        value = self.values[position]
        x = value[index]
        h = step * max(1.0, abs(x))
        try:
            value[index] = x + h
            above = self.outputs()
            value[index] = x - h
            below = self.outputs()
        finally:
            value[index] = x
        # An output at a time: those that the entry does not move add no rounding.
        sides = zip(above, below, self.weights, strict=True)
        return float(sum(np.sum((a - b) * w) for a, b, w in sides) / ((x + h) - (x - h)))

    def compare(self, position, step, max_entries):
        """Entries of one tensor, all or a sample."""
        value, gradient = self.values[position], self.gradients[position]
        chosen = np.arange(value.size)
        if value.size > max_entries:
            chosen = np.sort(self.rng.choice(value.size, max_entries, replace=False))
        indices = [tuple(map(int, np.unravel_index(flat, value.shape))) for flat in chosen]
        numeric = [self.slope(position, index, step) for index in indices]
        automatic = [float(gradient[index]) for index in indices]
        scale = self.scale(numeric + automatic)
        return [
            Entry(tensor=self.names[position], index=i, numeric=n, automatic=a, error=error)
            for i, n, a in zip(indices, numeric, automatic, strict=True)
            # A gradient of NaN is no match, and `max` would pass over it.
            for error in [abs(n - a) / scale if math.isfinite(a) else math.inf]
        ]

    def scale(self, derivatives):
        finite = (abs(x) for x in derivatives if math.isfinite(x))
        return max(1e-3 * self.norm, max(finite, default=0.0)) or 1.0

    def refuse_rounding(self, entry, step):
        """Raises if the function does not follow an entry over steps that float64 resolves.

        Over 1e-7 a float32 in between stays where it is or jumps by 6e-8 of itself, so two
        such slopes are both 0 or far apart. In float64 they agree, be the gradient right or
        wrong; at a kink too, where they are both the one side's, or both the mean.
        """
        position = self.names.index(entry.tensor)
        first, second = (self.slope(position, entry.index, step / part) for part in (50, 365))
        scale = self.scale([first, second, entry.numeric])
        is_stuck = first == second == 0.0 and entry.numeric != 0.0 and entry.automatic != 0.0
        if is_stuck or abs(first - second) > 1e-4 * scale:
            raise ValueError(
                f"`function` must compute in float64 throughout and not jump, but its slope by "
                f"{entry.tensor}{list(entry.index)} depends on the step: {entry.numeric:.3g}, "
                f"{first:.3g}, {second:.3g} for steps {step:.1e}, {step / 50:.1e}, "
                f"{step / 365:.1e}. Look for a float32 inside."
            )


def _value_of(variable):
    value = ops.convert_to_numpy(variable)
    if value.dtype != np.float64:
        raise ValueError(
            f"`variables` must be float64, {variable.path} is {value.dtype}: make its layer with "
            'dtype="float64", on JAX inside `kerakit.gradients.float64_scope()`.'
        )
    return value.copy()
