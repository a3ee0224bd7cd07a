from fractions import Fraction

import keras
import numpy as np
import pytest
from keras import layers

from kerakit.cost import formulas, report
from kerakit.gradients import gradient
from kerakit.gradients.automatic import compiled
from tests.cost.random_stacks import random_stack

# JAX compiles each operation of each shape: every third will do.
SEEDS = range(0, 28, 1 if keras.backend.backend() == "tensorflow" else 3)


def read_by_gradient(model, axis):
    """(outputs, inputs) along an axis: does the gradient of the one by the other differ from 0?"""
    outputs = model.output_shape[axis]
    pixels = np.ones((outputs, *model.input_shape[1:]), "float32")
    # One example an output position: the mask picks it.
    shape = [outputs, *[1] * (len(model.output_shape) - 1)]
    shape[axis] = outputs
    mask = np.eye(outputs, dtype="float32").reshape(shape)
    masked = compiled(lambda x: gradient(lambda x: keras.ops.multiply(model(x), mask), x)[0])
    slopes = masked(pixels)
    others = tuple(place for place in range(1, slopes.ndim) if place != axis)
    return np.abs(keras.ops.convert_to_numpy(slopes)).sum(axis=others) > 0


def read_by_impulse(model, axis):
    """The same by setting one input position after the other: a maximum's slope goes to one."""
    size = model.input_shape[axis]
    shape = [size, *[1] * len(model.input_shape[1:])]
    shape[axis] = size
    pixels = np.eye(size, dtype="float32").reshape(shape)
    pixels = np.broadcast_to(pixels, (size, *model.input_shape[1:]))
    found = keras.ops.convert_to_numpy(compiled(model)(pixels))
    others = tuple(place for place in range(1, found.ndim) if place != axis)
    return found.sum(axis=others).T > 0


def has_max(model):
    return any(type(layer).__name__.startswith("MaxPooling") for layer in model.layers)


@pytest.mark.parametrize("seed", SEEDS)
def test_of_random_stacks_is_what_outputs_read(seed):
    model = random_stack(seed)
    cost = report(model)
    (field,) = cost.output_fields
    for axis in range(1, len(model.input_shape) - 1):
        window = field.axes[(0, axis)].reach
        read = (read_by_impulse if has_max(model) else read_by_gradient)(model, axis)
        inside, size = [], model.input_shape[axis]
        for output, inputs in enumerate(read):
            interval = window.at(output)
            if interval is None:
                assert not inputs.any()
            elif size // 8 <= interval[0] and interval[1] < size - size // 8:
                # Away from the border, which cuts.
                assert (inputs.argmax(), size - 1 - inputs[::-1].argmax()) == interval
                inside.append(interval[1] - interval[0] + 1)
        assert len(inside) >= len(window.intervals), "too few positions away from the border"
        assert max(inside) == cost.receptive_field[axis - 1]
        assert window.stride == cost.rows[-1].effective_stride[axis - 1]


def field_of(*steps, shape=(64, 64, 3)):
    x = images = keras.Input(shape)
    for step in steps:
        x = step(x)
    return report(keras.Model(images, x))


def test_a_plain_stack_is_the_recurrence():
    stack = [(7, 2), (3, 2), (3, 1), (3, 1), (1, 1), (3, 2), (5, 1)]
    cost = field_of(
        *(layers.Conv2D(2, kernel, strides=stride) for kernel, stride in stack), shape=(160, 160, 1)
    )
    expected = [formulas.receptive_field(stack[: depth + 1]) for depth in range(len(stack))]
    assert [row.receptive_field for row in cost.rows] == [(size, size) for size in expected]
    assert [row.effective_stride for row in cost.rows] == [
        (stride, stride) for stride in (2, 4, 4, 4, 4, 8, 8)
    ]


def test_each_axis_has_its_own():
    cost = field_of(
        layers.Conv3D(2, (1, 3, 3), strides=(1, 2, 2)),
        layers.Conv3D(2, (3, 1, 1), dilation_rate=(2, 1, 1)),
        layers.MaxPooling3D((2, 3, 1)),
        shape=(16, 20, 20, 3),
    )
    assert cost.receptive_field == (1 + 4 + 1, 3 + 2 * 2, 3)
    assert cost.rows[-1].effective_stride == (2, 6, 2)


