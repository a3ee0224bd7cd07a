"""U-Net and FCN for devices that are not here: inference, and the gradient of a step."""

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.models import segmentation

BUILDS = {
    "unet": lambda: segmentation.unet(input_shape=(188, 188, 1), width=0.03125),
    "unet_resnet18": lambda: segmentation.unet_resnet18(input_shape=(64, 32, 3), width=0.0625),
    "fcn_resnet50": lambda: segmentation.fcn_resnet50(
        input_shape=(33, 40, 3), num_classes=2, width=0.0625
    ),
}


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX lowers for other devices")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", BUILDS)
def test_is_lowered_for_tpu_and_cuda(name, training):
    import jax

    model = BUILDS[name]()
    images = np.zeros((2, *model.input_shape[1:]), "float32")
    classes = np.zeros((2, *model.output_shape[1:3]), "int32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainable = model.trainable_variables

    def run(values, images):
        mapping = list(zip(trainable, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            logits = model(images, training=training)
            return loss(ops.array(classes), logits) if training else logits

    function = jax.grad(run) if training else run
    values = [v.value for v in trainable]
    exported = jax.export.export(jax.jit(function), platforms=["tpu", "cuda"])(values, images)
    assert exported.platforms == ("tpu", "cuda")
