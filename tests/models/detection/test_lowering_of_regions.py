"""Fast R-CNN and R-CNN for devices that are not here: inference, and the gradient of a step."""

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.models.detection.region_classifier import RegionClassifier
from tests.models.detection import test_fast_rcnn, test_rcnn
from tests.models.detection.rectangles import drawn, proposals_around


def fine_tuned():
    return RegionClassifier(test_rcnn.model_of(), regions=8)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX lowers for other devices")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "make", [test_fast_rcnn.model_of, test_rcnn.model_of, fine_tuned], ids=["fast", "rcnn", "fine"]
)
def test_is_lowered_for_tpu_and_cuda(make, training):
    import jax

    if training and make is test_rcnn.model_of:
        pytest.skip("trained in stages: its network as `fine`, the rest on stored features")
    rng = np.random.default_rng(0)
    model = make()
    images, targets = drawn(rng, 2)
    size = model.input_shape[1:3]
    inputs = {
        "images": ops.image.resize(ops.cast(images, "float32"), size),
        "proposals": ops.array(proposals_around(rng, targets, 10)),
    }
    trainable = model.trainable_variables

    def run(values, inputs):
        mapping = list(zip(trainable, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            outputs = model(inputs, training=training)
            if not training:
                return outputs
            return model.compute_loss(inputs, targets, outputs, training=True)

    function = jax.grad(run) if training else run
    values = [v.value for v in trainable]
    exported = jax.export.export(jax.jit(function), platforms=["tpu", "cuda"])(values, inputs)
    assert exported.platforms == ("tpu", "cuda")
