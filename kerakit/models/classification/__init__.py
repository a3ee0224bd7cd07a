"""Builders of image classifiers; each returns a `keras.Model` that ends in logits."""

from kerakit.models.classification.alexnet import alexnet
from kerakit.models.classification.densenet import densenet121, densenet169, densenet201
from kerakit.models.classification.googlenet import googlenet
from kerakit.models.classification.knn import knn_classifier
from kerakit.models.classification.linear import linear_classifier
from kerakit.models.classification.mobilenet_v2 import mobilenet_v2
from kerakit.models.classification.recurrent import recurrent_classifier
from kerakit.models.classification.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from kerakit.models.classification.sparse_vision_transformer import vit_moe
from kerakit.models.classification.vgg import (
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)
from kerakit.models.classification.vision_transformer import (
    vit_b_16,
    vit_b_32,
    vit_l_16,
    vit_s_16,
    vit_ti_16,
)

__all__ = [
    "alexnet",
    "densenet121",
    "densenet169",
    "densenet201",
    "googlenet",
    "knn_classifier",
    "linear_classifier",
    "mobilenet_v2",
    "recurrent_classifier",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vit_b_16",
    "vit_b_32",
    "vit_l_16",
    "vit_moe",
    "vit_s_16",
    "vit_ti_16",
]
