"""The vision transformer's ends; its logits are compared with torchvision's elsewhere."""

import numpy as np
import pytest
from keras import Model, ops

from kerakit.models.classification import vit_ti_16

SMALL = {"input_shape": (8, 12, 3), "num_classes": 5, "patch_size": 4, "depth": 2, "width": 1 / 3}


@pytest.mark.parametrize(("pooling", "tokens"), [("token", 7), ("mean", 6)])
def test_logits_are_of_the_class_token_or_of_the_pooled_patches(pooling, tokens, rng):
    model = vit_ti_16(pooling=pooling, **SMALL)
    images = rng.uniform(0, 255, (3, 8, 12, 3)).astype("float32")
    encoder = Model(model.input, [model.get_layer("encoder_ln").output, model.output])
    encoded, logits = (ops.convert_to_numpy(y) for y in encoder(images))
    assert encoded.shape == (3, tokens, 64)
    pooled = encoded[:, 0] if pooling == "token" else encoded.mean(axis=1)
    kernel, bias = model.get_layer("heads_head").get_weights()
    np.testing.assert_allclose(logits, pooled @ kernel + bias, rtol=1e-4, atol=1e-5)


def test_pooling_is_one_of_two():
    with pytest.raises(ValueError, match='`pooling` must be "token" or "mean", got .max.'):
        vit_ti_16(pooling="max", **SMALL)
