"""Rules over the looks at a training: updates, gradients, dead units, moving statistics."""

import math

from kerakit.diagnose.finding import Finding
from kerakit.diagnose.watched import median

# A step should change weights by about a thousandth (Karpathy, CS231n, Neural Networks Part 3,
# 2015: "somewhere around 1e-3"). Healthy runs of `benchmarks.diagnose_runs.first` were at up to
# 4e-2 in the first steps, a new last layer alone at 0.15, and nets that learnt at a bold rate at
# 0.4: a hundred times the rule counts only together with a loss that does not fall.
LARGEST_UPDATE = 0.1
# And at 1e-3 or more at their largest look; warm-up and a falling rate are lower at others.
SMALLEST_UPDATE = 3e-4
# A loss of batches so far above the first one: measured were up to 1.4 with bold rates that
# learnt, and 2.7 and more where the rate broke the training.
RISEN = 4.0
# Of the first loss, what a training whose rate is right gets below within its first steps.
LEARNT = 0.7
# And a loss above this share of it has hardly fallen.
HARDLY = 0.85
# Before so many steps nothing is said of progress.
FEWEST_STEPS = 60
# Gradient norms of healthy classifiers were measured from 0.005 to 22; clipping thresholds in the
# literature are 1 to 10 (Pascanu et al., 2013).
LARGEST_GRADIENT = 1e3
LARGEST_RISE, RISEN_GRADIENT = 100.0, 50.0
# Each sigmoid takes a factor of 4 or more of a gradient (its derivative is at most 1/4): five
# layers 1e-3. ReLU nets were measured at 0.2 to 3.
SMALLEST_SHARE = 1e-3
# Wide layers that learnt well were measured with up to 78 % of their units 0 on 64 digits; where
# biases or the learning rate killed them it was 90 % and more.
DEAD, MANY_DEAD = 0.8, 0.6
ENOUGH_VALUES = 32
# Moving statistics of which more than 1 % is still the start's (460 steps at Keras's momentum of
# 0.99) lag behind and nothing is wrong, but that a higher momentum takes too long.
SETTLED, USUAL_MOMENTUM, SETTLED_STEPS = 0.01, 0.99, 200
# Deviations of the batch that the moving mean is off, or factor (as a logarithm) of the variance.
LARGEST_DRIFT = 0.5
# How much the loss grows by the moving statistics, of the first loss.
LARGEST_GAP = 0.25


def learning_rate_too_high(watched):
    """Steps so large that the loss does not fall, or explodes.

    Too large a step leaves the region in which the gradient holds. Evidence: the change of a
    step over the weights' norm, the median over layers, at its largest; how far the loss of
    batches rose over the first. Thresholds: `LARGEST_UPDATE` or `RISEN`, and a loss that broke,
    or ended above `HARDLY` of the first; both, if it did. A loss that was wrong from the
    start has another cause.
    """
    first, lowest = watched.first_loss, watched.lowest_loss
    if first is None or watched.started_badly or exploding_at_start(watched):
        return None
    update = max(_updates(watched), default=0.0)
    highest = max(watched.figures("highest_loss"), default=first, key=_nan_last)
    rose = not highest <= RISEN * max(first, watched.chance or 0.0)
    failed = watched.broken or lowest is None
    if not failed and not watched.learns and watched.steps >= FEWEST_STEPS:
        failed = not watched.last_loss <= HARDLY * _reference(watched)
    large = update > LARGEST_UPDATE
    if not ((failed and (rose or large)) or (rose and large)):
        return None
    rate = next(iter(watched.figures("learning_rate")[-1:]), None)
    at = "" if rate is None else f" at a learning rate of {max(_rates(watched)):.3g}"
    end = "broke" if watched.broken else f"is {watched.last_loss:.3g}"
    return Finding(
        rule="learning_rate_too_high",
        severity="error" if failed else "warning",
        message=f"A step changes the weights by up to {update:.2g} of their norm{at}, and the "
        f"loss, {first:.3g} at first, rose to {highest:.3g} and {end}.",
        evidence={
            "learning_rate": "unknown" if rate is None else max(_rates(watched)),
            "largest_update_ratio": update,
            "first_loss": first,
            "highest_loss": highest,
        },
        advice="Divide the learning rate by 10, or find one by `learning_rate_range`; warm up; "
        "clip gradients.",
    )


