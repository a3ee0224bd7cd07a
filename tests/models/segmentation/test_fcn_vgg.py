import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as numpy

from kerakit import cost
from kerakit.models import segmentation

BUILDERS = (segmentation.fcn32s, segmentation.fcn16s, segmentation.fcn8s)


def test_the_papers_figures():
    with keras.StatelessScope(initialize_variables=False):  # without values
        model = segmentation.fcn32s(num_classes=21)
        body = keras.Model(model.input, model.get_layer("score_fr").output)
        report = cost.report(body)
    # Long et al., 2015, Table 1: 134 million parameters, receptive field 404, stride 32.
    assert round(report.trainable_parameters / 1e6) == 134
    assert report.receptive_field == (404, 404)
    assert body.output_shape == (None, 7, 7, 21)
    keras.backend.clear_session()


def enlarged(scores, factor):
    """Bilinear enlargement with zeros around, one output at a time."""
    out = np.zeros((scores.shape[0] * factor, scores.shape[1] * factor, scores.shape[2]))
    for i, j in np.ndindex(out.shape[:2]):
        y, x = (i + 0.5) / factor - 0.5, (j + 0.5) / factor - 0.5
        for a in range(int(np.floor(y)), int(np.floor(y)) + 2):
            for b in range(int(np.floor(x)), int(np.floor(x)) + 2):
                if 0 <= a < scores.shape[0] and 0 <= b < scores.shape[1]:
                    out[i, j] += (1 - abs(y - a)) * (1 - abs(x - b)) * scores[a, b]
    return out


@pytest.mark.parametrize("build", BUILDERS)
def test_logits_are_the_scores_enlarged_and_summed(build, rng):
    """From the score layers on, at a size that no pooling divides, against a NumPy loop."""
    model = build(input_shape=(45, 70, 3), num_classes=3, width=0.03125, drop_rate=0.0)
    scores = [layer.name for layer in model.layers if layer.name.startswith("score")]
    for name in scores:
        layer = model.get_layer(name)
        layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    images = rng.uniform(0, 255, (1, 45, 70, 3)).astype("float32")
    outputs = [model.get_layer(name).output for name in scores]
    *scores, logits = keras.Model(model.input, [*outputs, model.output]).predict(images, verbose=0)
    scores = {len(s[0]): np.float64(s[0]) for s in scores}
    assert next(iter(scores)) == 2  # rounded up from 45 / 32
    x = scores.pop(2)
    for size in sorted(scores):
        x = enlarged(x, 2)[:size, : scores[size].shape[1]] + scores[size]
    factor = {2: 32, 3: 16, 6: 8}[len(x)]
    expected = enlarged(x, factor)[:45, :70]
    np.testing.assert_allclose(logits[0], expected, atol=1e-5 * np.abs(expected).max())


def test_starts_from_the_coarse_scores():
    """Scores of poolings start at 0, so that fcn8s begins as fcn32s enlarged step by step."""
    model = segmentation.fcn8s(input_shape=(32, 64, 3), num_classes=2, width=0.03125)
    for name in ("score_pool3", "score_pool4"):
        assert not np.any(model.get_layer(name).get_weights()[0])
    frozen = [layer.name for layer in model.layers if not layer.trainable]
    assert frozen == ["upscore8"]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="shapes are static on JAX")
def test_any_size_in_one_model(rng):
    free = segmentation.fcn8s(input_shape=(None, None, 3), num_classes=3, width=0.03125)
    for size in ((45, 70), (64, 32), (1, 1)):
        images = rng.uniform(0, 255, (1, *size, 3)).astype("float32")
        fixed = segmentation.fcn8s(input_shape=(*size, 3), num_classes=3, width=0.03125)
        fixed.set_weights(free.get_weights())
        np.testing.assert_allclose(numpy(free(images)), numpy(fixed(images)), atol=1e-6)
        assert tuple(fixed(images).shape) == (1, *size, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "`width` must be positive, got 0"),
        ({"drop_rate": 1.0}, "`drop_rate` must be in"),
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
    ],
)
@pytest.mark.parametrize("build", BUILDERS)
def test_bad_arguments(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX lowers for other devices")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("build", [segmentation.fcn8s, segmentation.segnet])
def test_is_lowered_for_tpu_and_cuda(build, training):
    import jax

    model = build(input_shape=(45, 37, 3), num_classes=3, width=0.03125)
    fixed = model.non_trainable_variables
    values = [v.value for v in model.trainable_variables]

    def run(values, images):
        scores, _ = model.stateless_call(
            values, [v.value for v in fixed], images, training=training
        )
        return keras.ops.mean(keras.ops.square(scores))

    function = jax.grad(run) if training else run
    images = np.ones((2, 45, 37, 3), "float32")
    exported = jax.export.export(jax.jit(function), platforms=["tpu", "cuda"])(values, images)
    assert exported.platforms == ("tpu", "cuda")
