"""Models of every make: shared, nested, subclassed, of several inputs."""

import threading

import keras
import pytest
from keras import layers, ops

from kerakit.cost import report
from tests.cost.gated import Gated, row_of


def test_shared_and_nested_models_count_each_call_and_parameters_once():
    images = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    inner = keras.Model(images, shared(shared(images)), name="inner")
    cost = report(keras.Model(images, inner(inner(images))))
    macs = 64 * 3 * 27
    assert [row.name for row in cost.rows] == ["inner/shared"] * 4
    assert [row.macs for row in cost.rows] == [macs] * 4
    assert [row.parameters for row in cost.rows] == [84, 0, 0, 0]
    assert cost.parameters == cost.trainable_parameters == 84
    assert [row.receptive_field for row in cost.rows] == [(s, s) for s in (3, 5, 7, 9)]


def test_the_model_is_left_as_it_was():
    images = keras.Input((8, 8, 3))
    layer = layers.Conv2D(3, 3, name="convolution")
    output = layer(images)
    model = keras.Model(images, layers.Dropout(0.5)(output))
    values = [ops.convert_to_numpy(v).copy() for v in model.variables]
    for _ in range(2):
        report(model)
    assert layer.output is output  # a layer that was called twice has none
    for before, variable in zip(values, model.variables, strict=True):
        assert (before == ops.convert_to_numpy(variable)).all()
    operation = keras.Operation
    assert "watched" not in operation.__call__.__qualname__
    assert "_yielding" not in keras.Variable.__mul__.__qualname__


def test_a_users_layer_in_keras_operations_needs_no_rule():
    cost = report(keras.Sequential([keras.Input((8, 8, 3)), Gated()]))
    own = row_of(cost, "gated")
    assert own.macs == 64 * 4 * 5
    assert own.flops == 64 * 4 + 64 * 4 + 2 * own.macs  # relu, gamma, product
    assert own.activation_bytes == 4 * 64 * (4 + 4 + 5)
    assert own.parameters == 4 + 20
    assert row_of(cost, "gated/convolution").macs == 64 * 4 * 27
    assert cost.uncounted == {}
    assert cost.receptive_field == (3, 3)


def test_a_subclassed_model():
    class Classifier(keras.Model):
        def __init__(self):
            super().__init__(name="classifier")
            self.features = Gated()
            self.scores = layers.Dense(3, name="scores")

        def call(self, x, training=None):
            assert not training
            return {"scores": self.scores(ops.mean(self.features(x), axis=(1, 2)))}

    model = Classifier()
    with pytest.raises(ValueError, match="`input_shape` must be given for 'classifier'.*got None"):
        report(model)
    cost = report(model, (8, 8, 3))
    assert row_of(cost, "classifier").flops == 64 * 5  # the mean: a sum, and the division
    assert row_of(cost, "scores").macs == 15
    assert cost.parameters == model.count_params() == 112 + 24 + 18
    assert cost.receptive_field == ("all", "all")
    # Built, it knows its input; and it was built with values.
    assert report(model).to_dict()["macs"] == cost.macs
    assert model(ops.ones((2, 8, 8, 3)))["scores"].shape == (2, 3)


def test_several_inputs_and_outputs():
    large, small = keras.Input((16, 16, 3), name="large"), keras.Input((8, 8, 3), name="small")
    x = layers.Conv2D(4, 3, strides=2, padding="same")(large)
    y = layers.Conv2D(4, 5, padding="same")(small)
    total = layers.Add(name="total")([x, y])
    model = keras.Model({"large": large, "small": small}, {"total": total, "x": x})
    cost = report(model)
    assert cost.input_shapes == [(16, 16, 3), (8, 8, 3)]
    assert cost.macs == 64 * 4 * (27 + 75)
    # 3 of the one, 5 of the other.
    assert row_of(cost, "total").receptive_field == (5, 5)
    assert cost.receptive_field == (5, 5)


