"""Can the model learn one batch by heart?"""

import numpy as np

from kerakit.diagnose.borrowed import borrowed, losses_of
from kerakit.diagnose.finding import Finding
from kerakit.diagnose.looked import some_examples

# Learnt by heart, the loss goes to 0; what a regularizer or smoothed labels leave of it is less
# than this share of the first.
LEARNT = 0.3


def overfit_one_batch(model, x, y, *, steps=200, batch_size=16):
    """Trains on one batch over and over, and finds fault if the loss does not fall.

    A model with more parameters than the batch has labels learns it by heart; if not, the fault
    is in the model, the loss, the labels or the learning rate, and no data will mend it. The
    model is trained in place, with a fresh optimizer, and then is as it was.

    Args:
        model: A built and compiled model.
        x: Inputs (B, ...) as `fit` takes them.
        y: Targets.
        steps: How many steps to give it.
        batch_size: Examples in the batch, taken evenly from all.

    Returns:
        A `Finding` "cannot_overfit_one_batch", or None if it can.

    Raises:
        ValueError: If the model is not compiled, or `steps` or `batch_size` is not positive.

    Reference:
        Goodfellow, Bengio and Courville, Deep Learning, 2016, section 11.5 ("fit a tiny
        dataset"). Deviations: none.
    """
    for name, value in (("steps", steps), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"`{name}` must be positive, got {value}.")
    x, y = some_examples(x, y, most=batch_size)
    with borrowed(model):
        losses = losses_of(model, x, y, steps=steps, batch_size=batch_size)
    # Dropout makes single losses noisy, and the median of the last ones is not.
    first, last = losses[0], float(np.median(losses[-max(1, len(losses) // 20) :]))
    if np.isfinite(losses[-1]) and last <= LEARNT * first:
        return None
    return Finding(
        rule="cannot_overfit_one_batch",
        severity="warning",  # most often another finding says why
        message=f"One batch of {batch_size} does not get learnt by heart: its loss goes from "
        f"{first:.3g} to {last:.3g} in {len(losses)} steps.",
        evidence={"first_loss": first, "last_loss": last, "steps": len(losses)},
        advice="Check the labels and the loss, then the start and the learning rate, then whether "
        "the model is large enough; leave regularisation for later.",
    )
