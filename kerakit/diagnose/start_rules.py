"""Rules over the start: weights and activations."""

import numpy as np

from kerakit.activations import TABLE
from kerakit.diagnose.finding import Finding
from kerakit.diagnose.looked import to_numpy
from kerakit.diagnose.output_rules import first_loss_unexpected

# Weights scaled by He or Xavier make a layer scale its input by 0.5 to 1.5 (root mean square);
# deviation 1 for 64 or more inputs gives 8 and more. Some healthy layers, of gates, have 7, so
# the signal must have grown as well, outputs be too large, or activations saturate.
LARGEST_GAIN = 6.0
LARGEST_GROWTH_WITH_GAIN = 15.0
# Over the whole network, with no single layer to blame: measured in 30 healthy networks, the
# signal stays between 3e-4 (VGG16 with Xavier's start, too small for ReLU) and 9 times.
LARGEST_GROWTH = 50.0
SMALLEST_GROWTH = 1e-3
# What fades for other reasons (sigmoids, VGG16) is not the weights' fault: Xavier's start gives
# 0.3 where a layer widens most, deviation 0.01 for 64 inputs 0.08.
SMALLEST_GAIN = 0.2
# Units beyond 2.6 (tanh) or 4.6 (sigmoid) have a derivative below 4 % of its largest: few at a
# good start (a deviation of 1 puts 1 % there).
SATURATED_SLOPE = 0.04
LARGEST_SATURATED = 0.3
# Three and more layers of sigmoid or tanh, and the first kernel's gradient so much below the
# last one's: each sigmoid takes a factor of 4 at least.
DEEP = 3
SMALLEST_SLOPE_RATIO = 0.02

_NOTHING = Finding(rule="first_loss_unexpected", severity="hint", message="")
_SLOPE_ADVICE = (
    "Use ReLU in hidden layers, residual connections, batch normalisation, and a start by Xavier "
    "where tanh stays."
)
_START_ADVICE = (
    "He's start for ReLU (deviation sqrt(2 / n_in)), Xavier's for tanh and sigmoid; or normalise "
    "behind the layer."
)


def zero_initial_weights(looked):
    """A kernel whose units all start the same and get the same gradient: they stay the same.

    A kernel of zeros alone is no fault: the last layer, or the last of a residual branch,
    often starts so and learns at once. So the gradient of the first step is asked. Evidence:
    the layer, its constant, its largest gradient. No threshold.
    """
    if looked.is_trained:
        return None
    alike = [call for call in looked.kernel_calls if _same_units(to_numpy(call.kernel), call)]
    stuck = [call for call in alike if _stuck(looked, call)]
    # Behind a stuck layer a sound one may get no gradient, so the constant ones alone count.
    if not stuck:
        return None
    first = stuck[0]
    kernel = to_numpy(first.kernel)
    slope = looked.gradients.get(first.kernel.path)
    names = ", ".join(f"`{call.name}`" for call in stuck[:4])
    what = "zeros" if not kernel.any() else "the same in all units"
    return Finding(
        rule="zero_initial_weights",
        severity="error",
        message=f"The weights of {len(stuck)} of {len(looked.kernel_calls)} layers start as "
        f"{what} and their units get the same gradient, so they stay alike: {names}.",
        evidence={
            "layer": first.name,
            "layers": len(stuck),
            "value": float(kernel.flat[0]),
            "largest_gradient": float(np.abs(slope).max()) if slope is not None else "unknown",
        },
        advice="Draw the weights at random (He's start for ReLU, Xavier's for tanh and sigmoid); "
        "zero only biases.",
    )


