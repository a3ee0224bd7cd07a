import contextlib

import keras
import numpy as np
import pytest

from tests.conformance.case import assert_close, compiled
from tests.conformance.cases import MODELS

ON_JAX = keras.backend.backend() == "jax"


def each(cases):
    return [pytest.param(c, marks=pytest.mark.slow) if c.slow else c for c in cases]


@pytest.fixture(params=each(MODELS), ids=str, scope="module")
def case(request):
    return request.param


@pytest.fixture(scope="module")
def plain(case):
    """The model, its loss and its weights' changes after one step: without XLA, but on JAX.

    There nobody trains without, and each operation of each shape would be compiled by itself.
    """
    return trained_one_step(case, jit_compile=ON_JAX)


def labels_of(case, model):
    places = (len(case.inputs[0]), *model.output_shape[1:-1])
    return np.arange(np.prod(places)).reshape(places) % model.output_shape[-1]


def trained_one_step(case, **options):
    keras.utils.set_random_seed(4)
    model = case.make()
    labels = labels_of(case, model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss, **options)
    before = model.get_weights()
    if model.trainable_weights:
        figure = model.train_on_batch(case.inputs[0], labels)
    else:  # learns by storing
        model.adapt(case.inputs[0], labels)
        before = [np.zeros_like(w) for w in model.get_weights()]
        figure = model.test_on_batch(case.inputs[0], labels)
    fixed = [id(w) for layer in model.layers if not layer.trainable for w in layer.weights]
    changes = [
        new - old
        for weight, new, old in zip(model.weights, model.get_weights(), before, strict=True)
        if id(weight) not in fixed  # such as a bilinear upsampling
    ]
    return model, float(np.asarray(figure)), changes


@contextlib.contextmanager
def in_float64():
    floats, policy = keras.config.floatx(), keras.config.dtype_policy()
    try:
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        yield
    finally:
        keras.config.set_floatx(floats)
        keras.config.set_dtype_policy(policy)


def test_keras_file(case, plain, tmp_path):
    model, _, _ = plain
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(again.predict(*case.inputs, verbose=0), model.predict(*case.inputs, verbose=0))


def test_inference_under_xla_and_any_batch_size(case, plain):
    model, _, _ = plain
    assert model.output_shape[0] is None
    expected = model.predict(*case.inputs, verbose=0)
    run = compiled(lambda x: model(x))
    atol = 1e-5 * max(1.0, np.abs(expected).max())
    assert_close(run(*case.inputs), expected, rtol=1e-4, atol=atol)
    one = model.predict(case.inputs[0][:1], verbose=0)
    assert_close(one, expected[:1], rtol=1e-4, atol=atol)


@pytest.mark.skipif(ON_JAX, reason="JAX trains under XLA always")
def test_a_training_step_under_xla(case, plain):
    _, loss, changes = plain
    if case.has_ties:
        with in_float64():
            _, loss, changes = trained_one_step(case, jit_compile=False)
            _, compiled_loss, compiled_changes = trained_one_step(case, jit_compile=True)
    else:
        _, compiled_loss, compiled_changes = trained_one_step(case, jit_compile=True)
    assert compiled_loss == pytest.approx(loss, rel=1e-4)
    largest_of_all = max(np.abs(change).max() for change in changes)
    for compiled_change, change in zip(compiled_changes, changes, strict=True):
        largest = np.abs(change).max()
        assert largest > 0
        # 1.4e-4 at most when this was written: of scales near 1, the last digit. A bias before
        # batch normalisation and the bias of attention's keys have a gradient of 0 but for
        # rounding, so that the size of the whole step counts for them.
        tolerance = max(1e-3 * largest, 1e-6 * largest_of_all)
        np.testing.assert_allclose(compiled_change, change, rtol=0, atol=tolerance)


@pytest.mark.skipif(not ON_JAX, reason="JAX lowers for devices that are not here")
def test_a_training_step_is_lowered_for_tpu_and_cuda(case, plain):
    import jax

    model, _, _ = plain
    if not model.trainable_weights:
        pytest.skip("learns by storing")
    kinds = ("trainable", "non_trainable", "optimizer", "metrics")
    state = model._get_jax_state(**{f"{kind}_variables": True for kind in kinds})
    batch = (*case.inputs, labels_of(case, model))
    platforms = ("tpu", "cuda")
    exported = jax.export.export(jax.jit(model.train_step), platforms=platforms)(state, batch)
    assert exported.platforms == platforms


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(p, marks=ON_JAX * [pytest.mark.slow])
        for p in ("mixed_bfloat16", "mixed_float16")
    ],
)
def test_mixed_precision(case, plain, policy):
    attends = case.part.__module__.endswith(("vision_transformer", "video_transformer"))
    if attends and policy == "mixed_float16" and ON_JAX:
        pytest.skip("JAX's attention asks for float16 products that its CPU does not have")
    before = keras.config.dtype_policy()
    _, expected, _ = plain
    try:
        keras.config.set_dtype_policy(policy)
        model, loss, _ = trained_one_step(case)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.compute_dtype != "float32"
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
    assert loss == pytest.approx(expected, rel=0.05)
