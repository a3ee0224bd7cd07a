import keras
import numpy as np
import pytest
from keras import ops

from kerakit.explain.attention import attention_maps
from kerakit.explain.rollout import attention_rollout
from kerakit.models.classification import vit_ti_16
from kerakit.models.video import video_transformer


def by_loop(steps, residual=0.5, discard=0.0):
    """Rollout of one example, from (heads, tokens, tokens) of each layer."""
    tokens = steps[0].shape[-1]
    joint = np.eye(tokens)
    for weights in steps:
        mean = sum(head.astype("float64") for head in weights) / len(weights)
        for row in mean:
            for place in np.argsort(row, kind="stable")[: int(discard * tokens)]:
                row[place] = 0.0
            row /= row.sum()
        step = residual * np.eye(tokens) + (1 - residual) * mean
        longer = np.zeros_like(joint)
        for i in range(tokens):
            for j in range(tokens):
                longer[i] += step[i, j] * joint[j]
        joint = longer
    return joint


def sharpened(model, rng):
    model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
    return model


def vit(pooling, rng):
    model = vit_ti_16(
        input_shape=(16, 24, 3), patch_size=8, depth=3, width=0.7, num_classes=3, pooling=pooling
    )
    return sharpened(model, rng)


@pytest.mark.parametrize("pooling", ["token", "mean"])
@pytest.mark.parametrize(("residual", "discard"), [(0.5, 0.0), (0.2, 0.0), (0.5, 0.6)])
def test_is_the_loop(pooling, residual, discard, rng):
    model = vit(pooling, rng)
    images = rng.integers(0, 256, (2, 16, 24, 3)).astype("float32")
    found = attention_rollout(model, images, residual=residual, discard=discard)
    weights = attention_maps(model, images).weights.values()
    for example in range(2):
        joint = by_loop([layer[example] for layer in weights], residual, discard)
        row = joint[0, 1:] if pooling == "token" else joint.mean(axis=0)
        np.testing.assert_allclose(found.raw[example], row.reshape(2, 3), atol=1e-5)
    assert np.ptp(found.raw) > 0.01
    assert found.values.shape == (2, 16, 24)


def test_values_are_interpolated_between_the_patches_centres(rng):
    model = vit("token", rng)
    found = attention_rollout(model, rng.integers(0, 256, (1, 16, 24, 3)).astype("float32"))
    # By rows, then by columns; a patch is 8 pixels wide, its centre at 4.
    rows, columns = ((np.arange(size) + 0.5) / 8 - 0.5 for size in (16, 24))
    expected = np.stack([np.interp(rows, range(2), column) for column in found.raw[0].T])
    expected = np.stack([np.interp(columns, range(3), row) for row in expected.T])
    np.testing.assert_allclose(found.values[0], expected, rtol=1e-4)


def joint_of(time, space, frames, places):
    """One divided block's two steps over all tokens, from (places, T, T) and (frames, S, S)."""
    steps = np.zeros((2, frames * places, frames * places))
    for t in range(frames):
        for s in range(places):
            for other in range(frames):
                steps[0, t * places + s, other * places + s] = time[s, t, other]
            for other in range(places):
                steps[1, t * places + s, t * places + other] = space[t, s, other]
    return steps


@pytest.mark.parametrize("attention", ["joint", "divided"])
def test_of_clips(attention, rng):
    model = sharpened(
        video_transformer(
            input_shape=(6, 16, 24, 3), num_classes=3, tubelet=(2, 8, 8), depth=2, width=1 / 6,
            attention=attention,
        ),
        rng,
    )  # fmt: skip
    clips = rng.integers(0, 256, (2, 6, 16, 24, 3)).astype("float32")
    found = attention_rollout(model, clips)
    weights = list(attention_maps(model, clips).weights.values())
    for example in range(2):
        if attention == "joint":
            steps = [layer[example] for layer in weights]
        else:
            pairs = zip(weights[::2], weights[1::2], strict=True)
            steps = [
                step[None]
                for time, space in pairs
                for step in joint_of(time[example].mean(1), space[example].mean(1), 3, 6)
            ]
        expected = by_loop(steps).mean(axis=0).reshape(3, 2, 3)
        np.testing.assert_allclose(found.raw[example], expected, atol=1e-5)
    assert found.values.shape == (2, 6, 16, 24)


def test_all_that_a_row_gives_is_one(rng):
    found = attention_rollout(vit("mean", rng), np.zeros((1, 16, 24, 3)), residual=0.0)
    assert found.raw.sum() == pytest.approx(1.0, abs=1e-5)
    assert found.scores is None


class Windows(keras.Model):
    """Attends within parts of an image."""

    def __init__(self, parts):
        super().__init__()
        self.attention = keras.layers.MultiHeadAttention(1, 3, name="attention")
        self.parts = parts

    def build(self, input_shape):
        tokens = (None, 16 // self.parts, 3)
        self.attention.build(tokens, tokens)

    def call(self, images):
        x = ops.reshape(images, (-1, 16 // self.parts, 3))
        return ops.mean(self.attention(x, x), axis=1)


def test_errors(rng):
    images = np.zeros((1, 4, 4, 3), "float32")
    model = Windows(1)
    with pytest.raises(ValueError, match=r"`residual` must be in \[0, 1\), got 1"):
        attention_rollout(model, images, residual=1)
    with pytest.raises(ValueError, match=r"`discard` must be in \[0, 1\), got -0.1"):
        attention_rollout(model, images, discard=-0.1)
    assert attention_rollout(model, images).raw.shape == (1, 4, 4)
    assert attention_rollout(model, images, grid=(2, 7)).raw.shape == (1, 2, 7)
    with pytest.raises(ValueError, match=r"columns of the patches, got \(5, 4\)"):
        attention_rollout(model, images, grid=(5, 4))
    with pytest.raises(ValueError, match=r"got none that fits images of \(6, 8\) and 16 tokens"):
        attention_rollout(model, images.reshape(1, 6, 8, 1))
    several = r"must attend over the same tokens in all layers, .*attention has weights \(2, 1"
    with pytest.raises(ValueError, match=several):
        attention_rollout(Windows(2), images)
    plain = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="must have an attention layer"):
        attention_rollout(plain, images)