def badly_scaled_initial_weights(looked):
    """Weights that blow the signal up or let it fade, layer by layer.

    A good start keeps the variance of activations through the layers. Evidence: the factor by
    which a layer scales its input (root mean square), and how the signal's deviation has
    changed from the first layer's input to a later one's. Thresholds: `LARGEST_GAIN`,
    `LARGEST_GROWTH`, `SMALLEST_GROWTH`. What is normalised behind is not looked at, nor what a
    last layer makes small; where all that large weights do is to drive sigmoids or tanhs to
    their ends, `saturating_activations` says so.

    Reference: Glorot and Bengio, Understanding the Difficulty of Training Deep Feedforward
    Neural Networks, 2010, Eq. 5; He et al., Delving Deep into Rectifiers, 2015, Eq. 10.
    """
    if looked.is_trained:
        return None
    growth = _growth(looked)
    shows = (
        any(factor > LARGEST_GROWTH_WITH_GAIN for _, factor in growth)
        or (first_loss_unexpected(looked) or _NOTHING).severity != "hint"
    )
    gains = _gains(looked)
    call, gain = max(gains, key=lambda pair: pair[1], default=(None, 0.0))
    if gain > LARGEST_GAIN and shows:
        kernel = to_numpy(call.kernel)
        return _scale_finding(
            f"`{call.name}` scales its input {gain:.3g} times (weights of deviation "
            f"{kernel.std():.3g}), where 0.5 to 1.5 keeps the signal.",
            {"layer": call.name, "gain": gain, "deviation_of_weights": float(kernel.std())},
        )
    for call, factor in growth:
        if factor > LARGEST_GROWTH:
            how = f"{factor:.3g} times as large"
        elif factor < SMALLEST_GROWTH and _gain_before(call, gains, looked) < SMALLEST_GAIN:
            how = f"{factor:.2g} of its size"
        else:
            continue
        return _scale_finding(
            f"At `{call.name}` the signal is {how} as before the first layer.",
            {"layer": call.name, "growth": factor},
        )
    return None


def saturating_activations(looked):
    """Hidden layers of sigmoid or tanh, at their flat ends.

    There the derivative is near 0, and the gradient of what stands before vanishes. Evidence:
    the share of outputs whose derivative is under `SATURATED_SLOPE` of the largest. Threshold:
    `LARGEST_SATURATED`; sigmoids at all are a hint. Gates, whose output is multiplied with
    something, and the last layer are not looked at.
    """
    hidden = _hidden_saturations(looked)
    if not hidden:
        return None
    call, name, share = max(hidden, key=lambda one: one[2])
    evidence = {"layer": call.name, "activation": name, "saturated": share, "layers": len(hidden)}
    if share > LARGEST_SATURATED:
        severity = "warning"
        text = f"{share:.0%} of the outputs of `{call.name}` lie at the flat ends of {name}."
    elif name == "sigmoid":
        severity = "hint"
        text = f"Hidden layers end in sigmoid ({len(hidden)}; the first is `{hidden[0][0].name}`)."
    else:
        return None
    return Finding(
        rule="saturating_activations",
        severity=severity,
        message=text,
        evidence=evidence,
        advice=_SLOPE_ADVICE,
    )


def vanishing_gradients(looked):
    """Sigmoids or tanhs stacked so deep that the first layers get no gradient.

    Evidence: the first kernel's gradient over the last one's, by element, at the first step.
    Thresholds: `DEEP` such hidden layers, `SMALLEST_SLOPE_RATIO`.
    """
    hidden = _hidden_saturations(looked)
    ratio = _slope_ratio(looked) if len(hidden) >= DEEP else None
    if ratio is None or ratio >= SMALLEST_SLOPE_RATIO:
        return None
    _, name, _ = hidden[0]
    first = looked.kernel_calls[0].name
    return Finding(
        rule="vanishing_gradients",
        severity="warning",
        message=f"{len(hidden)} hidden layers end in {name}, and the gradient of the first kernel "
        f"(`{first}`) is {ratio:.1g} of the last one's.",
        evidence={"layer": first, "layers": len(hidden), "gradient_first_over_last": ratio},
        advice=_SLOPE_ADVICE,
    )


def _same_units(kernel, call):
    """Whether all units have the same weights."""
    columns = _by_unit(kernel, call)
    return columns.shape[1] > 1 and bool((columns == columns[:, :1]).all())


