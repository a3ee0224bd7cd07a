"""What can be said of a model and its data before the first step."""

from kerakit.diagnose import input_rules, label_rules, output_rules, start_rules, structure_rules
from kerakit.diagnose.finding import Diagnosis
from kerakit.diagnose.looked import look

RULES = (
    label_rules.labels_out_of_range,
    output_rules.double_softmax,
    start_rules.zero_initial_weights,
    input_rules.inputs_not_normalised,
    start_rules.badly_scaled_initial_weights,
    start_rules.saturating_activations,
    start_rules.vanishing_gradients,
    output_rules.first_loss_unexpected,
    label_rules.final_bias_ignores_balance,
    structure_rules.flatten_dense_heavy,
    structure_rules.large_kernel,
    structure_rules.pooling_for_stride,
    structure_rules.channels_do_not_grow,
)


def before_training(model, x, y=None, *, classes=None, validation=None):
    """Looks at a model and its data before training, and says what is wrong.

    The model runs once on up to 64 of the examples, in training mode, and the loss and the
    gradients of the first step are taken; nothing of it changes. A rule that cannot judge
    (another kind of output, a loss of one's own) stays silent.

    Args:
        model: A built model, compiled as it is to be trained. Any `keras.Model`.
        x: Inputs (B, ...) as `fit` takes them: an array, or a list or dict of arrays; some
            hundreds of examples, as they come from the training pipeline.
        y: Targets, likewise. None leaves out what needs them.
        classes: Number of classes, or their names, to compare with the outputs; or None.
        validation: (x, y) of the validation set, to compare with; or None.

    Returns:
        A `Diagnosis`; `print` it. Quiet if there is nothing worse than a hint.

    Raises:
        ValueError: If the model is not built, or there are no examples.

    Example:

    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile(optimizer="adam", loss=loss)
    >>> x = np.random.default_rng(0).normal(size=(64, 4))
    >>> before_training(model, x, np.arange(64) % 3).first.rule
    'double_softmax'
    """
    looked = look(model, x, y, classes=classes, validation=validation)
    return Diagnosis.by(RULES, looked)
