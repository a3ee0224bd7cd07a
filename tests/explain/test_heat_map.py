import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

from kerakit.explain import HeatMap
from kerakit.explain.heat_map import overlaid


def interpolated(line, size):
    """A row of values brought to another length, between the centres of cells."""
    centres = (np.arange(len(line)) + 0.5) / len(line)
    return np.interp((np.arange(size) + 0.5) / size, centres, line)


def enlarged_by_loop(heat, extent):
    for axis, size in enumerate(extent, start=1):
        heat = np.apply_along_axis(interpolated, axis, heat, size)
    return heat


@pytest.mark.parametrize(
    ("small", "extent"),
    [((2, 3), (7, 12)), ((3, 2, 4), (8, 6, 8)), ((4, 2, 2), (4, 5, 7)), ((1, 1), (3, 2))],
)
def test_of_is_linear_between_the_centres(small, extent, rng):
    raw = rng.normal(size=(2, *small)).astype("float32")
    images = rng.uniform(0, 255, (2, *extent, 3)).astype("float32")
    heat = HeatMap.of(keras.ops.convert_to_tensor(raw), images)
    np.testing.assert_allclose(heat.values, enlarged_by_loop(raw, extent), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(heat.raw, raw)
    assert isinstance(heat.values, np.ndarray)


def test_of_several_adds_them(rng):
    maps = [rng.normal(size=(1, *size)).astype("float32") for size in ((2, 3), (4, 6))]
    heat = HeatMap.of(maps, np.zeros((1, 8, 12, 3), "float32"), layers=("one", "two"))
    expected = sum(enlarged_by_loop(one, (8, 12)) for one in maps)
    np.testing.assert_allclose(heat.values, expected, rtol=1e-4, atol=1e-5)
    assert [one.shape for one in heat.raw] == [(1, 2, 3), (1, 4, 6)]


def test_normalized_is_of_each_example():
    values = np.array([[[1.0, 3.0]], [[2.0, 2.0]], [[-4.0, 4.0]]], "float32")
    heat = HeatMap(values, np.zeros((3, 1, 2, 1)))
    assert heat.normalized().tolist() == [[[0, 1]], [[0, 0]], [[0, 1]]]


def test_overlaid_hides_most_where_it_is_hot():
    gray = np.full((1, 2, 3), 0.5)
    cold, hot = overlaid(gray, np.array([[0.0, 1.0]]))[0]
    np.testing.assert_allclose(cold, 0.9 * 0.5 + 0.1 * np.array(plt.get_cmap("inferno")(0)[:3]),
                               atol=1e-3)  # fmt: skip
    np.testing.assert_allclose(hot, 0.3 * 0.5 + 0.7 * np.array(plt.get_cmap("inferno")(255)[:3]),
                               atol=1e-3)  # fmt: skip


def test_plot_shows_each_image_beside_itself_under_the_map(tmp_path):
    values = np.zeros((3, 4, 6), "float32")
    values[:, 1, 2] = 1
    images = np.full((3, 4, 6, 1), 100, "float32")
    heat = HeatMap(
        values,
        images,
        scores=np.array([1.0, 2.5, 3.0]),
        classes=np.array([0, 1, 1]),
        boxes=np.array([[1.0, 0.0, 3.0, 2.0], [0, 0, 0, 0], [2, 1, 5, 4]]),
    )
    figure = heat.plot(tmp_path / "new" / "heat.png", most=2, names=["cat", "dog"])
    assert (tmp_path / "new" / "heat.png").stat().st_size > 1000
    assert [axes.get_title() for axes in figure.axes] == [
        "cat: score 1.00",
        "",
        "dog: score 2.50",
        "",
    ]
    shown = [axes.get_images()[0].get_array() for axes in figure.axes]
    assert np.allclose(shown[0], 100 / 255)
    np.testing.assert_allclose(shown[1], overlaid(shown[0], values[0]), atol=1e-6)
    (box,) = figure.axes[0].patches
    assert (box.get_x(), box.get_y(), box.get_width(), box.get_height()) == (0.5, -0.5, 2, 2)
    assert not figure.axes[2].patches  # no detection


def test_plot_of_clips_shows_frames_above_their_maps(rng):
    values = rng.uniform(size=(2, 5, 4, 6)).astype("float32")
    clips = rng.uniform(0, 255, (2, 5, 4, 6, 3)).astype("float32")
    heat = HeatMap(values, clips)
    figure = heat.plot(most=3)
    shown = [np.asarray(axes.get_images()[0].get_array()) for axes in figure.axes]
    assert len(shown) == 2 * 2 * 3
    for place, frame in enumerate((0, 2, 4)):
        np.testing.assert_allclose(shown[place], clips[0, frame] / 255, atol=1e-6)
        expected = overlaid(shown[place], heat.normalized()[0, frame])
        np.testing.assert_allclose(shown[3 + place], expected, atol=1e-6)


def test_plot_of_none():
    with pytest.raises(ValueError, match="`most` must be at least 1, got 0"):
        HeatMap(np.zeros((1, 2, 2)), np.zeros((1, 2, 2, 3))).plot(most=0)


def test_plot_needs_an_example_and_a_name_for_each_class():
    heat = HeatMap(np.zeros((2, 2, 2)), np.zeros((2, 2, 2, 3)), classes=np.array([0, 1]))
    with pytest.raises(ValueError, match="`names` must have a name .* to class 1, got 1"):
        heat.plot(names=["a"])
    with pytest.raises(ValueError, match="`values` must have an example to plot, got none"):
        HeatMap(np.zeros((0, 2, 2)), np.zeros((0, 2, 2, 3))).plot()


def test_the_title_says_that_one_unit_says_no():
    heat = HeatMap(
        np.zeros((2, 2, 2)),
        np.zeros((2, 2, 2, 3)),
        scores=np.array([0.5, 2.0]),
        classes=np.array([0, -1]),
    )
    titles = [axes.get_title() for axes in heat.plot(names=["cat"]).axes]
    assert titles == ["cat: score 0.50", "", "not cat: score 2.00", ""]
    titles = [axes.get_title() for axes in heat.plot().axes]
    assert titles == ["class 0: score 0.50", "", "not class 0: score 2.00", ""]
