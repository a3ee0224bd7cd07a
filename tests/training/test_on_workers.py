"""What is refused before any worker starts, and how evaluation batches are filled up."""

import importlib
import subprocess
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerakit import training
from kerakit.errors import InputError
from kerakit.training.multi_worker import Workers, mend_keras
from kerakit.training.on_workers import worker_environments
from kerakit.training.whole_batches import mean_over_examples

# By name: the package has a function of the same.
on_workers_module = importlib.import_module("kerakit.training.on_workers")


def test_workers_train_on_cpus_that_find_each_other():
    config = types.SimpleNamespace(workers=2, devices="cpu")
    with pytest.raises(InputError, match="--workers 2 needs --devices auto or multiworker"):
        training.on_workers(print, config)


def test_one_worker_is_this_process():
    config = types.SimpleNamespace(workers=1, devices="auto")
    assert training.on_workers(lambda given: given is config, config)


def test_each_worker_is_told_its_place(monkeypatch):
    for index, environment in enumerate(worker_environments(3)):
        with monkeypatch.context() as context:
            for name, value in environment.items():
                context.setenv(name, value)
            assert training.place_among_workers() == (index, 3)
    assert training.place_among_workers() == (0, 1)


def test_one_gpu_is_used_unless_the_cpu_is_asked_for(monkeypatch):
    hidden = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *given: hidden.append(given))
    assert training.strategy("auto").num_replicas_in_sync == 1
    assert not hidden
    assert training.strategy("cpu").num_replicas_in_sync == 1
    assert hidden == [([], "GPU")]


def test_a_keras_that_was_not_looked_at_is_refused(monkeypatch):
    monkeypatch.setattr(keras, "__version__", "3.99.0")
    with pytest.raises(RuntimeError, match="known to work with Keras 3.15"):
        mend_keras()


@pytest.mark.parametrize("length", [0, 1, 1000, 1001, 2500])
def test_what_the_chief_tells_comes_whole(length, monkeypatch):
    """Two workers in one process: the chief's parts are noted, then told to the other."""
    module = importlib.import_module("kerakit.training.multi_worker")
    monkeypatch.setattr(module, "_PART", 500)
    content, said = np.random.default_rng(0).bytes(length), []
    chief, other = (Workers.__new__(Workers) for _ in range(2))
    chief.index, other.index, chief.count, other.count = 0, 1, 2, 2
    chief.total = lambda values: said.append(np.array(values, "int32")) or said[-1]
    other.total = lambda values: values + said.pop(0)
    assert chief.from_chief(content) == content
    assert max(len(one) for one in said) <= 125
    assert other.from_chief(b"") == content


def test_a_worker_that_ends_by_a_sigterm_before_it_trains_ends_all_with_its_code(monkeypatch):
    ended = types.SimpleNamespace(returncode=-15)
    monkeypatch.setattr(on_workers_module, "_first_to_fail", lambda workers: 1)
    monkeypatch.setattr(subprocess, "Popen", lambda *command, **options: ended)
    config = types.SimpleNamespace(workers=2, devices="auto")
    with pytest.raises(SystemExit) as code:
        training.on_workers(print, config)
    assert code.value.code == 143


def test_strategies_that_are_not_there_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="`name` must be one of auto, cpu, mirrored"):
        training.strategy("gpu")
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(InputError, match="TF_CONFIG names no other worker"):
        training.strategy("multiworker")


@pytest.mark.parametrize("multiple_of", [1, 3])
def test_filled_up_batches_count_each_example_once(multiple_of, rng):
    x, y = rng.normal(size=(7, 4)), rng.normal(size=(7, 1))
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(3 if multiple_of == 3 else 2)
    whole, rows_an_example = training.whole_batches(batches, multiple_of=multiple_of)
    parts = list(whole.as_numpy_iterator())
    assert len({len(part) for _, _, part in parts}) == 1
    counted = np.concatenate([weights for _, _, weights in parts]) > 0
    np.testing.assert_array_equal(np.concatenate([part for part, _, _ in parts])[counted], x)
    assert rows_an_example == len(counted) / 7

    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.1))]
    )
    model.compile(loss="mse", weighted_metrics=["mae"])
    expected = model.evaluate(batches, return_dict=True, verbose=0)
    found = model.evaluate(whole, return_dict=True, verbose=0)
    found = {f"val_{name}": value for name, value in found.items()}
    mean_over_examples(found, model, rows_an_example=rows_an_example)
    for name, value in expected.items():
        assert found[f"val_{name}"] == pytest.approx(value, rel=1e-5), name
