"""What fine-tuning asks of a network's layers: their order, and still statistics."""

import keras


def layer_depths(model):
    """How far each trainable variable is from the answer: 0 in the last layer, 1 in the first.

    Layers with weights are spaced evenly, in the order in which the network computes them, so
    that one rule serves every architecture.

    Args:
        model: Functional `keras.Model`.

    Returns:
        Dict from a variable's `path` to its depth.

    Example:

    >>> inputs = keras.Input((2,))
    >>> x = keras.layers.Dense(2, use_bias=False, name="a")(inputs)
    >>> x = keras.layers.Dense(2, use_bias=False, name="b")(x)
    >>> layer_depths(keras.Model(inputs, x))
    {'a/kernel': 1.0, 'b/kernel': 0.0}
    """
    layers = [layer for layer in model.layers if layer.trainable_variables]
    steps = max(1, len(layers) - 1)
    return {
        variable.path: 1.0 - position / steps
        for position, layer in enumerate(layers)
        for variable in layer.trainable_variables
    }


def freeze_batch_normalization(model):
    """Keeps each batch normalisation as it is: its statistics, scale and offset.

    In Keras `trainable = False` does all of that: the layer then normalises by its moving
    statistics in training too. To be called before `compile`.

    Args:
        model: `keras.Model`.

    Returns:
        How many layers that were.
    """
    found = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in found:
        layer.trainable = False
    return len(found)
