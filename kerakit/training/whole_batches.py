"""Evaluation batches of one size, for replicas that each take an equal part."""

import keras
import tensorflow as tf


def whole_batches(batches, *, multiple_of=1):
    """Fills the last, short batch up to the size of the others, with rows of weight 0.

    Replicas cannot share a batch of one example, and a part without any gives figures that are
    no numbers. Filled with copies of its last row that count nothing, each example still counts
    once: in `weighted_metrics` (Keras gives no weights to `metrics`), and in losses by
    `mean_over_examples`. The batches are gone through once here, to count their rows.

    Args:
        batches: tf.data of (inputs, targets) or (inputs, targets, weights (B,)), of which the
            first batch is no shorter than any other.
        multiple_of: A number that divides the size of the batches that come out.

    Returns:
        tf.data of (inputs, targets, weights float32 (B,)), and how many rows there are for each
        example, at least 1.0.
    """
    sizes = [int(n) for n in batches.map(lambda *batch: _rows(batch)).as_numpy_iterator()]
    size = -(-max(sizes) // multiple_of) * multiple_of

    def filled(x, y, weights=None):
        rows = _rows((x,))
        chosen = tf.minimum(tf.range(size), rows - 1)
        counts = tf.cast(tf.range(size) < rows, "float32")
        if weights is not None:
            counts *= tf.cast(tf.gather(weights, chosen), "float32")
        x, y = keras.tree.map_structure(
            lambda t: tf.ensure_shape(tf.gather(t, chosen), (size, *t.shape[1:])), (x, y)
        )
        return x, y, counts

    whole = batches.map(filled, num_parallel_calls=tf.data.AUTOTUNE)
    whole = whole.apply(tf.data.experimental.assert_cardinality(len(sizes)))
    return whole.prefetch(tf.data.AUTOTUNE), size * len(sizes) / sum(sizes)


def mean_over_examples(logs, model, *, rows_an_example):
    """Makes means over the rows of `whole_batches` means over the examples, in place.

    Keras divides a loss by the rows, those of weight 0 too.

    Args:
        logs: Dict of an epoch's figures; those of the validation begin with `val_`.
        model: The model that was validated.
        rows_an_example: As `whole_batches` gives it.
    """
    # Penalties of weights are the same whatever the batch.
    penalty = float(sum(float(loss) for loss in model.losses))
    for metric in model.metrics:
        key = f"val_{metric.name}"
        if type(metric) is keras.metrics.Mean and key in logs:
            fixed = penalty if metric.name == "loss" else 0.0
            logs[key] = (logs[key] - fixed) * rows_an_example + fixed


def _rows(batch):
    return tf.shape(keras.tree.flatten(batch)[0])[0]