def _by_unit(kernel, call):
    """The kernel as (weights of a unit, units)."""
    if "Depthwise" in type(call.layer).__name__:
        return kernel.reshape(-1, kernel.shape[-2] * kernel.shape[-1])
    return kernel.reshape(-1, kernel.shape[-1])


def _stuck(looked, call):
    """Whether the units of a constant kernel get no gradient, or all the same one."""
    slope = looked.gradients.get(call.kernel.path)
    if slope is None:
        # No loss to ask. The last layer may start at zero; others should not.
        return bool(call.following(lambda other: other.kernel is not None))
    columns = _by_unit(slope, call)
    largest = np.abs(columns).max()
    return bool(largest == 0 or np.abs(columns - columns[:, :1]).max() <= 1e-4 * largest)


def _gains(looked):
    """(call, factor by which its weights scale a signal) of layers that nothing normalises."""
    found = []
    for call in looked.kernel_calls:
        following = call.following(lambda other: other.normalises or other.kernel is not None)
        if following and all(other.normalises for other in following):
            continue
        kernel = to_numpy(call.kernel)
        if kernel.ndim == 2 or call.is_convolution:
            # Expected of inputs that are not correlated; outputs would show the bias, and hide
            # behind an activation.
            found.append((call, float(np.sqrt((_by_unit(kernel, call) ** 2).sum(0).mean()))))
    return found


def _gain_before(call, gains, looked):
    """The smallest gain of the layers that were called before; 1 if there is none."""
    position = {id(one): place for place, one in enumerate(looked.calls)}
    before = [g for one, g in gains if position[id(one)] < position[id(call)]]
    return min(before, default=1.0)


def _growth(looked):
    """(call, deviation of its input over that of the first layer's input) along the layers."""
    calls = [call for call in looked.kernel_calls if to_numpy(call.inputs[0]).dtype.kind == "f"]
    if not calls:
        return []
    start = _deviation(calls[0].inputs[0])
    return [(call, _deviation(call.inputs[0]) / start) for call in calls[1:]] if start else []


def _deviation(tensor):
    """Deviation of the signal: what is the same in all examples and places carries none."""
    values = to_numpy(tensor).astype("float64")
    values = values.reshape(-1, values.shape[-1])
    return float(np.sqrt(values.var(0).mean()))


def _scale_finding(text, evidence):
    return Finding(
        rule="badly_scaled_initial_weights",
        severity="warning",
        message=text,
        evidence=evidence,
        advice=_START_ADVICE,
    )


def _hidden_saturations(looked):
    """(call, name, share of outputs at the flat ends) of hidden sigmoids and tanhs."""
    hidden = [(call, name) for call in looked.calls if (name := _saturating(call))]
    return [
        (call, name, _saturated(to_numpy(call.output), name))
        for call, name in hidden
        if _feeds_a_kernel(call)
    ]


def _saturating(call):
    """ "sigmoid" or "tanh", if the call ends in one."""
    name = call.activation
    known = TABLE.get(name)
    return name if known is not None and known.saturates and name != "softmax" else ""


def _feeds_a_kernel(call):
    """Whether a layer with weights reads the output, perhaps pooled or dropped, not a product."""

    def stops(other):
        return other.kernel is not None or len(other.parents) > 1

    return any(other.kernel is not None for other in call.following(stops))


def _saturated(outputs, name):
    """Share of outputs where the derivative is nearly 0."""
    outputs = outputs.astype("float64")
    slope = 1 - outputs**2 if name == "tanh" else 4 * outputs * (1 - outputs)
    return float((slope < SATURATED_SLOPE).mean())


def _slope_ratio(looked):
    """Gradient of the first kernel over the last one's, each by element; None without a loss."""
    slopes = [looked.gradients.get(call.kernel.path) for call in looked.kernel_calls]
    sizes = [float(np.sqrt(np.mean(slope**2))) for slope in slopes if slope is not None]
    return sizes[0] / sizes[-1] if len(sizes) > 1 and sizes[-1] > 0 else None
