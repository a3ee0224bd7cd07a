"""What is in the masks of a set: how large they are, and how many pixels each class has."""

import numpy as np


class MaskCounts:
    """Sizes and pixels of the masks of a source.

    Args:
        sizes: (N, 2) height and width of each mask.
        pixels: (N, K + 1) pixels of each class, last those to be ignored.

    Example:

    >>> counts = MaskCounts([(1, 4), (2, 2)], [[3, 1, 0], [3, 0, 1]])
    >>> counts.largest_size, counts.class_shares().tolist()
    ((2, 4), [0.8571428571428571, 0.14285714285714285])
    """

    def __init__(self, sizes, pixels):
        self.sizes = np.asarray(sizes, np.int64).reshape(-1, 2)
        self.pixels = np.asarray(pixels, np.int64)

    @property
    def largest_size(self):
        """The greatest height and the greatest width."""
        return tuple(int(side) for side in self.sizes.max(axis=0))

    def class_shares(self):
        """(K,) share of each class in the pixels that count; they sum to 1."""
        of_class = self.pixels[:, :-1].sum(axis=0)
        return of_class / max(of_class.sum(), 1)

    def class_weights(self, *, power=0.5):
        """Weights by which rare classes count more: `share^-power`, of mean 1 over the pixels.

        Args:
            power: 0 weighs all alike, 1 gives each class the same part of the loss; in [0, 1].

        Returns:
            (K,) float64; 0 for a class of no pixel.

        Raises:
            ValueError: If `power` is out of range.

        Example:

        >>> MaskCounts([(1, 4)], [[3, 1, 0]]).class_weights(power=1.0).round(3).tolist()
        [0.667, 2.0]
        """
        if not 0 <= power <= 1:
            raise ValueError(f"`power` must be in [0, 1], got {power}.")
        shares = self.class_shares()
        weights = np.where(shares > 0, np.maximum(shares, 1e-12) ** -power, 0.0)
        return weights / max((weights * shares).sum(), 1e-12)

    def first(self, count):
        """The counts of the first `count` masks."""
        return MaskCounts(self.sizes[:count], self.pixels[:count])
