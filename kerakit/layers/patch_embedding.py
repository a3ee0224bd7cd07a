"""Images and clips cut into patches, each projected to a token."""

import math

import keras
from keras import ops

from kerakit.layers.arguments import check_whole


@keras.saving.register_keras_serializable(package="kerakit")
class PatchEmbedding(keras.layers.Layer):
    """Cuts images into patches, or clips into tubelets, and projects each to a token.

    `token_n = W patch_n + b`, the patches not overlapping, in the order of rows (of frames, then
    rows). It is a convolution with stride = size of the kernel, reshaped to (B, N, d), and its
    weights are such a convolution's: torchvision's `conv_proj` fits after a transposition. With
    `keras.layers.Conv2D` alone an image of another size loses its right and bottom edge without
    a word: 8 of 232 columns, at patches of 16. Here that is an error.

    Args:
        patch_size: (height, width) or one number for both, for images; (frames, height, width)
            for clips, whose patches are then called tubelets.
        embedding_dim: d, the width of a token.
        kernel_initializer: Of the projection.
        **options: As in `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        x: (B, H, W, C) images or (B, T, H, W, C) clips.

    Returns:
        (B, N, d) tokens, N = H/height * W/width, times T/frames.

    Raises:
        ValueError: If a size is below 1; if the input's rank does not fit, or its extent is
            unknown or no multiple of the patch's.

    Reference:
        Dosovitskiy et al., An Image is Worth 16x16 Words, 2021, Eq. 1; Arnab et al., ViViT: A
        Video Vision Transformer, 2021, Section 3.2 (tubelets). Deviations: class token and
        positions are layers of their own.

    Example:

    >>> import numpy as np
    >>> tuple(PatchEmbedding(4, 6)(np.ones((1, 8, 12, 3))).shape)
    (1, 6, 6)
    >>> tuple(PatchEmbedding((2, 4, 4), 6)(np.ones((1, 4, 8, 12, 3))).shape)
    (1, 12, 6)
    """

    def __init__(
        self, patch_size, embedding_dim, *, kernel_initializer="glorot_uniform", **options
    ):
        sizes = (patch_size,) * 2 if isinstance(patch_size, int) else patch_size
        if not isinstance(sizes, list | tuple) or len(sizes) not in (2, 3):
            raise ValueError(
                "`patch_size` must be an integer, (height, width) or (time, height, width), got "
                f"{patch_size!r}."
            )
        sizes = tuple(sizes)
        for size in sizes:
            check_whole(patch_size=size)
        check_whole(embedding_dim=embedding_dim)
        super().__init__(**options)
        self.patch_size = sizes
        self.embedding_dim = embedding_dim
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self._check(input_shape)
        self.kernel = self.add_weight(
            (*self.patch_size, input_shape[-1], self.embedding_dim),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        self.bias = self.add_weight((self.embedding_dim,), initializer="zeros", name="bias")

    def _check(self, shape):
        letters = "HW" if len(self.patch_size) == 2 else "THW"
        if len(shape) != len(letters) + 2 or None in shape[1:]:
            raise ValueError(
                f"`x` must be (B, {', '.join(letters)}, C), all but B known, for patches of "
                f"{self.patch_size}, got shape {tuple(shape)}."
            )
        extent = tuple(shape[1:-1])
        if any(size % patch for size, patch in zip(extent, self.patch_size, strict=True)):
            raise ValueError(
                f"`x` must be a multiple of the patches in each direction, got {extent} for "
                f"patches of {self.patch_size}."
            )

    def call(self, x):
        self._check(x.shape)
        x = ops.conv(x, self.kernel, self.patch_size, padding="valid", data_format="channels_last")
        num_patches = math.prod(x.shape[1:-1])
        return ops.reshape(x, (-1, num_patches, self.embedding_dim)) + self.bias

    def compute_output_shape(self, input_shape):
        counts = [n // p for n, p in zip(input_shape[1:-1], self.patch_size, strict=True)]
        return (input_shape[0], math.prod(counts), self.embedding_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "patch_size": self.patch_size,
            "embedding_dim": self.embedding_dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
