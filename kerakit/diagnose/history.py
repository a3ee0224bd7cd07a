"""Rules over the curves of a training: loss and accuracy of its epochs."""

import math

from kerakit.diagnose.finding import Finding
from kerakit.diagnose.rate_rules import FEWEST_STEPS, HARDLY

# A loss of an epoch so far above the first. A choice: no healthy epoch was above the first loss.
EXPLODED = 3.0
# Progress is a loss below 95 % of the first: stuck runs were measured within 4 % of it.
PROGRESS = 0.95
# Held out, a loss that rose so much over its lowest, while the other fell. Prechelt (Early
# Stopping - But When?, 1998) takes 5 % to 50 % for the generalisation loss that stops.
RISE = 1.2
RISE_EPOCHS = 3
# Or a gap at the end: accuracy better by so much on what was learnt, and the loss held out so
# many times as large. A choice between healthy runs (gaps up to 0.07) and 60 digits learnt by heart
# (0.18, and a loss 370 times as large).
GAP, GAP_OF_LOSS = 0.12, 2.0
# The first loss's part that is left, and the accuracy, of a model that did not fit its data.
LEFT, POOR = 0.35, 0.7
# A quarter of the epochs in which the loss fell less than this is flat.
FLAT = 0.03
FEWEST_EPOCHS = 5


def loss_explodes(watched):
    """A loss that becomes no number, or rises far above its start.

    Evidence: the step at which it was no longer finite, or an epoch's loss over the first.
    Threshold: `EXPLODED`. A loss that was wrong before the first step is a warning here, as its
    cause is named elsewhere.
    """
    losses, first, lost = watched.curve("loss"), watched.first_loss, watched.lost_weights
    if first is None:
        return None
    highest = max([loss for loss in losses if math.isfinite(loss)], default=first)
    limit = EXPLODED * min([first, *losses])
    rose = highest > EXPLODED * first and (losses or [first])[-1] > limit
    if watched.broken:
        where = f"at step {watched.broken_at}" if watched.broken_at is not None else "in an epoch"
        text = f"The loss, {first:.3g} at first, is no number any more {where}."
    elif lost:
        text = f"The weights of `{lost[1]}` are no numbers any more at step {lost[0]}."
    elif watched.has_ratios and rose:
        text = f"The loss of an epoch rose to {highest:.3g}, from {first:.3g} at first."
    else:
        return None
    is_new = (watched.broken or lost) and not watched.started_badly
    return Finding(
        rule="loss_explodes",
        severity="error" if is_new else "warning",
        message=text,
        evidence={
            "first_loss": first,
            "highest_loss": highest,
            "step": watched.broken_at if watched.broken_at is not None else "unknown",
        },
        advice="Lower the learning rate, check the start of the weights and the inputs' scale, "
        "clip gradients.",
    )


def no_initial_progress(watched):
    """A loss that stays where it was at the start.

    Evidence: the first loss and the lowest of an epoch. Threshold: `PROGRESS`, after
    `FEWEST_STEPS` steps or three epochs; a model that knew the answers is not meant.
    """
    first, lowest = watched.first_loss, watched.lowest_loss
    if first is None or lowest is None or watched.broken or _knows(watched) or _early(watched):
        return None
    # From a wrong start to what a model that knows nothing has is no progress either.
    stuck = watched.chance is not None and abs(lowest / watched.chance - 1) < 1 - PROGRESS
    if lowest <= PROGRESS * first and not stuck:
        return None
    near = "" if watched.chance is None else f"; knowing nothing costs {watched.chance:.3g}"
    return Finding(
        rule="no_initial_progress",
        severity="hint" if watched.learns else "warning",
        message=f"The loss was {first:.3g} at first and {lowest:.3g} at its lowest in "
        f"{_length(watched)}{near}.",
        evidence={"first_loss": first, "lowest_loss": lowest, "chance": watched.chance},
        advice="Try a learning rate 10 times higher and lower (`learning_rate_range`), look at the "
        "start of the weights, and whether one batch can be learnt (`overfit_one_batch`).",
    )


def loss_not_decreasing(watched):
    """A loss that hardly falls, or rises again.

    Evidence: the first loss, the lowest and the last of an epoch. Thresholds: `HARDLY` of the
    first at the lowest; or a last loss twice the lowest and half of the first or more.
    """
    first, lowest, last = watched.first_loss, watched.lowest_loss, watched.last_loss
    if first is None or lowest is None or last is None or watched.broken or _early(watched):
        return None
    if _knows(watched) or no_initial_progress(watched):
        return None
    back = last > 2 * lowest and last > 0.5 * first
    if not back and lowest <= HARDLY * first:
        return None
    return Finding(
        rule="loss_not_decreasing",
        severity="hint" if watched.learns else "warning",
        message=f"The loss was {first:.3g} at first, {lowest:.3g} at its lowest and {last:.3g} at "
        f"the end of {_length(watched)}.",
        evidence={"first_loss": first, "lowest_loss": lowest, "last_loss": last},
        advice="Check the gradients (their norms by layer, `kerakit.gradients.check`) and adjust "
        "the learning rate.",
    )


