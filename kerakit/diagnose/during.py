"""What can be said of a training from what was seen of it."""

from kerakit.diagnose import history, layer_rules, rate_rules
from kerakit.diagnose.finding import Diagnosis

RULES = (
    rate_rules.learning_rate_too_high,
    layer_rules.dead_relus,
    layer_rules.vanishing_gradients,
    layer_rules.exploding_gradients,
    rate_rules.learning_rate_too_low,
    layer_rules.batch_norm_drift,
    history.loss_explodes,
    history.no_initial_progress,
    history.loss_not_decreasing,
    history.underfitting,
    history.overfitting,
)

# Of a loss that may be negative, or 0.
WITHOUT_RATIOS = (
    layer_rules.vanishing_gradients,
    layer_rules.exploding_gradients,
    history.loss_explodes,
)


def during_training(watched):
    """Says what is wrong with a training, while it runs or after it.

    A rule that cannot judge from what was seen stays silent. What has its cause before the
    first step is never worse than a warning here, so that the cause is named first.

    Args:
        watched: `Watched`; of a training without a `Watch`, its epochs alone.

    Returns:
        A `Diagnosis`.

    Example:

    >>> from kerakit.diagnose.watched import Watched
    >>> losses = [2.3, 1.1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05]
    >>> held_out = [2.2, 1.2, 0.9, 0.8, 0.9, 1.1, 1.3, 1.5]
    >>> rows = [{"loss": a, "val_loss": b} for a, b in zip(losses, held_out)]
    >>> during_training(Watched(epochs=tuple(rows))).first.rule
    'overfitting'
    """
    rules = RULES if watched.has_ratios else WITHOUT_RATIOS
    return Diagnosis.by(rules, watched)