def learning_rate_too_low(watched):
    """Steps so small that the weights stay where they are.

    Evidence: the change of a step over the weights' norm, the median over layers, at its
    largest look (so that warm-up and a falling rate do not count); the loss, which has hardly
    fallen. Thresholds: `SMALLEST_UPDATE`, `LEARNT`. A gradient that is lost on its way makes
    small steps too, and has another cause; so has a model that knows the answers already.
    """
    first, lowest = watched.first_loss, watched.lowest_loss
    updates = _updates(watched)
    if first is None or lowest is None or not updates or watched.broken:
        return None
    update = max(updates)
    knows = watched.chance is not None and first < 0.5 * watched.chance
    if watched.steps < FEWEST_STEPS or knows or lowest < LEARNT * first or watched.learns:
        return None
    if update >= SMALLEST_UPDATE or _dying(watched) or vanishing_gradients(watched):
        return None
    rate = max(_rates(watched), default=0.0)
    return Finding(
        rule="learning_rate_too_low",
        severity="warning",
        message=f"A step changes the weights by at most {update:.2g} of their norm at a learning "
        f"rate of {rate:.3g}, and the loss went from {first:.3g} to {watched.last_loss:.3g} in "
        f"{watched.steps} steps.",
        evidence={
            "learning_rate": rate,
            "largest_update_ratio": update,
            "first_loss": first,
            "last_loss": watched.last_loss,
        },
        advice="Multiply the learning rate by 10 until a step changes weights by about 1e-3 of "
        "their norm, or find one by `learning_rate_range`.",
    )


def exploding_gradients(watched):
    """Gradients that are huge, or grow over the training.

    Evidence: the norm of the whole gradient on the probe batch. Thresholds: of a classifier,
    `LARGEST_GRADIENT`; of any model, `LARGEST_RISE` times its median so far and over
    `RISEN_GRADIENT`.
    """
    looks = [look for look in watched.looks if "gradient_norm" in look.model]
    if not looks:
        return None
    worst = max(looks, key=lambda look: _nan_last(look.model["gradient_norm"]))
    norm = worst.model["gradient_norm"]
    usual = median([look.model["gradient_norm"] for look in looks])
    huge = watched.chance is not None and norm > LARGEST_GRADIENT
    grown = usual is not None and norm > max(LARGEST_RISE * usual, RISEN_GRADIENT)
    if math.isfinite(norm) and not huge and not grown:
        return None
    layers = worst.of("gradient_norm")
    layer = max(layers, key=lambda name: _nan_last(layers[name]), default="")
    return Finding(
        rule="exploding_gradients",
        severity="warning",
        message=f"The gradient's norm is {norm:.3g} at step {worst.step}"
        + (f", largest at `{layer}`." if layer else "."),
        evidence={"layer": layer, "step": worst.step, "gradient_norm": norm, "median": usual},
        advice="Clip gradients (`kerakit.callbacks.GradientClipping`); use He's or Xavier's start; "
        "normalise between layers; check that inputs are normalised.",
    )


def exploding_at_start(watched):
    """Whether gradients are huge before the first step.

    Args:
        watched: `Watched`.
    """
    first = watched.looks[0] if watched.looks else None
    if first is None or first.step or watched.chance is None:
        return False
    return not first.model.get("gradient_norm", 0.0) <= LARGEST_GRADIENT


def vanishing_gradients(watched):
    """Gradients that fade on their way to the first layers.

    Evidence: the largest norm among the first third of the kernels over the largest of the last
    third, the median over looks (those of the first steps left out, if there are later ones:
    a last layer that starts at 0 lets nothing through in the first). Threshold:
    `SMALLEST_SHARE`.

    Reference: Glorot and Bengio, Understanding the Difficulty of Training Deep Feedforward
    Neural Networks, 2010, Section 4.2.
    """
    found = [(look, *_ends(look)) for look in watched.looks if len(_gradients(look)) > 2]
    found = [(look, early, late) for look, early, late in found if late > 0]
    later = [entry for entry in found if entry[0].step >= 10] or found
    share = median([early / late for _, early, late in later])
    if share is None or share >= SMALLEST_SHARE or _dying(watched):
        return None
    layer = next(iter(_gradients(later[-1][0])))
    return Finding(
        rule="vanishing_gradients",
        severity="warning",
        message=f"The gradient at the first layers (`{layer}`) is {share:.2g} of that at the last.",
        evidence={"layer": layer, "share": share, "layers": len(_gradients(later[-1][0]))},
        advice="Use ReLU for sigmoid or tanh, residual connections, He's or Xavier's start, batch "
        "normalisation; of recurrent layers LSTM or GRU.",
    )


