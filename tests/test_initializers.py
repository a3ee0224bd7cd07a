import keras
import numpy as np
import pytest
from keras import ops

from kerakit.initializers import Bilinear, HeNormal
from kerakit.layers import PaddedConv2DTranspose


def draws(initializer, shape=(1000, 1000)):
    return ops.convert_to_numpy(initializer(shape)).astype("float64").ravel()


@pytest.mark.parametrize(
    ("shape", "fan_in"),
    [((1000, 300), 1000), ((3, 3, 64, 256), 576), ((3, 3, 3, 32, 128), 864), ((5, 16, 2000), 80)],
)
def test_variance_is_two_over_fan_in(shape, fan_in):
    values = draws(HeNormal(seed=3), shape)
    # Standard error of a normal's variance: sqrt(2 / n) of it; four of them.
    assert values.var() == pytest.approx(2 / fan_in, rel=4 * np.sqrt(2 / values.size))
    assert abs(values.mean()) < 4 * np.sqrt(2 / fan_in / values.size)


def test_nothing_is_cut_off_where_keras_cuts():
    sigma = np.sqrt(2 / 1000)
    plain, cut = draws(HeNormal(seed=1)), draws(keras.initializers.HeNormal(seed=1))
    assert np.abs(plain).max() / sigma > 4.5  # of a million normal draws: 4.9 is typical
    if keras.backend.backend() != "torch":  # where Keras cuts elsewhere, at 2.53
        assert np.abs(cut).max() / sigma == pytest.approx(2 / 0.87962566, rel=1e-3)
    # A normal has 4.55 % of its draws beyond two sigma and 0.270 % beyond three.
    assert (np.abs(plain) > 2 * sigma).mean() == pytest.approx(0.0455, abs=0.001)
    assert (np.abs(plain) > 3 * sigma).mean() == pytest.approx(0.0027, abs=0.0003)


def test_excess_kurtosis_is_a_normals():
    def excess(values):
        z = (values - values.mean()) / values.std()
        return (z**4).mean() - 3

    assert abs(excess(draws(HeNormal(seed=1)))) < 4 * np.sqrt(24 / 1e6)
    assert excess(draws(keras.initializers.HeNormal(seed=1))) == pytest.approx(-0.634, abs=0.02)


def test_seeds_are_as_in_keras():
    first, again = HeNormal(seed=7), HeNormal(seed=7)
    np.testing.assert_array_equal(draws(first), draws(again))
    np.testing.assert_array_equal(draws(first), draws(first))
    assert not np.array_equal(draws(HeNormal(seed=8)), draws(first))
    generated = HeNormal(seed=keras.random.SeedGenerator(7))
    assert not np.array_equal(draws(generated), draws(generated))


@pytest.mark.parametrize("seed", [None, 5, keras.random.SeedGenerator(5)])
def test_config_round_trip(seed):
    initializer = HeNormal(seed=seed)
    assert set(initializer.get_config()) == {"seed"}
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(initializer))
    assert type(copy) is HeNormal
    if isinstance(seed, int):
        np.testing.assert_array_equal(draws(copy, (4, 3)), draws(initializer, (4, 3)))


def test_seed_must_be_an_integer_or_a_generator():
    with pytest.raises(ValueError, match="`seed` argument should be an instance of"):
        HeNormal(seed="one")


def test_mean_square_is_kept_through_twenty_relu_layers(rng):
    width = 1024
    x = ops.convert_to_tensor(rng.normal(size=(64, width)), "float32")

    def after_twenty(make):
        h = x
        for layer in range(20):
            h = ops.relu(h) @ make(layer)((width, width))
        return float(ops.mean(ops.square(h)))

    # One layer's factor is 1 with a spread of about sqrt(5 / width): 7 % after one layer, 31 %
    # after twenty.
    assert after_twenty(lambda layer: HeNormal(seed=layer)) == pytest.approx(1, abs=0.6)
    # Glorot's variance is half as large, and halves the mean square at each layer.
    assert after_twenty(lambda layer: keras.initializers.GlorotNormal(seed=layer)) < 1e-5


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_bilinear_enlarges_as_a_bilinear_resize(factor, rng):
    """Away from the edges, which a transposed convolution takes for zeros."""
    maps = rng.normal(size=(2, 6, 5, 3)).astype("float32")
    size = 2 * factor - factor % 2
    layer = PaddedConv2DTranspose(
        3,
        size,
        strides=factor,
        padding=(size - factor) // 2,
        use_bias=False,
        kernel_initializer=Bilinear(),
    )
    expected = ops.image.resize(maps, (6 * factor, 5 * factor), data_format="channels_last")
    inner = (slice(None), slice(factor, -factor), slice(factor, -factor))
    found, expected = ops.convert_to_numpy(layer(maps)), ops.convert_to_numpy(expected)
    np.testing.assert_allclose(found[inner], expected[inner], rtol=1e-5, atol=1e-5)


def test_bilinear_is_for_kernels_of_images():
    with pytest.raises(ValueError, match=r"`shape` must be \(H, W, K_out, K_in\), got \(3, 3\)"):
        Bilinear()((3, 3))