def test_open_sizes_are_given():
    images = keras.Input((None, None, 3))
    model = keras.Model(images, layers.Conv2D(4, 3)(images))
    assert report(model, (10, 12, 3)).macs == 8 * 10 * 4 * 27
    with pytest.raises(
        ValueError, match=r"`input_shape` must be given, as the model leaves it open: \(None, None"
    ):
        report(model)
    for wrong in ((10, 12, 4), (10, 12), (0, 12, 3)):
        with pytest.raises(ValueError, match=r"`input_shape` must fit the model's \(None, None, 3"):
            report(model, wrong)
    two = keras.Model([images, keras.Input((4,))], layers.Conv2D(4, 3)(images))
    assert report(two, [(10, 12, 3), (4,)]).macs == 8 * 10 * 4 * 27
    with pytest.raises(ValueError, match="must be one shape for each of the 2 inputs, got 1"):
        report(two, (10, 12, 3))


@pytest.mark.parametrize(("policy", "size"), [("mixed_float16", 2), ("mixed_bfloat16", 2)])
def test_activations_have_the_size_of_their_type(policy, size):
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, dtype=policy)(images)
    x = layers.Activation("relu", dtype=policy)(x)
    logits = layers.Dense(5, dtype="float32")(layers.Flatten(dtype=policy)(x))
    cost = report(keras.Model(images, logits))
    assert [row.activation_bytes for row in cost.rows] == [144 * size, 144 * size, 0, 20]


def test_functions_between_layers_have_rows():
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same")(images)
    y = ops.concatenate([x + 1.0, x], axis=-1)
    y = ops.reshape(y, (-1, 64, 8))
    z = ops.matmul(y, ops.transpose(y, (0, 2, 1)))
    cost = report(keras.Model(images, z))
    rows = {row.kind: row for row in cost.rows}
    assert rows["ops.Add"].flops == 256
    assert (rows["ops.Concatenate"].flops, rows["ops.Concatenate"].activation_bytes) == (0, 2048)
    assert "ops.Reshape" not in rows  # the same memory
    assert rows["ops.Matmul"].macs == 64 * 64 * 8
    assert cost.uncounted == {}


def test_a_layer_at_every_step_counts_that_often_also_its_inner_layers():
    inner = keras.Sequential([keras.Input((8, 8, 3)), Gated(), layers.Dense(2, layers.ReLU())])
    clips = keras.Input((5, 8, 8, 3))
    cost = report(keras.Model(clips, layers.TimeDistributed(inner)(clips)))
    once = report(inner)
    assert (cost.macs, cost.flops) == (5 * once.macs, 5 * once.flops)
    assert cost.activation_bytes == 5 * once.activation_bytes
    assert cost.parameters == once.parameters
    assert cost.receptive_field == (1, *once.receptive_field) == (1, 3, 3)


def test_time_folded_into_the_batch_is_counted():
    clips = keras.Input((5, 8, 8, 3))
    x = ops.reshape(clips, (-1, 8, 8, 3))
    x = layers.Conv2D(4, 3)(x)
    x = ops.reshape(x, (-1, 5, 6, 6, 4))
    cost = report(keras.Model(clips, layers.Conv3D(4, (3, 1, 1))(x)))
    assert cost.rows[0].macs == 5 * 36 * 4 * 27
    assert cost.receptive_field == (3, 3, 3)


def test_layers_that_are_not_called_have_their_parameters_named():
    class Lazy(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.spare = layers.Dense(2), layers.Dense(3)
            self.spare.build((None, 7))

        def call(self, x):
            return self.used(x)

    cost = report(Lazy(), (4,))
    assert cost.parameters == 10 + 24
    assert "in layers that were not called: 24 parameters" in str(cost)


def test_another_threads_calls_are_not_counted():
    def elsewhere():
        layers.Dense(2)(keras.Input((6,)))

    class Slow(layers.Layer):
        def call(self, x):
            if isinstance(x, keras.KerasTensor) and x.shape[0] == 1:
                thread = threading.Thread(target=elsewhere)
                thread.start()
                thread.join()
            return x * 1.0

    cost = report(keras.Sequential([keras.Input((6,)), Slow()]))
    assert (cost.macs, cost.flops) == (0, 6)


def test_figures_do_not_depend_on_whether_weights_have_values():
    def model():
        images = keras.Input((6, 6, 1))
        x = layers.Flatten(name="flatten")(layers.Conv2D(2, 3, name="convolution")(images))
        return keras.Model(images, layers.Dense(3, name="dense")(x), name="tiny")

    with_values = report(model()).to_dict()
    with keras.StatelessScope(initialize_variables=False):
        assert report(model()).to_dict() == with_values
