"""One planted fault each, named first; its healthy twin has nothing worse than a hint."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerakit.diagnose import before_training
from kerakit.diagnose.before import RULES
from kerakit.diagnose.looked import look
from tests.diagnose.digits import compiled, images, network, one_hot

CE = keras.losses.SparseCategoricalCrossentropy


def first(model, x, y, **options):
    return before_training(model, x, y, **options).first


def start(deviation):
    return keras.initializers.RandomNormal(stddev=deviation, seed=1)


def wide(*, pooled):
    """Convolutions at 28 x 28 and a dense layer behind."""
    shrink = layers.GlobalAveragePooling2D() if pooled else layers.Flatten()
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            shrink,
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )


def of_kernels(first_kernel, filters=(16, 32, 64)):
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Conv2D(filters[0], first_kernel, padding="same", activation="relu"),
            layers.Conv2D(filters[1], 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(filters[2], 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(filters[2], 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )


def faults():
    x, y = images()
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(64, 28, 28, 1)).astype("float32")
    larger = rng.normal(size=(64, 32, 32, 1)).astype("float32")
    few = np.arange(64) % 10
    smooth, twice = CE(from_logits=True), CE(from_logits=False)
    binary = keras.losses.BinaryCrossentropy
    yes = (y > 4).astype("float32")
    yield "labels_out_of_range", lambda: (compiled(network()), x, y + 1)
    yield "labels_out_of_range", lambda: (compiled(network()), x, np.where(y == 3, -1, y))
    yield "labels_out_of_range", lambda: (compiled(network()), x, y + 0.5)
    yield "labels_out_of_range", lambda: (compiled(network()), x, one_hot(y))
    one_hots = keras.losses.CategoricalCrossentropy(from_logits=True)
    yield "labels_out_of_range", lambda: (compiled(network(), loss=one_hots), x, 2 * one_hot(y))
    yield "labels_out_of_range", lambda: (compiled(network(), loss=one_hots), x, y)
    one = network()
    one.pop()
    one.add(layers.Dense(1))
    sign = binary(from_logits=True)
    yield "labels_out_of_range", lambda: (compiled(one, loss=sign), x, 2 * yes - 1)
    yield "double_softmax", lambda: (compiled(network(last="softmax"), loss=smooth), x, y)
    yield "double_softmax", lambda: (compiled(network(), loss=twice), x, y)
    yield (
        "double_softmax",
        lambda: (compiled(network(), loss="sparse_categorical_crossentropy"), x, y),
    )
    two = network(last="softmax")
    two.add(layers.Softmax())
    yield "double_softmax", lambda: (compiled(two, loss=twice), x, y)
    sigmoid = network()
    sigmoid.pop()
    sigmoid.add(layers.Dense(1, activation="sigmoid"))
    yield "double_softmax", lambda: (compiled(sigmoid, loss=sign), x, yes)
    yield "zero_initial_weights", lambda: (compiled(network(start="zeros")), x, y)
    yield "zero_initial_weights", lambda: (compiled(network(start="zeros", norm=True)), x, y)
    same = keras.initializers.Constant(0.05)
    equal = network(start=same)
    equal.layers[-1].kernel.assign(np.full((64, 10), 0.05))
    yield "zero_initial_weights", lambda: (compiled(equal), x, y)
    yield "inputs_not_normalised", lambda: (compiled(network()), x * 255, y)
    yield "inputs_not_normalised", lambda: (compiled(network(norm=True)), x * 255, y)
    yield "inputs_not_normalised", lambda: (compiled(network()), x * 16, y)
    yield "inputs_not_normalised", lambda: (compiled(network()), x / 255, y)
    again = network(front=[layers.Rescaling(1 / 255)])
    yield "inputs_not_normalised", lambda: (compiled(again), x, y)
    yield "inputs_not_normalised", lambda: (compiled(network()), x * 0, y)
    broken = x.copy()
    broken[7, 1, 1] = np.nan
    yield "inputs_not_normalised", lambda: (compiled(network()), broken, y)
    yield "badly_scaled_initial_weights", lambda: (compiled(network(start=start(1.0))), x, y)
    yield "badly_scaled_initial_weights", lambda: (compiled(network(start=start(1e-3))), x, y)
    saturated = network(start=start(1.0), activation="tanh")
    yield "saturating_activations", lambda: (compiled(saturated), x, y)
    deep = network(activation="sigmoid", start="glorot_uniform", hidden=6)
    yield "vanishing_gradients", lambda: (compiled(deep), x, y)
    lit = network(activation="tanh")
    lit.layers[0].bias.assign(np.full(16, 4.0))
    yield "saturating_activations", lambda: (compiled(lit), x, y)
    biased = network()
    biased.layers[-1].bias.assign(np.eye(10)[3] * 30)
    yield "first_loss_unexpected", lambda: (compiled(biased), x, y)
    summed = CE(from_logits=True, reduction="sum")
    yield "first_loss_unexpected", lambda: (compiled(network(), loss=summed), x, y)
    yield (
        "badly_scaled_initial_weights",
        lambda: (compiled(network(start=start(0.01), hidden=3)), x, y),
    )
    yield (
        "final_bias_ignores_balance",
        lambda: (compiled(network()), x, np.where(y < 9, 0, 1) * (np.arange(500) % 3 == 0)),
    )
    yield "flatten_dense_heavy", lambda: (compiled(wide(pooled=False)), noise, few)
    yield "large_kernel", lambda: (compiled(of_kernels(15)), larger, few)
    yield "channels_do_not_grow", lambda: (compiled(of_kernels(3, (64, 32, 16))), larger, few)


FAULTS = list(faults())


@pytest.mark.parametrize(
    "position", range(len(FAULTS)), ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(FAULTS)]
)
def test_the_planted_fault_is_named_first(position):
    rule, make = FAULTS[position]
    found = before_training(*make()).first
    assert found is not None
    assert (found.rule, found.severity == "hint") == (rule, False)


def twins():
    x, y = images()
    few = np.arange(64) % 10
    noise = np.random.default_rng(0).normal(size=(64, 28, 28, 1)).astype("float32")
    larger = np.random.default_rng(0).normal(size=(64, 32, 32, 1)).astype("float32")
    probabilities = CE(from_logits=False)
    yield "plain", lambda: (compiled(network()), x, y)
    yield "sorted labels", lambda: (compiled(network()), x[np.argsort(y)], np.sort(y))
    yield "softmax", lambda: (compiled(network(last="softmax"), loss=probabilities), x, y)
    one_hots = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    yield "one-hot", lambda: (compiled(network(), loss=one_hots), x, one_hot(y))
    yield "normalised", lambda: (compiled(network(norm=True)), x, y)
    yield "standardised", lambda: (compiled(network()), (x - x.mean()) / x.std(), y)
    inside = [layers.Rescaling(1 / 255)]
    yield "scaled inside", lambda: (compiled(network(front=inside)), x * 255, y)
    xavier = {"activation": "tanh", "start": "glorot_uniform"}
    yield "tanh", lambda: (compiled(network(**xavier)), x, y)
    sigmoid = {"activation": "sigmoid", "start": "glorot_uniform"}
    yield "one sigmoid", lambda: (compiled(network(hidden=0, **sigmoid)), x, y)
    zero_head = network()
    zero_head.layers[-1].kernel.assign(np.zeros((64, 10)))
    yield "zero head", lambda: (compiled(zero_head), x, y)
    linear = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10, kernel_initializer="zeros")]
    )
    yield "linear from zero", lambda: (compiled(linear), x, y)
    deep = network(hidden=6)
    yield "deep", lambda: (compiled(deep), x, y)
    rare = np.where(np.arange(500) % 4 == 0, y, 0)
    yield "mild imbalance", lambda: (compiled(network()), x, rare)
    yield "pooled", lambda: (compiled(wide(pooled=True)), noise, few)
    yield "growing", lambda: (compiled(of_kernels(7)), larger, few)
    yield "regression", lambda: (compiled(network(), loss="mse"), x, one_hot(y))
    yield "no targets", lambda: (compiled(network()), x, None)
    yield "its own loss", lambda: (compiled(network(), loss=lambda t, p: p[:, 0]), x, y)
    yield "not compiled", lambda: (network(), x, y)


TWINS = list(twins())


@pytest.mark.parametrize("position", range(len(TWINS)), ids=[name for name, _ in TWINS])
def test_a_healthy_network_is_quiet(position):
    model, x, y = TWINS[position][1]()
    found = before_training(model, x, y)
    assert found.quiet, str(found)
    looked = look(model, x, y)
    for rule in RULES:
        rule(looked)  # silent, and not because it failed


def test_nothing_of_the_model_changes():
    x, y = images()
    model = compiled(network(norm=True, front=[layers.GaussianNoise(0.1)]))
    model.fit(x[:64], y[:64], epochs=1, verbose=0)
    before = [ops.convert_to_numpy(variable) for variable in model.variables]
    counted = int(model.optimizer.iterations)
    before_training(model, x, y)
    for variable, value in zip(model.variables, before, strict=True):
        if "loss" not in variable.path:  # the metric of the last epoch
            np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)
    assert int(model.optimizer.iterations) == counted


def test_labels_are_compared_with_the_classes_and_the_validation():
    x, y = images()
    model = compiled(network())
    message = before_training(model, x, y, classes=list("abcdefghijkl")).first.message
    assert message == "There are 12 classes, and the model has 10 outputs."
    found = before_training(model, x, y, validation=(x[:100], y[:100] + 5)).first
    assert (found.rule, found.evidence["highest"]) == ("labels_out_of_range", 14.0)
    assert found.message.endswith("(they go from 5 to 14; the model has 10 classes).")
    found = before_training(model, x, y, validation=(255 * x[:100], y[:100])).first
    assert found.rule == "inputs_not_normalised"
    assert found.message.startswith("Validation inputs are scaled unlike the training's")
    assert before_training(model, x, y, classes=10, validation=(x[:100], y[:100])).quiet


def test_a_head_of_several_is_named():
    x, y = images()
    inputs = keras.Input((8, 8, 1))
    flat = layers.Flatten()(inputs)
    outputs = {name: layers.Dense(10, name=name)(flat) for name in ("left", "right")}
    model = keras.Model(inputs, outputs)
    losses = {"left": CE(from_logits=True), "right": CE(from_logits=False)}
    model.compile(optimizer="adam", loss=losses)
    found = before_training(model, x, {"left": y, "right": y}).first
    assert found.rule == "double_softmax"
    assert found.message.startswith("Output `right` is no softmax")


def test_the_first_loss_is_that_of_evaluate():
    x, y = images()
    model = compiled(network())
    looked = look(model, x[:64], y[:64])
    assert looked.loss == pytest.approx(model.evaluate(x[:64], y[:64], verbose=0), rel=1e-5)
    assert looked.heads[0].value(looked.heads[0].outputs) == pytest.approx(looked.loss, rel=1e-5)


def test_growth_is_what_a_loop_finds():
    """The scale of a layer of He's start, against its own activations by hand."""
    x, y = images()
    model = compiled(network(start=start(1.0), hidden=0))
    found = before_training(model, x, y).of("badly_scaled_initial_weights")[0]
    kernel = ops.convert_to_numpy(model.layers[2].kernel).reshape(-1, 32)
    by_hand = np.sqrt(np.mean([np.sum(kernel[:, unit] ** 2) for unit in range(32)]))
    assert found.place == model.layers[2].name
    assert found.evidence["gain"] == pytest.approx(by_hand, rel=1e-5)


