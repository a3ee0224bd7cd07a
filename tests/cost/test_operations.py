"""Functions of `keras.ops`: their figures by hand."""

import keras
import pytest
from keras import ops
from keras.src.ops import core, einops, image, linalg, math, nn, numpy

from kerakit.cost import report
from kerakit.cost.equation import einsum_macs, labels
from kerakit.cost.operation_rules import PER_ELEMENT, RULES

MODULES = (core, einops, image, linalg, math, nn, numpy)
X, Y = (4, 5, 6), (5, 7)  # without the batch

# Function, shapes, MACs, FLOPs, receptive field over the first axis but the batch and all after it
# that are not the last; None: as that of the input.
CASES = [
    # Elements: 120.
    (lambda x: x + 1.0, [X], 0, 120, None),
    (lambda x: -x, [X], 0, 120, None),
    (lambda x: 2.0 / x, [X], 0, 120, None),
    (lambda x: x**2, [X], 0, 120, None),
    (lambda x: ops.where(x > 0, x, 0.0), [X], 0, 240, None),
    (ops.relu, [X], 0, 120, None),
    (ops.relu6, [X], 0, 240, None),
    (ops.sigmoid, [X], 0, 480, None),
    (ops.tanh, [X], 0, 720, None),
    (ops.silu, [X], 0, 600, None),
    (ops.softplus, [X], 0, 360, None),
    (ops.rsqrt, [X], 0, 240, None),
    (lambda x: ops.clip(x, 0, 1), [X], 0, 240, None),
    (lambda x: ops.gelu(x, approximate=False), [X], 0, 600, None),
    # x^3 (2), by 0.044715, + x, by c, tanh (6), + 1, by 1/2, by x.
    (ops.gelu, [X], 0, 14 * 120, None),
    (ops.softmax, [X], 0, 360, None),
    (lambda x: ops.softmax(x, axis=1), [X], 0, 360, ("all", 1)),
    (ops.log_softmax, [X], 0, 360, None),
    (lambda x: ops.rms_normalization(x, axis=-1), [X], 0, 360, None),
    (lambda x: ops.normalize(x), [X], 0, 360, None),
    # Reductions of 120 to 20, 6 or 1.
    (lambda x: ops.sum(x, axis=-1), [X], 0, 100, None),
    (lambda x: ops.max(x, axis=(1, 2)), [X], 0, 114, ("all", "all")),
    (lambda x: ops.argmax(x, axis=-1), [X], 0, 100, None),
    (lambda x: ops.mean(x, axis=1, keepdims=True), [X], 0, 120, ("all", 1)),
    (lambda x: ops.var(x, axis=-1), [X], 0, 480, None),
    (lambda x: ops.std(x, axis=-1), [X], 0, 500, None),
    (lambda x: ops.logsumexp(x, axis=-1), [X], 0, 240, None),
    (lambda x: ops.norm(x, axis=-1), [X], 0, 240, None),
    (lambda x: ops.cumsum(x, axis=1), [X], 0, 120, ("all", 1)),
    (lambda x: ops.moments(x, axes=[-1])[0], [X], 0, 480, None),
    (lambda x: ops.top_k(x, 2)[0], [X], 0, 240, None),
    # Products.
    (lambda x: ops.matmul(x, ops.ones((6, 3))), [X], 120 * 3, 720, None),
    (lambda x: ops.dot(x, ops.ones((6, 3))), [X], 120 * 3, 720, None),
    (lambda x: ops.tensordot(x, ops.ones((6, 3)), 1), [X], 120 * 3, 720, None),
    (lambda x: ops.tensordot(x, ops.ones((5, 6, 3)), 2), [X], 120 * 3, 720, (1, "all")),
    (lambda x: ops.einsum("abcd,de->abce", x, ops.ones((6, 3))), [X], 360, 720, None),
    (lambda x: ops.einsum("...d,de->...e", x, ops.ones((6, 3))), [X], 360, 720, None),
    (lambda x: ops.einsum("abcd->acb", x), [X], 0, 100, None),
    (lambda x: ops.einsum("abcd,bd->ac", x, ops.ones((4, 6))), [X], 120, 240, ("all", 1)),
    (lambda x, y: ops.matmul(x, ops.swapaxes(y, 1, 2)), [Y, Y], 175, 350, None),
    # Both places move: a result reads two rows, wherever they are.
    (lambda x: ops.matmul(x, ops.swapaxes(x, 1, 2)), [Y], 175, 350, (None,)),
    # Nothing is computed.
    (lambda x: ops.transpose(x, (0, 2, 1, 3)), [X], 0, 0, None),
    (lambda x: ops.moveaxis(x, 1, -1), [X], 0, 0, None),
    (lambda x: ops.expand_dims(x, 1), [X], 0, 0, None),
    (lambda x: ops.reshape(x, (-1, 4, 30)), [X], 0, 0, None),
    (lambda x: ops.concatenate([x, x], axis=-1), [X], 0, 0, None),
    (lambda x: ops.split(x, 2, axis=-1)[1], [X], 0, 0, None),
    (lambda x: ops.unstack(x, axis=-1)[0], [X], 0, 0, None),
    (lambda x: ops.pad(x, [[0, 0], [1, 2], [0, 0], [0, 0]]), [X], 0, 0, None),
    (lambda x: ops.repeat(x, 2, axis=1), [X], 0, 0, None),
    (lambda x: x[:, 1:, ::2], [X], 0, 0, None),
    (lambda x: x[..., 0], [X], 0, 0, None),
    (lambda x: ops.cast(x, "float16"), [X], 0, 0, None),
    (lambda x: ops.zeros_like(x), [X], 0, 0, ()),
    (lambda x: ops.flip(x, axis=1), [X], 0, 0, (None, None)),
    (lambda x: ops.take(x, [1, 0], axis=1), [X], 0, 0, (None, None)),
    (lambda x: ops.image.resize(x, (8, 10)), [X], 0, 7 * 480, (2, 2)),
    (lambda x: ops.image.extract_patches(x, 2), [X], 0, 0, (2, 2)),
    (lambda x: ops.depth_to_space(x, 2), [(4, 5, 8)], 0, 0, None),
    (lambda x: ops.space_to_depth(x, 2), [(4, 6, 2)], 0, 0, (2, 2)),
    # Neighbourhoods.
    (lambda x: ops.conv(x, ops.ones((3, 2, 6, 8))), [X], 2 * 4 * 8 * 36, 4608, (3, 2)),
    (lambda x: ops.depthwise_conv(x, ops.ones((3, 2, 6, 1))), [X], 2 * 4 * 6 * 6, 576, (3, 2)),
    (lambda x: ops.conv_transpose(x, ops.ones((2, 2, 8, 6)), 2), [X], 120 * 32, 7680, None),
    (lambda x: ops.max_pool(x, 2), [X], 0, 2 * 2 * 6, (2, 2)),
    (lambda x: ops.average_pool(x, 2), [X], 0, 3 * 2 * 2 * 6, (2, 2)),
    # Queries, keys and values of 4 tokens, 5 heads of 6: scores 5 * 16, 4 FLOPs each.
    (
        lambda x: ops.dot_product_attention(x, x, x),
        [X],
        80 * 12,
        2 * 960 + 4 * 80,
        ("all", "all"),
    ),
]


