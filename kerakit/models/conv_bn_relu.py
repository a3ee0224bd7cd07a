"""The one way models stack [convolution, batch normalisation, ReLU]."""

import keras

from kerakit.layers.batch_normalization import BatchNormalization
from kerakit.layers.padded_conv import PaddedConv2D, PaddedConv3D


def conv_bn_relu(
    x,
    filters,
    *,
    kernel_size,
    names,
    strides=1,
    padding=None,
    dilation_rate=1,
    groups=1,
    norm=BatchNormalization,
    activation="relu",
    use_bias=None,
    kernel_initializer=None,
):
    """Adds a convolution, a norm and an activation to a functional model.

    The layers' names are given one by one, since a checkpoint's are: torchvision's ResNet has
    `layer1.0.conv1` and `layer1.0.bn1`, its GoogLeNet `inception3a.branch1.conv` and `.bn`, its
    MobileNetV2 `features.1.conv.0.0` and `.0.1`, its VGG `features.0` and no norm. Write "_" for
    their ".".

    Args:
        x: (B, H, W, C) or (B, T, H, W, C) symbolic tensor.
        filters: K, channels of the output.
        kernel_size: An integer or one a spatial axis.
        names: Of the layers there are, in their order: convolution, norm, activation.
        strides: An integer or one a spatial axis.
        padding: Zeros on both sides, likewise; None: what keeps the size at stride 1.
        dilation_rate: An integer or one a spatial axis.
        groups: Groups of channels; as many as C for a depthwise convolution.
        norm: Class or function that makes the layer when given its `name`, such as
            `functools.partial(BatchNormalization, epsilon=1e-3)`; None: no norm.
        activation: Of Keras, by name (`"relu"`, `"relu6"`) or a function; None: none.
        use_bias: Whether the convolution has a bias; None: where no norm follows, which would
            take it away again.
        kernel_initializer: Of the convolution; None: `he_fan_out`.

    Returns:
        (B, ..., K) symbolic tensor.

    Raises:
        ValueError: If `x` is neither 4D nor 5D, or `names` has not one name a layer.

    Reference:
        He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015, Eq. 14, for the initial
        weights: normal of variance 2 / n_out. Deviations: none.

    Example:

    >>> images = keras.Input((32, 32, 3))
    >>> x = conv_bn_relu(
    ...     images, 8, kernel_size=3, strides=2, names=("conv1", "bn1", "relu")
    ... )
    >>> [layer.name for layer in keras.Model(images, x).layers[1:]], x.shape
    (['conv1', 'bn1', 'relu'], (None, 16, 16, 8))
    """
    convolutions = {4: PaddedConv2D, 5: PaddedConv3D}
    if len(x.shape) not in convolutions:
        raise ValueError(
            f"`x` must be (B, H, W, C) or (B, T, H, W, C), got shape {tuple(x.shape)}."
        )
    wanted = 1 + (norm is not None) + (activation is not None)
    if isinstance(names, str) or len(names) != wanted:
        raise ValueError(
            f"`names` must be {wanted}, one for the convolution, the norm and the activation that "
            f"there are, got {names!r}."
        )
    names = iter(names)
    x = convolutions[len(x.shape)](
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
        groups=groups,
        use_bias=norm is None if use_bias is None else use_bias,
        kernel_initializer=kernel_initializer or he_fan_out(),
        name=next(names),
    )(x)
    if norm is not None:
        x = norm(name=next(names))(x)
    if activation is not None:
        x = keras.layers.Activation(activation, name=next(names))(x)
    return x


def he_fan_out():
    """He's initializer by outputs: `N(0, 2 / (F F K))`, which keeps gradients' variance."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
