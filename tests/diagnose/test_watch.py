import csv
import json
import warnings

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.diagnose.probe import Probe
from kerakit.diagnose.run_folder import read_run
from kerakit.diagnose.watch import Watch, chance_of
from kerakit.diagnose.watched import read_looks
from tests.diagnose.watched_runs import conv_net, dense_net, digits, watched

SGD = keras.optimizers.SGD


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def trained(callbacks):
    """Weights, optimizer variables and losses of a training with dropout and norms."""
    keras.utils.set_random_seed(1)
    model = conv_net(momentum=0.9)
    last = model.layers[-1]
    model.pop()
    model.add(keras.layers.Dropout(0.3))
    model.add(last)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    (x, y), _ = digits()
    history = model.fit(
        x[:320], y[:320], epochs=2, batch_size=16, verbose=0, callbacks=callbacks
    ).history
    variables = [*model.variables, *model.optimizer.variables]
    return [ops.convert_to_numpy(v) for v in variables], history


def test_the_training_is_bit_for_bit_the_same():
    (x, y), _ = digits()
    watch = Watch(x[:32], y[:32], every=7)
    with_it, without = trained([watch]), trained([])
    steps = [look.step for look in watch.watched.looks]
    assert steps == [0, 1, 7, 10, 14, 21, 28, 30, 35, 40]
    for one, other in zip(with_it[0], without[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert with_it[1] == without[1]


def test_steps_of_one_call_are_counted_each():
    """`steps_per_execution`: the same training, seen where its calls begin."""
    (x, y), _ = digits()
    seen = {}
    for steps in (1, 4):
        keras.utils.set_random_seed(1)
        model = dense_net()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(SGD(0.01), loss, steps_per_execution=steps)
        seen[steps] = Watch(x[:32], y[:32], every=8)
        model.fit(
            x[:384], y[:384], batch_size=16, shuffle=False, verbose=0, callbacks=[seen[steps]]
        )
    one, four = (seen[steps].watched for steps in (1, 4))
    assert [look.step for look in four.looks] == [0, 4, 8, 12, 16, 24]
    ends = {look.step: look for look in one.looks}
    for look in (look for look in four.looks if look.step in (8, 16, 24)):
        np.testing.assert_allclose(
            look.model["gradient_norm"], ends[look.step].model["gradient_norm"], rtol=1e-4
        )
    (ratio,), (expected,) = (list(w.looks[0].of("update_ratio").values())[:1] for w in (four, one))
    assert 0.5 * expected < ratio < 1.1 * expected


def test_the_first_look_by_hand():
    """Gradient norms, weight norms and update ratios of a linear model, in NumPy."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)).astype("float32"), rng.normal(size=(8, 2)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    model.compile(SGD(0.1), loss="mse")
    (kernel,) = model.get_weights()
    watch = Watch(x, y)
    model.fit(x, y, batch_size=8, epochs=1, verbose=0, callbacks=[watch])
    slope = 2 * x.T @ (x @ kernel - y) / y.size
    look = watch.watched.looks[0]
    ((_, figures),) = look.layers.items()
    assert figures["gradient_norm"] == pytest.approx(np.linalg.norm(slope), rel=1e-4)
    assert figures["weight_norm"] == pytest.approx(np.linalg.norm(kernel), rel=1e-5)
    ratio = 0.1 * np.linalg.norm(slope) / np.linalg.norm(kernel)
    assert figures["update_ratio"] == pytest.approx(ratio, rel=1e-3)
    assert look.model["loss"] == pytest.approx(np.mean((x @ kernel - y) ** 2), rel=1e-4)
    assert look.model["learning_rate"] == pytest.approx(0.1)


def test_dead_units_and_drift_by_hand():
    x = np.random.default_rng(1).normal(2.0, 3.0, size=(50, 4)).astype("float32")
    norm, relu = keras.layers.BatchNormalization(name="norm"), keras.layers.ReLU(name="relu")
    model = keras.Sequential([keras.Input((4,)), norm, keras.layers.Dense(6, name="fc"), relu])
    model.compile("sgd", loss="mse")
    bias = np.array([-90, -90, 0, 0, 0, 90], "float32")
    model.get_layer("fc").bias.assign(bias)
    figures, layers = Probe(model, x, np.zeros((50, 6), "float32")).look()
    relu_row = next(row for row in layers.values() if "dead_share" in row)
    norm_row = next(row for row in layers.values() if "mean_drift" in row)
    assert (relu_row["dead_share"], relu_row["values_a_unit"]) == (pytest.approx(2 / 6), 50)
    deviation = np.sqrt(x.var(0) + 1e-3)
    assert norm_row["mean_drift"] == pytest.approx(np.median(np.abs(x.mean(0)) / deviation), 1e-3)
    factor = np.log(1.001 / (x.var(0) + 1e-3))
    assert norm_row["variance_drift"] == pytest.approx(np.median(np.abs(factor)), 1e-3)
    kernel = ops.convert_to_numpy(model.get_layer("fc").kernel)
    for training, name in ((True, "probe_loss"), (False, "inference_loss")):
        normal = (x - x.mean(0)) / deviation if training else x / np.sqrt(1.001)
        expected = np.mean(np.maximum(normal @ kernel + bias, 0) ** 2)
        assert figures[name] == pytest.approx(expected, rel=1e-3)
    # Nothing was written.
    np.testing.assert_array_equal(ops.convert_to_numpy(norm.moving_mean), 0)


def test_a_resumed_watch_has_the_same_figures():
    (x, y), _ = digits()
    watch = Watch(x[:16], y[:16], every=5)

    def fit(watch, model, start, end):
        model.fit(
            x[:96], y[:96], batch_size=32, shuffle=False, initial_epoch=start, epochs=end,
            verbose=0, callbacks=[watch],
        )  # fmt: skip

    def model():
        keras.utils.set_random_seed(2)
        model = dense_net()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(SGD(0.1), loss)
        return model

    fit(watch, model(), 0, 4)
    first, again = Watch(x[:16], y[:16], every=5), Watch(x[:16], y[:16], every=5)
    halves = model()
    states = []
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: states.append(first.get_state()))
    halves.fit(x[:96], y[:96], batch_size=32, shuffle=False, epochs=2, verbose=0,
               callbacks=[first, keep])  # fmt: skip
    again.set_state(json.loads(json.dumps(states[-1])))  # the state of the epoch's end
    fit(again, halves, 2, 4)
    one, other = watch.watched, again.watched
    assert [look.step for look in one.looks] == [look.step for look in other.looks]
    for name in ("probe_loss", "gradient_norm", "learning_rate"):
        np.testing.assert_allclose(one.figures(name), other.figures(name), rtol=1e-5)
    assert len(other.epochs) == 4
    fit(again, model(), 0, 1)  # and a training after that starts over
    assert len(again.watched.epochs) == 1


def test_files(tmp_path):
    watch = watched(conv_net(momentum=0.9), epochs=1, folder=tmp_path)
    assert read_looks(tmp_path / "watch.csv") == watch.watched.looks
    with open(tmp_path / "watch.csv", newline="") as file:
        assert {row["layer"] for row in csv.DictReader(file)} >= {""}
    found = json.loads((tmp_path / "diagnosis.json").read_text())
    assert found == watch.diagnosis.to_dict()
    board = tmp_path / "tensorboard" / "diagnosis"
    events, text = sorted(board.iterdir(), key=lambda path: path.name.endswith(".diagnosis"))
    assert b"diagnosis" in text.read_bytes()
    run = read_run(tmp_path)
    assert run.finished
    assert (run.watched, run.diagnosis) == (watch.watched, watch.diagnosis)
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = accumulator.EventAccumulator(str(events)).Reload()
    curve = [(event.step, event.value) for event in board.Scalars("watch/gradient_norm")]
    steps = [(look.step, look.model["gradient_norm"]) for look in watch.watched.looks]
    np.testing.assert_allclose(curve, steps, rtol=1e-6)


def test_a_metric_that_is_a_vector_is_left_out():
    (x, y), _ = digits()
    model = dense_net()
    scores = keras.metrics.F1Score(average=None)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=[scores, "accuracy"])
    watch = Watch()
    model.fit(x[:64], np.eye(10)[y[:64]], verbose=0, callbacks=[watch])
    assert set(watch.watched.epochs[0]) == {"epoch", "loss", "accuracy"}


def test_a_broken_loss_leaves_its_diagnosis_at_once(tmp_path):
    class EndAtOnce(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("the training ends")

    (x, y), _ = digits()
    model = dense_net()
    model.compile(SGD(1e25), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(RuntimeError, match="the training ends"):
        model.fit(x, y, verbose=0, callbacks=[EndAtOnce(), Watch(x[:64], y[:64], folder=tmp_path)])
    found = json.loads((tmp_path / "diagnosis.json").read_text())["findings"]
    assert found[0]["rule"] == "learning_rate_too_high"
    assert "loss_explodes" in [finding["rule"] for finding in found]


def test_a_model_that_cannot_be_looked_at_is_watched_by_its_logs():
    class OnlyOnce(keras.losses.Loss):
        def call(self, y_true, y_pred):
            if y_true.shape[0] == 7:
                raise TypeError("not with seven")
            return ops.mean(ops.square(y_true - y_pred), axis=-1)

    x = np.ones((7, 2), "float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(SGD(0.01), loss=OnlyOnce())
    watch = Watch(x, x[:, :1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, x[:, :1], batch_size=5, epochs=2, verbose=0, steps_per_epoch=1,
                  callbacks=[watch])  # fmt: skip
    told = [str(warning.message) for warning in caught if warning.category is UserWarning]
    assert any("cannot be looked at closer" in text and "not with seven" in text for text in told)
    assert watch.watched.looks[0].of("update_ratio")
    assert not watch.watched.figures("probe_loss")


def test_several_inputs_and_outputs_in_mixed_precision():
    rng = np.random.default_rng(0)
    inputs = [
        keras.Input((4,), name="a", dtype="float32"), keras.Input((3,), name="b", dtype="float32"),
    ]  # fmt: skip
    policy = "mixed_bfloat16"
    joined = keras.layers.Concatenate(dtype=policy)(inputs)
    hidden = keras.layers.Dense(5, activation="relu", dtype=policy)(joined)
    outputs = {
        "one": keras.layers.Dense(2, name="one", dtype="float32")(hidden),
        "two": keras.layers.Dense(1, name="two", dtype="float32")(hidden),
    }
    model = keras.Model(inputs, outputs)
    model.compile("adam", loss={"one": "mse", "two": "mae"})
    x = {"a": rng.normal(size=(16, 4)), "b": rng.normal(size=(16, 3))}
    y = {"one": rng.normal(size=(16, 2)), "two": rng.normal(size=(16, 1))}
    watch = Watch(x, y)
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[watch])
    assert len(watch.watched.looks[0].of("gradient_norm")) == 3
    assert watch.watched.figures("gradient_norm")[0] > 0


@pytest.mark.parametrize("every", [0, -3])
def test_every_must_be_at_least_1(every):
    with pytest.raises(ValueError, match=f"`every` must be at least 1, got {every}"):
        Watch(every=every)


def test_x_and_y_go_together():
    with pytest.raises(ValueError, match="`x` and `y` must be given both or neither"):
        Watch(np.ones((2, 2)))


def test_chance():
    model = dense_net()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert chance_of(model) == pytest.approx(np.log(10))
    model.compile("sgd", "mse")
    assert chance_of(model) is None
