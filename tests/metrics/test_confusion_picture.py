"""The picture of a confusion matrix says what the matrix says."""

import itertools
import sys

import numpy as np
import pytest

from kerakit.errors import InputError
from kerakit.metrics import ConfusionMatrix
from kerakit.metrics.confusion_picture import confusion_picture

pytest.importorskip("matplotlib")


def cells(figure):
    """Text of each written cell by (row, column)."""
    return {
        (round(text.get_position()[1]), round(text.get_position()[0])): text.get_text()
        for text in figure.axes[0].texts
    }


@pytest.fixture
def metric():
    metric = ConfusionMatrix(3, classes=["cat", "dog", "cow"], from_scores=False)
    metric.update_state([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0], [1, 1, 1, 1, 0.5, 0.5])
    return metric


def test_cells_and_names(metric, tmp_path):
    figure = metric.plot(tmp_path / "matrix.png")
    assert cells(figure) == {(0, 0): "3", (0, 1): "1", (1, 1): "0.5", (1, 0): "0.5"}
    axes = figure.axes[0]
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == ["cat", "dog", "cow"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("normalize", "expected"),
    [
        ("true", {(0, 0): "75%", (0, 1): "25%", (1, 0): "50%", (1, 1): "50%"}),
        ("predicted", {(0, 0): "86%", (0, 1): "67%", (1, 0): "14%", (1, 1): "33%"}),
        ("all", {(0, 0): "60%", (0, 1): "20%", (1, 0): "10%", (1, 1): "10%"}),
    ],
)
def test_shares(metric, normalize, expected):
    assert cells(metric.plot(normalize=normalize)) == expected


def test_the_colour_is_the_share_of_the_row(metric):
    image = metric.plot().axes[0].images[0].get_array()
    np.testing.assert_allclose(image, [[0.75, 0.25, 0], [0.5, 0.5, 0], [0, 0, 0]])


def test_large_counts_are_shortened():
    metric = ConfusionMatrix(2, from_scores=False)
    metric.update_state([0, 0, 1, 1], [0, 1, 0, 1], [99999, 123456, 4.56e6, 7e9])
    expected = {(0, 0): "99999", (0, 1): "123k", (1, 0): "4.56M", (1, 1): "7G"}
    assert cells(metric.plot()) == expected


def test_small_shares_are_not_called_nothing():
    metric = ConfusionMatrix(2, from_scores=False)
    metric.update_state([0, 0], [0, 1], [9999, 1])
    assert cells(metric.plot(normalize="true")) == {(0, 0): "100%", (0, 1): "<1%"}


@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_no_text_is_wider_than_its_cell(num_classes):
    names = [f"a kind {index}" for index in range(num_classes)]
    figure = confusion_picture(88888 * np.eye(num_classes), names)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    width = axes.get_window_extent().width / num_classes
    assert all(text.get_window_extent().width <= width for text in axes.texts)
    below = [tick.get_window_extent() for tick in axes.get_xticklabels()]
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(below))


def test_unknown_normalize(metric):
    with pytest.raises(ValueError, match="`normalize` must be None, 'true', .* got 'rows'"):
        metric.plot(normalize="rows")


def test_without_matplotlib(metric, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(InputError, match=r"pip install kerakit\[plot\]"):
        metric.plot()