def dead_relus(watched):
    """ReLUs that are 0 whatever comes in: they have no gradient and never come back.

    Evidence: the share of a layer's units (channels) that are 0 on the whole probe batch, in
    the last look and the one before. Thresholds: `DEAD`, and for a hint `MANY_DEAD`, where a unit
    was judged by `ENOUGH_VALUES` values or more; a layer without a living unit in any case. Where
    the loss fell nevertheless, a dead layer is none that all depends on.
    """
    looks = [look for look in watched.looks if look.of("dead_share")]
    if not looks or watched.lost_weights:  # a ReLU of what is no number may be 0
        return None
    now, before = looks[-1], looks[-2] if len(looks) > 1 else looks[-1]
    worst, place = 0.0, None
    for name, share in now.of("dead_share").items():
        share = min(share, before.of("dead_share").get(name, share))
        enough = now.layers[name].get("values_a_unit", 0) >= ENOUGH_VALUES or share == 1
        if enough and share > worst:
            worst, place = share, name
    if worst <= MANY_DEAD:
        return None
    from_start = looks[0].step == 0 and looks[0].of("dead_share").get(place, 0.0) > MANY_DEAD
    learnt = _learnt(watched)
    severity = "hint" if worst <= DEAD else "error" if worst == 1 and not learnt else "warning"
    return Finding(
        rule="dead_relus",
        severity=severity,
        message=f"{worst:.0%} of the units of `{place}` are 0 on the whole probe batch, at step "
        f"{now.step} and {'from the start' if from_start else f'at step {before.step}'}.",
        evidence={"layer": place, "dead_share": worst, "step": now.step, "from_start": from_start},
        advice="Lower the learning rate, check the biases' start and the inputs' scale, use He's "
        "start, or leaky ReLU.",
    )


def batch_norm_drift(watched):
    """Batch normalisation that computes another thing in testing than in training.

    Testing uses moving statistics; where they lag behind or the batches are not alike, outputs
    differ. Evidence, at the last look: the loss on the probe batch in inference mode against
    training mode, and how far moving mean and variance are from the batch's (median over
    channels). Thresholds: `LARGEST_GAP`, `LARGEST_DRIFT`, when less than `SETTLED` of the start is
    left, or with more momentum than `USUAL_MOMENTUM` after `SETTLED_STEPS` steps.
    """
    looks = [look for look in watched.looks if "inference_loss" in look.model]
    if not looks or looks[-1].step < SETTLED_STEPS or watched.first_loss is None:
        return None
    look = looks[-1]
    training, inference = look.model["probe_loss"], look.model["inference_loss"]
    drifts = {
        name: max(row["mean_drift"], row["variance_drift"])
        for name, row in look.layers.items()
        if "mean_drift" in row and _settled(row["momentum"], look.step)
    }
    layer = max(drifts, key=lambda name: drifts[name], default=None)
    gap = inference - training
    if layer is None or not math.isfinite(training) or not drifts[layer] > LARGEST_DRIFT:
        return None
    if gap <= LARGEST_GAP * _reference(watched) or inference < 1.5 * training:
        return None
    row = look.layers[layer]
    return Finding(
        rule="batch_norm_drift",
        severity="warning",
        message=f"The loss on the same batch is {training:.3g} with its own statistics and "
        f"{inference:.3g} with the moving ones; at `{layer}` the mean is off by "
        f"{row['mean_drift']:.2g} deviations and the variance {math.exp(row['variance_drift']):.2g}"
        " times.",
        evidence={
            "layer": layer,
            "training_loss": training,
            "inference_loss": inference,
            "mean_drift": row["mean_drift"],
            "variance_factor": math.exp(row["variance_drift"]),
        },
        advice="Lower the momentum of batch normalisation (0.99 or 0.9), train longer, use larger "
        "batches, or layer or group normalisation.",
    )


def _reference(watched):
    """The loss that is to be left behind: the first, or that of knowing nothing if smaller."""
    return min(watched.first_loss, 1.5 * (watched.chance or math.inf))


def _settled(momentum, steps):
    # A momentum of 0.99 is a little more in float32.
    slow = momentum > USUAL_MOMENTUM + 1e-4
    return steps >= SETTLED_STEPS if slow else momentum**steps < SETTLED


def _dying(watched):
    found = dead_relus(watched)
    return found is not None and found.severity != "hint"


def _learnt(watched):
    lowest = watched.lowest_loss
    return lowest is not None and lowest < LEARNT * _reference(watched)


def _rates(watched):
    return watched.figures("learning_rate")


def _updates(watched):
    """The median over layers of each look's update ratio; what is no number is infinite."""
    found = []
    for look in watched.looks:
        ratios = sorted(_nan_last(ratio) for ratio in look.of("update_ratio").values())
        if ratios:
            found.append(ratios[len(ratios) // 2])
    return found


def _gradients(look):
    return look.of("gradient_norm")


def _ends(look):
    norms = list(_gradients(look).values())
    third = max(len(norms) // 3, 1)
    return max(norms[:third], key=_nan_last), max(norms[-third:], key=_nan_last)


def _nan_last(value):
    return math.inf if math.isnan(value) else value