def underfitting(watched):
    """A model that does not fit what it learns from.

    Evidence: the loss left of the first, the accuracy, and how the loss moved in the last
    quarter: flat asks for a larger model, falling for more epochs. Thresholds: `LEFT` and
    `POOR`, both on the better of the two sets (mixed labels and dropout make training worse than
    testing), after `FEWEST_EPOCHS`. Without an accuracy among the figures it is a hint.
    """
    losses = watched.curve("loss")
    if watched.first_loss is None or len(losses) < FEWEST_EPOCHS or watched.broken:
        return None
    if no_initial_progress(watched) or loss_not_decreasing(watched):
        return None
    accuracies = [watched.curve(name)[-1] for name in _accuracies(watched)]
    best = min([losses[-1], *watched.curve("val_loss")[-1:]])
    left = best / min(watched.first_loss, watched.chance or math.inf)
    accuracy = max(accuracies, default=None)
    if not left > LEFT or (accuracy is not None and accuracy >= POOR):
        return None
    quarter = max(len(losses) // 4, 1)
    fell = 1 - losses[-1] / losses[-1 - quarter]
    flat = fell < FLAT * quarter
    reference = "the first" if watched.chance is None else "that of knowing nothing"
    known = "" if accuracy is None else f" and the accuracy {accuracy:.2f}"
    return Finding(
        rule="underfitting",
        severity="warning" if accuracy is not None and watched.chance is not None else "hint",
        message=f"After {len(losses)} epochs the loss is {best:.3g}, {left:.0%} of {reference}"
        f"{known}; in the last {'epoch' if quarter == 1 else quarter} it "
        f"{'hardly moved' if flat else 'still fell'} ({fell:.1%}).",
        evidence={"loss": best, "left": left, "accuracy": accuracy, "fell_in_last_quarter": fell},
        advice="A larger model, or less regularisation."
        if flat
        else "Train longer, with a higher learning rate at first; a larger model, or less "
        "regularisation.",
    )


def overfitting(watched):
    """A model that learns its examples by heart.

    Evidence: the loss held out at its lowest and at the end, the loss of training then and at
    the end; or the accuracies' gap. Thresholds: `RISE` over `RISE_EPOCHS` epochs, or `GAP` and
    `GAP_OF_LOSS`.
    """
    losses, held_out = watched.curve("loss"), watched.curve("val_loss")
    if len(losses) != len(held_out) or len(losses) < RISE_EPOCHS or watched.broken:
        return None
    if not all(map(math.isfinite, held_out)):
        return None
    from_lowest = min(range(len(held_out)), key=lambda epoch: held_out[epoch])
    rose = held_out[-1] / max(held_out[from_lowest], 1e-12)
    since = len(held_out) - 1 - from_lowest
    rises = rose > RISE and since >= RISE_EPOCHS and losses[-1] < losses[from_lowest]
    gap = _gap(watched)
    # What moving statistics do to the loss of the very examples that were learnt is no overfitting.
    learnt = max([losses[-1], *watched.figures("inference_loss")[-1:]])
    if held_out[-1] <= GAP_OF_LOSS * learnt or not (gap > GAP or rises):
        return None
    return Finding(
        rule="overfitting",
        severity="warning",
        message=f"The loss held out was lowest, {held_out[from_lowest]:.3g}, after epoch "
        f"{from_lowest + 1} and is {held_out[-1]:.3g} at the end, that of training "
        f"{losses[-1]:.3g}" + (f"; the accuracies differ by {gap:.2f}." if gap > 0 else "."),
        evidence={
            "lowest_val_loss": held_out[from_lowest],
            "lowest_at_epoch": from_lowest + 1,
            "last_val_loss": held_out[-1],
            "last_loss": losses[-1],
            "accuracy_gap": gap,
        },
        advice="More regularisation (weight decay, dropout), augmentation, a smaller model, or "
        "stop early (`kerakit.callbacks.EarlyStopping`).",
    )


def _accuracies(watched):
    names = {name for row in watched.epochs for name in row}
    return sorted(name for name in names if "accuracy" in name and "top" not in name)


def _gap(watched):
    gaps = [
        watched.curve(name)[-1] - watched.curve(f"val_{name}")[-1]
        for name in _accuracies(watched)
        if not name.startswith("val_") and watched.curve(f"val_{name}")
    ]
    return max(gaps, default=0.0)


def _knows(watched):
    return watched.chance is not None and watched.first_loss < 0.5 * watched.chance


def _early(watched):
    return watched.steps < FEWEST_STEPS and len(watched.curve("loss")) < 3


def _length(watched):
    epochs = len(watched.curve("loss"))
    return f"{watched.steps} steps" if watched.steps else f"{epochs} epochs"
