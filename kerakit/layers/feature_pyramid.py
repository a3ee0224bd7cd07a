"""Feature pyramid: maps of all depths of a backbone, each with what the deeper ones know."""

import keras
from keras import ops

from kerakit.layers.padded_conv import PaddedConv2D


@keras.saving.register_keras_serializable(package="kerakit")
class FeaturePyramid(keras.layers.Layer):
    """Maps of one width at every level, from the deepest downwards.

    Each map goes through a 1 x 1 convolution; to it the level above, doubled in size by its
    nearest cells, is added; a 3 x 3 convolution of the sum is the level's output. With `extra`
    every second cell of the deepest output makes one level more. Its layers have torchvision's
    names (`inner_blocks_0_0`, `layer_blocks_0_0`), so that `kerakit.weights.load_torchvision`
    finds them; call the pyramid `backbone_fpn` in a detector.

    Args:
        filters: Channels of every output.
        extra: Whether a coarser level, half of the deepest, is added for proposals.
        **options: As in `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        features: List of (B, H, W, C) tensors, finest first, H and W known; each level has half
            the height and width of the one before, rounded up or down.

    Returns:
        List of (B, H, W, filters) tensors, one a level, finest first, and with `extra` one more.

    Raises:
        ValueError: If `filters` is not positive, or a map's size is not known.

    Reference:
        Lin et al., Feature Pyramid Networks for Object Detection, 2017, Section 3 and Fig. 3.
        Deviations: none; the added level and the initial weights are torchvision's.

    Example:

    >>> maps = [ops.ones((1, 8, 8, 16)), ops.ones((1, 4, 4, 32))]
    >>> [tuple(y.shape) for y in FeaturePyramid(6)(maps)]
    [(1, 8, 8, 6), (1, 4, 4, 6), (1, 2, 2, 6)]
    """

    def __init__(self, filters=256, *, extra=True, **options):
        super().__init__(**options)
        if not isinstance(filters, int) or filters < 1:
            raise ValueError(f"`filters` must be a positive integer, got {filters!r}.")
        self.filters = filters
        self.extra = extra

    def build(self, shapes):
        self.inner_blocks, self.layer_blocks = [], []
        for number, shape in enumerate(shapes):
            if None in shape[1:]:
                raise ValueError(f"`features` must have sizes that are known, got shape {shape}.")
            inner = self._convolution(1, f"inner_blocks_{number}_0")
            inner.build(shape)
            outer = self._convolution(3, f"layer_blocks_{number}_0")
            outer.build((*shape[:-1], self.filters))
            self.inner_blocks.append(inner)
            self.layer_blocks.append(outer)

    def _convolution(self, size, name):
        # Uniform up to sqrt(3 / fan in).
        start = keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="uniform")
        return PaddedConv2D(
            self.filters,
            size,
            padding=size // 2,
            kernel_initializer=start,
            name=name,
            dtype=self.dtype_policy,
        )

    def call(self, features):
        merged = []
        for inner, x in zip(reversed(self.inner_blocks), reversed(features), strict=True):
            side = inner(x)
            merged.append(side if not merged else side + _as_large_as(merged[-1], side))
        merged.reverse()
        outputs = [outer(x) for outer, x in zip(self.layer_blocks, merged, strict=True)]
        if self.extra:
            outputs.append(outputs[-1][:, ::2, ::2])
        return outputs

    def compute_output_spec(self, features):
        shapes = [(*x.shape[:3], self.filters) for x in features]
        if self.extra:
            batch, height, width, _ = shapes[-1]
            shapes.append((batch, -(-height // 2), -(-width // 2), self.filters))
        return [keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in shapes]

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "extra": self.extra}


def _as_large_as(x, other):
    """Each cell of the other takes the cell of `x` that its start lies in."""
    for axis in (1, 2):
        size, target = x.shape[axis], other.shape[axis]
        if target == 2 * size:
            x = ops.repeat(x, 2, axis=axis)
        elif target != size:
            x = ops.take(x, [i * size // target for i in range(target)], axis=axis)
    return x