def test_errors():
    x, y = images()
    with pytest.raises(ValueError, match="`model` must be built: call it on a batch once"):
        before_training(keras.Sequential([layers.Dense(3)]), x, y)
    with pytest.raises(ValueError, match="`x` must have at least one example"):
        before_training(compiled(network()), x[:0], y[:0])


def test_a_rule_that_fails_is_one_rule_less(monkeypatch):
    def failing(looked):
        raise RuntimeError

    x, y = images()
    monkeypatch.setattr("kerakit.diagnose.before.RULES", (failing, *RULES))
    assert before_training(compiled(network()), x, y + 1).first.rule == "labels_out_of_range"


def test_examples_must_be_as_many_as_targets():
    model = compiled(network())
    with pytest.raises(ValueError, match=r"`x` and `y` must be of as many examples, got \[4, 8\]"):
        before_training(model, np.zeros((8, 8, 8, 1)), np.zeros(4))


def test_classes_may_be_a_number_of_numpy():
    x, y = images()
    model = compiled(network())
    found = before_training(model, x, y, classes=np.int64(3))
    assert found == before_training(model, x, y, classes=3)


def test_a_validation_set_must_be_a_pair():
    x, y = images()
    with pytest.raises(ValueError, match=r"`validation` must be \(x, y\), got a list_iterator"):
        before_training(compiled(network()), x, y, validation=iter([]))


def test_a_dataset_is_told_how_to_give_a_batch():
    model = compiled(network())
    with pytest.raises(ValueError, match=r"`x, y = next\(iter\(dataset\)\)`"):
        before_training(model, iter([]), None)
