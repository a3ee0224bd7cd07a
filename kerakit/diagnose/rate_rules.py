"""Rules over the steps of a training: a learning rate too high or too low."""

from kerakit.diagnose.finding import Finding
from kerakit.diagnose.layer_rules import LEARNT, dying, exploding_at_start, vanishing_gradients
from kerakit.diagnose.watched import nan_last

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
# And a loss above this share of it has hardly fallen.
HARDLY = 0.85
# Before so many steps nothing is said of progress.
FEWEST_STEPS = 60


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
    highest = max(watched.figures("highest_loss"), default=first, key=nan_last)
    rose = not highest <= RISEN * max(first, watched.chance or 0.0)
    failed = watched.broken or lowest is None
    if not failed and not watched.learns and watched.steps >= FEWEST_STEPS:
        failed = not watched.last_loss <= HARDLY * watched.reference_loss
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
    if update >= SMALLEST_UPDATE or dying(watched) or vanishing_gradients(watched):
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


def _rates(watched):
    return watched.figures("learning_rate")


def _updates(watched):
    """The median over layers of each look's update ratio; what is no number is infinite."""
    found = []
    for look in watched.looks:
        ratios = sorted(nan_last(ratio) for ratio in look.of("update_ratio").values())
        if ratios:
            found.append(ratios[len(ratios) // 2])
    return found
