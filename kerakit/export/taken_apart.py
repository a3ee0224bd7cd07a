"""Layers that are made of others, as those others in the graph of a model."""

import keras

from kerakit.layers import Conv2Plus1D


def taken_apart(graph):
    """A model with each `Conv2Plus1D` as its four steps, so that norms can be folded into them.

    The steps are called as in torchvision's checkpoints, the layer's own name before them:
    `conv1_0` over space, `conv1_1` the norm, `conv1_2` the ReLU, `conv1_3` over time. They have
    weights of their own, copies of the layer's; all other layers are the model's.

    Args:
        graph: Functional `keras.Model`.

    Returns:
        Functional `keras.Model` that answers as `graph` does; `graph` itself where there is no
        such layer, or where a name of a step is taken.

    Example:

    >>> clips = keras.Input((4, 8, 8, 3))
    >>> model = keras.Model(clips, Conv2Plus1D(4, 3, name="conv1")(clips))
    >>> [layer.name for layer in taken_apart(model).layers[1:]]
    ['conv1_0', 'conv1_1', 'conv1_2', 'conv1_3']
    """
    names = {layer.name for layer in graph.layers}
    whole = [layer for layer in graph.layers if type(layer) is Conv2Plus1D]
    if not whole or names & {f"{layer.name}_{step}" for layer in whole for step in range(4)}:
        return graph
    steps = {id(layer): _steps(layer) for layer in whole}

    def call(layer, *arguments, **options):
        if id(layer) not in steps:
            return layer(*arguments, **options)
        spatial, norm, relu, temporal = steps[id(layer)]
        # A norm that goes by the batch even when it answers is to go on doing so.
        training = {"training": True} if options.get("training") else {}
        return temporal(relu(norm(spatial(*arguments), **training)))

    return keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=call)


def _steps(layer):
    relu = keras.layers.ReLU(dtype=layer.dtype_policy, name=f"{layer.name}_2")
    spatial, norm, temporal = (
        _copy(part, f"{layer.name}_{part.name}")
        for part in (layer.spatial, layer.norm, layer.temporal)
    )
    return spatial, norm, relu, temporal


def _copy(layer, name):
    config = {**layer.get_config(), "name": name, "dtype": layer.dtype_policy}
    copy = layer.__class__.from_config(config)
    copy.build_from_config(layer.get_build_config())
    copy.set_weights(layer.get_weights())
    return copy
