"""What the sheet says of the classifiers' architectures, in the models as they are built."""

import functools
from itertools import pairwise

import keras
import pytest
from keras import layers

from kerakit import cost
from kerakit.layers import PaddedConv2D, TransformerBlock
from kerakit.models import classification
from kerakit.models.classification.googlenet import inception


@functools.cache
def built(name, **options):
    with keras.StatelessScope(initialize_variables=False):  # without values
        return getattr(classification, name)(**options)


def costs(name, **options):
    with keras.StatelessScope(initialize_variables=False):
        return cost.report(built(name, **options))


def with_kernels(model):
    kinds = (layers.Conv2D, PaddedConv2D, layers.Dense)
    return [layer for layer in model.layers if isinstance(layer, kinds)]


def is_relu(layer):
    return getattr(layer, "activation", None) is keras.activations.relu


def test_alexnet_has_relus_between_its_layers_and_dropout():
    model = built("alexnet")
    *hidden, _ = with_kernels(model)
    assert len(hidden) == 5 + 2
    # A convolution's is a layer of its own, a dense layer's its own activation.
    assert sum(map(is_relu, model.layers)) == len(hidden)
    rates = [layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)]
    assert rates == [0.5, 0.5]


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_vgg_is_3_by_3_convolutions_of_stride_1_and_as_deep_as_its_name(depth):
    kernels = with_kernels(built(f"vgg{depth}"))
    assert len(kernels) == depth
    for layer in kernels[:-3]:
        assert (layer.kernel_size, layer.strides) == ((3, 3), (1, 1))


def test_a_deeper_vgg_sees_further_at_the_same_kernels():
    """And bends more often: three layers of 3 x 3 see what one of 7 x 7 does, with fewer weights.

    Simonyan and Zisserman, 2015, Section 2.3.
    """
    names = [f"vgg{depth}" for depth in (11, 13, 16, 19)]
    fields = [costs(name, width=0.0625).local_receptive_field[0] for name in names]
    assert fields == [150, 156, 212, 268]
    relus = [sum(map(is_relu, built(name).layers)) for name in names]
    assert all(fewer < more for fewer, more in pairwise(relus))
    assert cost.formulas.receptive_field([(3, 1)] * 3) == cost.formulas.receptive_field([(7, 1)])
    three = 3 * cost.formulas.convolution_parameters((3, 3), 64, 64)
    assert three < 0.6 * cost.formulas.convolution_parameters((7, 7), 64, 64)


@pytest.mark.parametrize("third_branch", [3, 5])
def test_an_inception_module_has_parallel_paths_of_each_size_and_pooling(third_branch):
    x = keras.Input((7, 7, 6))
    model = keras.Model(x, inception(x, (1, 2, 3, 4, 5, 6), third_branch, "module"))
    assert model.output_shape == (None, 7, 7, 1 + 3 + 5 + 6)
    # Paths from the one input to the one concatenation, by what lies on them.
    names = {layer.name: layer for layer in model.layers}
    ends = names["module_concat"].input
    paths = [
        [
            (type(layer).__name__, getattr(layer, "kernel_size", getattr(layer, "pool_size", None)))
            for layer in keras.Model(x, end).layers
            if isinstance(layer, PaddedConv2D | layers.MaxPooling2D)
        ]
        for end in ends
    ]
    one, third = ("PaddedConv2D", (1, 1)), ("PaddedConv2D", (third_branch, third_branch))
    assert paths == [
        [one],
        [one, ("PaddedConv2D", (3, 3))],
        [one, third],
        [("MaxPooling2D", (3, 3)), one],
    ]


def test_each_layer_of_a_dense_block_reads_all_before_it():
    model = built("densenet121")
    block = model.get_layer("features_pool0").output
    outputs = [block]
    for number in range(1, 7):
        name = f"features_denseblock1_denselayer{number}"
        # What the layer reads, and the new features of all before it, in order.
        reads = model.get_layer(f"{name}_norm1").input
        assert reads.shape[-1] == 64 + 32 * (number - 1) == sum(x.shape[-1] for x in outputs)
        outputs.append(model.get_layer(f"{name}_conv2").output)
        joined = model.get_layer(f"{name}_concat").input
        assert joined[0] is reads
        assert joined[1] is outputs[-1]


@pytest.mark.parametrize("name", ["vit_s_16", "vit_moe"])
def test_a_vision_transformer_has_attention_and_no_convolution(name):
    model = built(name)
    parts = list(model._flatten_layers())
    convolutions = (layers.Conv2D, layers.DepthwiseConv2D, PaddedConv2D)
    assert not any(isinstance(part, convolutions) for part in parts)
    blocks = [part for part in parts if isinstance(part, TransformerBlock)]
    attentions = [part for part in parts if isinstance(part, layers.MultiHeadAttention)]
    assert len(blocks) == len(attentions) == 12


def test_a_vision_transformer_is_quadratic_in_its_patches():
    """Attention's `2 n^2 d` a block, the rest linear in the n tokens."""
    sides, width, tokens = (64, 128, 256), 384, []
    macs = []
    for side in sides:
        macs.append(costs("vit_s_16", input_shape=(side, side, 3)).macs)
        tokens.append((side // 16) ** 2 + 1)
    linear = [12 * 12 * width**2 * n + (n - 1) * 768 * width + 1000 * width for n in tokens]
    quadratic = [m - one for m, one in zip(macs, linear, strict=True)]
    assert quadratic == [12 * 2 * width * n**2 for n in tokens]