@pytest.mark.parametrize(("function", "shapes", "macs", "flops", "field"), CASES)
def test_figures_by_hand(function, shapes, macs, flops, field):
    inputs = [keras.Input(shape) for shape in shapes]
    cost = report(keras.Model(inputs, function(*inputs)))
    assert (cost.macs, cost.flops) == (macs, flops)
    assert cost.uncounted == {}
    axes = len(shapes[0]) - 1
    assert cost.receptive_field == ((1,) * axes if field is None else field)


def test_whole_numbers_cost_no_floating_point_operations():
    tokens = keras.Input((6,), dtype="int32")
    assert report(keras.Model(tokens, ops.sum(tokens + 1, axis=-1))).flops == 0


def test_every_name_in_the_table_is_an_operation_of_keras():
    known = {name for module in MODULES for name in vars(module)}
    assert [name for name in RULES if name not in known] == []


def test_activations_of_the_table_cost_what_it_says():
    assert PER_ELEMENT["Sigmoid"] == 4
    assert (PER_ELEMENT["Relu"], PER_ELEMENT["LeakyRelu"], PER_ELEMENT["Tanh"]) == (1, 2, 6)


def test_labels_of_equations():
    assert labels("ab,bc", [(2, 3), (3, 4)]) == ([["a", "b"], ["b", "c"]], ["a", "c"])
    found, result = labels("...ij,jk->...ik", [(5, 2, 3), (3, 4)])
    assert found == [[".0", "i", "j"], ["j", "k"]]
    assert result == [".0", "i", "k"]
    assert einsum_macs("bqhd,bkhd->bhqk", [(1, 5, 2, 3), (1, 7, 2, 3)]) == 5 * 7 * 2 * 3


def test_an_einsum_of_three_is_named():
    x = keras.Input((5,))
    y = ops.einsum("ab,bc,cd->ad", x, ops.ones((5, 4)), ops.ones((4, 3)))
    (what,) = report(keras.Model(x, y)).uncounted.values()
    assert what == ("an einsum of 3 operands",)
