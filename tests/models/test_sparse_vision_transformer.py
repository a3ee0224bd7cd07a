"""The vision transformer whose every second feed-forward is a mixture of experts."""

import math

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from kerakit import cost
from kerakit.callbacks import LayerFigures
from kerakit.layers import MixtureOfExperts
from kerakit.models.classification import vit_moe, vit_s_16

D = 64  # of one head
SMALL = {"input_shape": (8, 8, 1), "normalization": None, "num_classes": 10, "patch_size": 2}
SMALL |= {"num_experts": 4, "depth": 4, "width": 1 / 6}
TOKENS = 17  # 4 x 4 patches and the class token


def costs(build, **options):
    with keras.StatelessScope(initialize_variables=False):  # without values
        return cost.report(build(**options))


def mixtures(model):
    """Numbers of the blocks that have one."""
    blocks = [layer for layer in model.layers if hasattr(layer, "mlp")]
    return [i for i, block in enumerate(blocks) if isinstance(block.mlp, MixtureOfExperts)]


def test_parameters_are_a_dense_ones_and_the_further_experts():
    sparse, dense = costs(vit_moe), costs(vit_s_16)
    d, mixtures = 384, 6
    further = mixtures * (7 * (8 * d**2 + 5 * d) + 8 * d)  # seven experts and the router
    assert sparse.trainable_parameters == dense.trainable_parameters + further == 71_694_952


def test_multiply_accumulates_are_of_active_experts_only():
    patches = 16 * 4 * D
    attention = 4 * TOKENS * D**2 + 2 * TOKENS**2 * D
    # 1.25 times the 2 visits a token, in whole places of each expert.
    places = 4 * math.ceil(1.25 * 2 * TOKENS / 4)
    assert 2 * TOKENS < places < 3 * TOKENS < 4 * TOKENS
    mixture = places * 8 * D**2 + TOKENS * D * 4
    total = patches + 4 * attention + 2 * TOKENS * 8 * D**2 + 2 * mixture + 10 * D
    assert costs(vit_moe, **SMALL).macs == total
    # With as many places as that, more experts cost their routers alone.
    more = {"num_experts": 8, "capacity_factor": places / (2 * TOKENS)}
    other = 8 * math.ceil(places / 8) - places
    assert costs(vit_moe, **SMALL | more).macs == total + 2 * (4 * TOKENS * D + other * 8 * D**2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 3]),
        ({"depth": 5}, [1, 3]),
        ({"every": 1, "last": 2}, [2, 3]),
        ({"last": 1}, [3]),
        ({"every": 3, "last": 5}, [2]),
    ],
)
def test_the_blocks_with_a_mixture(options, expected):
    with keras.StatelessScope(initialize_variables=False):
        assert mixtures(vit_moe(**{**SMALL, **options})) == expected


@pytest.mark.slow  # repeats at the model what the layer's test shows; 20 s of compiling on JAX
def test_with_one_expert_it_is_the_dense_one(rng):
    options = {**SMALL, "every": 1, "depth": 1}
    sparse = vit_moe(**{**options, "num_experts": 1, "num_active": 1})
    del options["num_experts"], options["every"]
    dense = vit_s_16(**options)
    of_sparse, of_dense = (m.get_layer("encoder_layers_encoder_layer_0") for m in (sparse, dense))
    _, *weights = of_sparse.mlp.get_weights()[:5]
    of_dense.mlp.set_weights([w[0] if w.shape[1] > 1 else w[0, 0] for w in weights])
    for part in ("ln_1", "self_attention", "ln_2"):
        getattr(of_dense, part).set_weights(getattr(of_sparse, part).get_weights())
    for layer in dense.layers:
        if layer.weights and not hasattr(layer, "mlp"):
            layer.set_weights(sparse.get_layer(layer.name).get_weights())
    images = rng.normal(size=(3, 8, 8, 1)).astype("float32")
    expected = dense.predict(images, verbose=0)
    np.testing.assert_allclose(sparse.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_it_learns_and_its_experts_are_balanced():
    keras.utils.set_random_seed(1)
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1).astype("float32") / 8 - 1
    model = vit_moe(**{**SMALL, "depth": 2, "patch_size": 4, "loss_weight": 0.1})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    history = model.fit(
        images[:960], labels[:960], epochs=3, batch_size=48, callbacks=[LayerFigures()], verbose=0
    ).history
    print({name: [round(v, 3) for v in values] for name, values in history.items()})
    assert history["accuracy"][-1] > 0.7  # of ten classes
    path = "encoder_layers_encoder_layer_1_moe"
    assert 1 <= history[f"{path}_balance_loss"][-1] < 1.1  # 1 is even, 4 is one expert for all
    assert history[f"{path}_dropped_fraction"][-1] < 0.2

    model(images[:48], training=True)
    (loss,) = model.losses  # the one mixture's
    assert 0.1 <= float(keras.ops.convert_to_numpy(loss)) < 0.115


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "`every` must be an integer of at least 1, got 0"),
        ({"every": 5}, r"`every` must be in \[1, 4\], the number of blocks, got 5"),
        ({"last": 0}, "`last` must be an integer of at least 1, got 0"),
        ({"num_active": 5}, r"`num_active` must be in \[1, 4\]"),
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        vit_moe(**{**SMALL, **options})
