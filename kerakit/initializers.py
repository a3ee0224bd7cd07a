"""Initial weights that Keras has under no name of their own."""

import keras

__all__ = ["HeNormal"]


@keras.saving.register_keras_serializable(package="kerakit")
class HeNormal(keras.initializers.VarianceScaling):
    """He's normal initializer: draws from `N(0, 2 / n_in)`, nothing cut off.

    ReLU sets half of its inputs to zero. Weights of variance `2 / n_in` make up for it, so
    that activations keep their mean square from layer to layer. Zeros would let all neurons
    of a layer learn the same; a fixed variance would let activations shrink or grow with
    depth; for tanh and sigmoid use `keras.initializers.GlorotNormal`.

    `keras.initializers.HeNormal` has the same variance but cuts the normal off at two of its
    own standard deviations and widens the rest: in 1,000,000 draws the largest absolute value
    is 2.27 sigma there and 5.34 sigma here (excess kurtosis -0.64 and 0.00).

    `n_in` is Keras's: the rows of a dense kernel; height times width times input channels of
    a convolution's. A depthwise kernel (H, W, C, 1) counts its C channels too, although each
    output sees one of them: use `keras.initializers.RandomNormal` there.

    Args:
        seed: Integer or `keras.random.SeedGenerator`. As in Keras, an initializer with an
            integer or None draws the same values at each call; with a generator, new ones.

    Raises:
        ValueError: If `seed` is neither (raised by Keras).

    Reference:
        He, Zhang, Ren and Sun, Delving Deep into Rectifiers: Surpassing Human-Level
        Performance on ImageNet Classification, 2015, Eq. 10. Deviations: none.

    Example:

    >>> kernel = HeNormal(seed=1)((800, 500))
    >>> round(float(keras.ops.std(kernel)), 3)  # sqrt(2 / 800)
    0.05
    """

    def __init__(self, seed=None):
        super().__init__(scale=2.0, mode="fan_in", distribution="untruncated_normal", seed=seed)

    def get_config(self):
        return {"seed": super().get_config()["seed"]}


def another(initializer, number=0):
    """A copy of an initializer for another weight of a layer.

    One instance draws the same numbers for each weight of a shape, and so do copies of one with a
    seed: two kernels would start alike, and stay alike where their inputs are.

    Args:
        initializer: `keras.Initializer`, or a function, which is returned as it is.
        number: Added to its seed, if it was given one.

    Returns:
        The initializer for that weight.
    """
    if not isinstance(initializer, keras.Initializer):
        return initializer
    config = initializer.get_config()
    if isinstance(config.get("seed"), int):
        config["seed"] += number
    return type(initializer).from_config(config)