def test_upsampling_divides_the_stride():
    cost = field_of(layers.UpSampling2D(3), layers.Conv2D(2, 2), layers.Conv2D(2, 1, strides=2))
    strides = [row.effective_stride for row in cost.rows]
    assert strides == [(Fraction(1, 3),) * 2, (Fraction(1, 3),) * 2, (Fraction(2, 3),) * 2]
    # Of three neighbours on the fine grid, two lie over two coarse ones.
    assert cost.receptive_field == (2, 2)


def test_branches_that_are_shifted_reach_further_than_either():
    def shifted(x):
        left = layers.Cropping1D((0, 4))(x)
        right = layers.Cropping1D((4, 0))(x)
        return layers.Add()([left, right])

    cost = field_of(shifted, shape=(64, 2))
    assert [row.receptive_field for row in cost.rows] == [(1,), (1,), (5,)]


def test_branches_of_different_strides_are_not_followed():
    def uneven(x):
        fine = layers.Cropping1D((0, 32))(x)
        return layers.Add()([fine, layers.MaxPooling1D(2)(x)])

    assert field_of(uneven, shape=(64, 2)).receptive_field == (None,)


def test_a_map_of_one_position_reads_what_it_read():
    cost = field_of(
        layers.Conv2D(4, 5, strides=2),
        layers.Conv2D(4, 6),
        layers.Flatten(),
        layers.Dense(3),
        shape=(15, 15, 1),
    )
    # 5 + 5 * 2 of 15 pixels: of one position a dense layer reads no more than it.
    assert cost.receptive_field == (15, 15)
    wider = field_of(layers.Conv2D(4, 5), layers.Flatten(), layers.Dense(3), shape=(6, 6, 1))
    assert wider.receptive_field == ("all", "all")
    assert wider.local_receptive_field == (5, 5)


def test_tokens_keep_their_patch_until_they_attend():
    ops = keras.ops

    def attend(x):
        return layers.MultiHeadAttention(2, 2)(x, x)

    cost = field_of(
        layers.Conv2D(4, 8, strides=8),
        lambda x: ops.reshape(x, (-1, 64, 4)),
        layers.LayerNormalization(),
        lambda x: x + layers.Dense(4)(x),
        attend,
        layers.Dense(2),
    )
    by_kind = {row.kind: row.receptive_field for row in cost.rows}
    assert by_kind["LayerNormalization"] == by_kind["ops.Add"] == (8, 8)
    assert by_kind["MultiHeadAttention"] == ("all", "all")
    assert cost.receptive_field == ("all", "all")


def test_axes_are_followed_through_transposes_and_reshapes():
    ops = keras.ops
    cost = field_of(
        layers.Conv2D(4, (3, 5)),
        lambda x: ops.transpose(x, (0, 2, 3, 1)),
        lambda x: ops.reshape(x, (-1, 60, 2, 2, 62)),
        lambda x: ops.reshape(x, (-1, 60, 4, 62)),
        lambda x: ops.transpose(x, (0, 3, 1, 2)),
        layers.Conv2D(2, 3),
    )
    assert cost.receptive_field == (5, 7)


def test_channels_first():
    x = images = keras.Input((3, 20, 30))
    for kernel in ((3, 1), (3, 5)):
        x = layers.Conv2D(4, kernel, data_format="channels_first", padding="same")(x)
    cost = report(keras.Model(images, x))
    assert cost.receptive_field == (5, 5)
    assert cost.macs == 20 * 30 * 4 * (3 * 3 + 15 * 4)


def test_squeeze_and_excitation_reads_the_whole_image():
    def gate(x):
        y = layers.GlobalAveragePooling2D(keepdims=True)(x)
        return layers.Multiply()([x, layers.Dense(4, "sigmoid")(y)])

    cost = field_of(layers.Conv2D(4, 3), gate)
    assert cost.receptive_field == ("all", "all")
    assert cost.local_receptive_field == (3, 3)


def test_a_vector_has_no_axes():
    cost = field_of(layers.Dense(3), shape=(5,))
    assert cost.receptive_field == ()
    assert cost.local_receptive_field is None
    assert "receptive field  the whole input" in str(cost)
