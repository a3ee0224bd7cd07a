"""Patches, class token and positions: what makes tokens of images and clips."""

import keras
import numpy as np
import pytest
from keras import ops

from kerakit.layers import ClassToken, PatchEmbedding, PositionEmbedding, SinePositionEmbedding
from tests.conformance.case import assert_close


def sines_by_loop(positions, width, longest=10_000.0):
    table = np.zeros((len(positions), width))
    for row, p in enumerate(positions):
        for i in range(width // 2):
            table[row, 2 * i] = np.sin(p / longest ** (2 * i / width))
            table[row, 2 * i + 1] = np.cos(p / longest ** (2 * i / width))
    return table


@pytest.mark.parametrize(("patch", "extent"), [((4, 2), (8, 6)), ((2, 2, 3), (4, 6, 6))])
def test_patches_are_projected_one_by_one(patch, extent, rng):
    x = rng.normal(size=(2, *extent, 3)).astype("float32")
    layer = PatchEmbedding(patch, 5)
    layer.build(x.shape)
    kernel, bias = rng.normal(size=(*patch, 3, 5)), rng.normal(size=5)
    layer.set_weights([kernel, bias])
    corners = np.ndindex(*(n // p for n, p in zip(extent, patch, strict=True)))
    tokens = []
    for corner in corners:  # rows first, the last axis fastest
        where = [slice(c * p, (c + 1) * p) for c, p in zip(corner, patch, strict=True)]
        piece = x[(slice(None), *where)].reshape(2, -1)
        tokens.append(piece @ kernel.reshape(-1, 5) + bias)
    assert_close(layer(x), np.stack(tokens, axis=1), rtol=1e-4, atol=1e-4)


def test_one_number_is_a_square():
    assert PatchEmbedding(16, 8).patch_size == (16, 16)


@pytest.mark.parametrize(
    ("patch", "shape", "message"),
    [
        (4, (1, 8, 10, 3), r"a multiple of the patches .* got \(8, 10\) for patches of \(4, 4\)."),
        ((2, 4, 4), (1, 3, 8, 8, 3), r"got \(3, 8, 8\) for patches of \(2, 4, 4\)."),
        (4, (1, 2, 8, 8, 3), r"`x` must be \(B, H, W, C\), .* got shape \(1, 2, 8, 8, 3\)."),
        ((2, 4, 4), (1, 8, 8, 3), r"`x` must be \(B, T, H, W, C\), .* got shape \(1, 8, 8, 3\)."),
    ],
)
def test_what_does_not_fit_the_patches(patch, shape, message):
    with pytest.raises(ValueError, match=message):
        PatchEmbedding(patch, 6)(np.ones(shape, "float32"))


def test_an_image_of_another_size_is_checked_too():
    layer = PatchEmbedding(4, 6)
    layer(np.ones((1, 8, 8, 3), "float32"))
    assert tuple(layer(np.ones((1, 12, 8, 3), "float32")).shape) == (1, 6, 6)
    with pytest.raises(ValueError, match=r"got \(9, 8\) for patches"):
        layer(np.ones((1, 9, 8, 3), "float32"))


@pytest.mark.parametrize("patch_size", [0, 2.5, (4,), (4, 0), (1, 2, 3, 4)])
def test_errors_of_patches(patch_size):
    with pytest.raises(ValueError, match="`patch_size` must be an integer"):
        PatchEmbedding(patch_size, 6)
    with pytest.raises(ValueError, match="`embedding_dim` must be an integer of at least 1, got 0"):
        PatchEmbedding(4, 0)


def test_the_class_token_comes_first(rng):
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    layer = ClassToken()
    layer.build(x.shape)
    token = rng.normal(size=4).astype("float32")
    layer.set_weights([token[None, None]])
    y = ops.convert_to_numpy(layer(x))
    assert_close(y[:, 0], np.tile(token, (3, 1)), rtol=0, atol=0)
    assert_close(y[:, 1:], x, rtol=0, atol=0)


def test_the_class_token_is_never_masked():
    x = keras.layers.Embedding(5, 4, mask_zero=True)(np.array([[1, 2, 0]]))
    assert_close(ClassToken()(x)._keras_mask, np.array([[True, True, True, False]]), rtol=0, atol=0)


def test_learned_positions_are_added(rng):
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    layer = PositionEmbedding()
    y = ops.convert_to_numpy(layer(x))
    assert_close(y - x, np.tile(layer.get_weights()[0], (3, 1, 1)), atol=1e-6)


def test_learned_positions_start_small():
    layer = PositionEmbedding()
    layer.build((None, 64, 64))
    assert layer.count_params() == 64 * 64
    assert layer.get_weights()[0].std() == pytest.approx(0.02, rel=0.05)


def test_sines_are_the_papers():
    y = SinePositionEmbedding()(np.zeros((2, 50, 8), "float32"))
    expected = np.tile(sines_by_loop(np.arange(50), 8), (2, 1, 1))
    assert_close(y, expected, rtol=0, atol=1e-5)


def test_sines_on_a_grid_of_frames_rows_and_columns(rng):
    x = rng.normal(size=(2, 2, 3, 4, 12)).astype("float32")
    added = ops.convert_to_numpy(SinePositionEmbedding(longest=50.0)(x)) - x
    for axis, size in enumerate((2, 3, 4)):
        part = np.moveaxis(added[..., 4 * axis : 4 * axis + 4], 1 + axis, -2)
        table = sines_by_loop(np.arange(size), 4, longest=50.0)
        assert_close(part, np.broadcast_to(table, part.shape), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (ClassToken, (1, 2, 2, 3), r"`x` must be \(B, N, d\) tokens, got shape \(1, 2, 2, 3\)."),
        (PositionEmbedding, (1, 3), r"`x` must be \(B, N, d\) tokens, .* got shape \(1, 3\)."),
        (SinePositionEmbedding, (1, 3), r"`x` must be \(B, N, d\), .* got shape \(1, 3\)."),
        (SinePositionEmbedding, (1, 2, 3), "a multiple of 2 to tell places along 1 axes, got 3."),
        (SinePositionEmbedding, (1, 2, 2, 6), "a multiple of 4 to tell places along 2 axes, got 6"),
    ],
)
def test_shapes_that_do_not_fit(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer()(np.ones(shape, "float32"))


def test_sines_need_more_than_one_wavelength():
    with pytest.raises(ValueError, match="`longest` must be above 1, got 1."):
        SinePositionEmbedding(longest=1)
