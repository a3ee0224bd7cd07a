"""Random transforms of batches, each a function of a seed that is given."""

from kerakit.augment.affine import RandomAffine, affine_matrices
from kerakit.augment.box_masks import transform_box_masks
from kerakit.augment.boxes import clip_boxes, tighten_boxes, transform_boxes
from kerakit.augment.chain import chain
from kerakit.augment.class_crop import ClassBalancedCrop
from kerakit.augment.color_jitter import ColorJitter
from kerakit.augment.crop import RandomCrop
from kerakit.augment.crop_resizing import resize_crops
from kerakit.augment.cutmix import CutMix
from kerakit.augment.cutout import Cutout
from kerakit.augment.elastic import ElasticDeformation
from kerakit.augment.flip import RandomFlip, RandomReversal
from kerakit.augment.mixup import Mixup
from kerakit.augment.mosaic import Mosaic
from kerakit.augment.rand_augment import RandAugment
from kerakit.augment.resampling import transform_images
from kerakit.augment.resized_crop import RandomResizedCrop
from kerakit.augment.scale_jitter import ScaleJitter

__all__ = [
    "ClassBalancedCrop",
    "ColorJitter",
    "CutMix",
    "Cutout",
    "ElasticDeformation",
    "Mixup",
    "Mosaic",
    "RandAugment",
    "RandomAffine",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "RandomReversal",
    "ScaleJitter",
    "affine_matrices",
    "chain",
    "clip_boxes",
    "resize_crops",
    "tighten_boxes",
    "transform_box_masks",
    "transform_boxes",
    "transform_images",
]
