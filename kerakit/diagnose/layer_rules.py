"""Rules over the layers in a training: gradients, dead units, moving statistics."""

import math

from kerakit.diagnose.finding import Finding
from kerakit.diagnose.watched import median, nan_last

# Of the first loss, what a training whose rate is right gets below within its first steps.
LEARNT = 0.7
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


def exploding_gradients(watched):
    """Gradients that are huge, or grow over the training.

    Evidence: the norm of the whole gradient on the probe batch. Thresholds: of a classifier,
    `LARGEST_GRADIENT`; of any model, `LARGEST_RISE` times its median so far and over
    `RISEN_GRADIENT`.
    """
    looks = [look for look in watched.looks if "gradient_norm" in look.model]
    if not looks:
        return None
    worst = max(looks, key=lambda look: nan_last(look.model["gradient_norm"]))
    norm = worst.model["gradient_norm"]
    usual = median([look.model["gradient_norm"] for look in looks])
    huge = watched.chance is not None and norm > LARGEST_GRADIENT
    grown = usual is not None and norm > max(LARGEST_RISE * usual, RISEN_GRADIENT)
    if math.isfinite(norm) and not huge and not grown:
        return None
    layers = worst.of("gradient_norm")
    layer = max(layers, key=lambda name: nan_last(layers[name]), default="")
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
    if share is None or share >= SMALLEST_SHARE or dying(watched):
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


def dying(watched):
    """Whether most units of a layer are dead.

    Args:
        watched: `Watched`.
    """
    found = dead_relus(watched)
    return found is not None and found.severity != "hint"


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
    if gap <= LARGEST_GAP * watched.reference_loss or inference < 1.5 * training:
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


def _settled(momentum, steps):
    # A momentum of 0.99 is a little more in float32.
    slow = momentum > USUAL_MOMENTUM + 1e-4
    return steps >= SETTLED_STEPS if slow else momentum**steps < SETTLED


def _learnt(watched):
    lowest = watched.lowest_loss
    return lowest is not None and lowest < LEARNT * watched.reference_loss


def _gradients(look):
    return look.of("gradient_norm")


def _ends(look):
    norms = list(_gradients(look).values())
    third = max(len(norms) // 3, 1)
    return max(norms[:third], key=nan_last), max(norms[-third:], key=nan_last)
