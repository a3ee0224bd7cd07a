"""What is not counted and how it is named; subclasses, and rules of the user's."""

import keras
import pytest
from keras import layers, ops

from kerakit.cost import Cost, report
from kerakit.cost.counted import RuleError
from tests.cost.gated import Gated, row_of


class Unfolded(keras.Model):
    """A subclassed model whose call needs more than `keras.ops`."""

    def __init__(self):
        super().__init__(name="unfolded")
        self.first = Gated()
        self.second = layers.Dense(3, name="second")

    def call(self, x):
        x = self.first(x)
        if not isinstance(x, keras.KerasTensor):
            return self.second(x)
        raise TypeError("tensors with values alone. Others are refused")


def test_what_does_not_run_on_symbolic_tensors_is_named_and_its_layers_counted():
    cost = report(Unfolded(), (8, 8, 3))
    assert cost.uncounted == {
        "unfolded": ("its own work, as its `call` needs values: tensors with values alone",)
    }
    assert "NOT COUNTED in unfolded: its own work, as its `call` needs values" in str(cost)
    assert row_of(cost, "gated").macs == 64 * 20
    assert row_of(cost, "gated/convolution").macs == 64 * 4 * 27
    assert row_of(cost, "second").macs == 64 * 15
    assert cost.parameters == 112 + 24 + 18
    assert cost.receptive_field == (None, None)


def test_an_operation_without_a_rule_is_named():
    class Sorted(layers.Layer):
        def call(self, x):
            return ops.sort(x, axis=-1)

    images = keras.Input((6,))
    model = keras.Model(images, ops.sort(Sorted(name="sorted")(images)))
    cost = report(model)
    assert cost.rows[0].uncounted == cost.rows[1].uncounted == ("the operation Sort",)
    assert set(cost.uncounted) == {row.name for row in cost.rows}
    assert str(cost).count("NOT COUNTED in") == 2


def test_an_activation_that_nobody_knows_is_named():
    def needs_values(x):
        return float(x[0, 0]) * x

    model = keras.Sequential([keras.Input((6,)), layers.Dense(2, needs_values, name="dense")])
    cost = report(model)
    assert cost.uncounted == {"dense": ("its activation needs_values",)}
    assert cost.macs == 12
    sorting = keras.Sequential([keras.Input((6,)), layers.Dense(2, ops.sort, name="dense")])
    assert report(sorting).uncounted == {"dense": ("the operation Sort in its activation sort",)}


def test_a_subclass_is_counted_as_its_class_and_by_its_own_call():
    class Plain(layers.Conv2D):
        pass

    class Scaled(layers.Conv2D):
        def call(self, x):
            return super().call(x) * 2.0

    class Strange(layers.Conv2D):
        def call(self, x):
            if isinstance(x, keras.KerasTensor):
                raise TypeError("values")
            return super().call(x)

    def cost_of(kind):
        return report(keras.Sequential([keras.Input((5, 5, 2)), kind(3, 3, name="layer")]))

    base = cost_of(layers.Conv2D)
    assert cost_of(Plain).flops == base.flops
    scaled = cost_of(Scaled)
    assert scaled.macs == base.macs
    # The bias is a sum of its own there, and the factor a product.
    assert scaled.flops == base.flops + 27 + 27
    assert scaled.receptive_field == (3, 3)
    strange = cost_of(Strange)
    assert strange.flops == base.flops
    assert strange.uncounted == {"layer": ("what its own `call` adds to Conv2D's",)}


def test_rules_of_the_users():
    class Lookup(layers.Layer):
        def call(self, x):
            return ops.sort(x)

    class Special(Lookup):
        pass

    def rule(call):
        assert call.layer.name == "special"
        assert (call.input_shape, call.output_shape) == ((1, 6), (1, 6))
        return Cost(macs=5, flops=11 * call.elements, field=call.field)

    model = keras.Sequential([keras.Input((6,)), Special(name="special")])
    cost = report(model, rules={Lookup: rule})
    assert (cost.macs, cost.flops, cost.uncounted) == (5, 66, {})

    def broken(call):
        raise KeyError("kernel")

    with pytest.raises(RuleError, match="The rule that counts Special 'special' failed: KeyError"):
        report(model, rules={Lookup: broken})
    dense = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    assert report(dense, rules={layers.Dense: lambda call: Cost(macs=1)}).macs == 1


def test_a_failure_leaves_keras_unwatched():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    with pytest.raises(RuleError):
        report(model, rules={layers.Dense: lambda call: 1 / 0})
    assert "watched" not in keras.Operation.__call__.__qualname__
    assert report(model).macs == 12


def test_a_rule_returns_a_cost():
    dense = keras.Sequential([keras.Input((6,)), layers.Dense(2, name="dense")])
    with pytest.raises(
        RuleError, match=r"Dense 'dense' failed: a rule must return a Cost, got 3\."
    ):
        report(dense, rules={layers.Dense: lambda call: 3})


def test_a_lambda_that_needs_values_is_named_where_its_shape_is_known():
    def scaled(x):
        return x * float(x[0, 0])

    def model(**options):
        return keras.Sequential(
            [layers.Dense(4, name="dense"), layers.Lambda(scaled, name="scaled", **options)]
        )

    cost = report(model(output_shape=(4,)), (4,))
    assert list(cost.uncounted) == ["scaled"]
    assert "its own work, as its `call` needs values" in cost.uncounted["scaled"][0]
    assert (cost.macs, cost.rows[-1].output_shape) == (16, (4,))
    with pytest.raises(NotImplementedError, match="specify the `output_shape`"):
        report(model(), (4,))
