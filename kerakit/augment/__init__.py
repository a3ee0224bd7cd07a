"""Random transforms of batches, each a function of a seed that is given."""

from kerakit.augment.affine import RandomAffine, affine_matrices, transform_images

__all__ = ["RandomAffine", "affine_matrices", "transform_images"]
