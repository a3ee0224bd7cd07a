"""Initial weights that Keras has under no name of their own."""

import keras
import numpy as np

__all__ = ["Bilinear", "HeNormal"]


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


@keras.saving.register_keras_serializable(package="kerakit")
class Bilinear(keras.initializers.Initializer):
    """Weights with which a transposed convolution enlarges by bilinear interpolation.

    Each channel goes to the channel of its number, by a tent over the F x F places:
    `w(y, x) = (1 - |y - c| / r) (1 - |x - c| / r)` with `r = ceil(F / 2)` and `c` the middle. With
    F = 2 S - S mod 2 at stride S it is bilinear upsampling by S, from which a segmenter learns a
    better one. Keras has no such initializer; `keras.layers.UpSampling2D` learns nothing.

    Raises:
        ValueError: When it is called with a shape that is not (H, W, K_out, K_in).

    Reference:
        Long, Shelhamer and Darrell, Fully Convolutional Networks for Semantic Segmentation,
        2015, Section 3.3. Deviations: none.

    Example:

    >>> kernel = Bilinear()((4, 4, 1, 1))
    >>> [round(float(w), 4) for w in kernel[1, :, 0, 0]]  # 0.75 times 0.25, 0.75, 0.75, 0.25
    [0.1875, 0.5625, 0.5625, 0.1875]
    """

    def __call__(self, shape, dtype=None):
        if len(shape) != 4:
            raise ValueError(f"`shape` must be (H, W, K_out, K_in), got {tuple(shape)}.")
        tents = []
        for size in shape[:2]:
            reach = (size + 1) // 2
            tents.append(1 - np.abs(np.arange(size) - (size - 1) / 2) / reach)
        kernel = np.einsum("y,x,oi->yxoi", *tents, np.eye(*shape[2:]))
        return keras.ops.convert_to_tensor(kernel, dtype or keras.config.floatx())

    def get_config(self):
        return {}


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
