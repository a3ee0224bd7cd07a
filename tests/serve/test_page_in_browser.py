"""The page in a real Chromium: a file is dropped, and what is drawn is what the server answers."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="the browser is driven by kerakit[browser]")
pytest.importorskip("av", reason="the video is made by kerakit[video]")

import matplotlib as mpl
from playwright.sync_api import expect

from kerakit.export.drawn import class_color
from tests.serve.client import b64
from tests.serve.page_browser import SIZE, assert_color, brightness, mixed, percent, picture
from tests.serve.page_models import MARKUP, PIXEL_CLASSES, THINGS

pytest_plugins = ["tests.serve.page_fixtures"]
pytestmark = pytest.mark.slow


def test_classes_and_their_probabilities(tab, page_server):
    file, pixels = picture()
    page = tab("classes")
    body, answer = page.drop(file)
    assert body == {"instances": [b64(file)]}
    assert answer == page_server.predict(body, "classes")[1]["predictions"][0]
    order = np.argsort(-np.array(answer["probabilities"]))
    # Names that are markup stand there as text, and nothing came of them.
    assert page.rows() == [(MARKUP[k], percent(answer["probabilities"][k])) for k in order]
    assert page.page.locator("#rows img, #rows b").count() == 0
    expect(page.page.locator("#rows .best .name")).to_have_text(MARKUP[answer["class_id"]])
    best = percent(max(answer["probabilities"]))
    expect(page.said).to_contain_text(f"{MARKUP[answer['class_id']]}, {best}. Answered in")
    for x, y in ((5, 5), (40, 30)):
        assert_color(page.pixel(x + 0.5, y + 0.5, SIZE), pixels[y, x])
    bars = page.page.locator("#rows .filled")
    widths = [bar.bounding_box()["width"] for bar in bars.all()]
    whole = page.page.locator("#rows .bar").first.bounding_box()["width"]
    np.testing.assert_allclose(
        np.array(widths) / whole, np.array(answer["probabilities"])[order], atol=0.01
    )


def test_several_classes(tab):
    page = tab("several")
    _, answer = page.drop(picture()[0])
    named = answer["class_names"][: answer["num_classes"]]
    best = [row.inner_text() for row in page.page.locator("#rows .best .name").all()]
    assert best == named
    if not named:
        expect(page.said).to_contain_text("No class. Answered")


def test_the_heat_map_lies_on_the_picture(tab):
    size = (16, 12)  # as the map has cells, so that each is over one pixel
    file, pixels = picture(size)
    page = tab("classes")
    page.drop(file)
    assert_color(page.pixel(8.5, 6.5, size), pixels[6, 8])
    explain = page.page.get_by_label("Explain with a heat map")
    body, answer = page.asked(explain.check)
    assert body["signature_name"] == "explain"
    assert answer["heat_map_box"] == [0, 0, 16, 12]
    heat = np.array(answer["heat_map"])
    colors = 255 * mpl.colormaps["inferno"](heat)[..., :3]
    for y, x in [np.unravel_index(heat.argmax(), heat.shape), (1, 1), (6, 8), (10, 13)]:
        expected = mixed(pixels[y, x], colors[y, x], 0.1 + 0.6 * heat[y, x])
        assert_color(page.pixel(x + 0.5, y + 0.5, size), expected, within=8)
    expect(page.page.locator("#command")).to_contain_text('"signature_name": "explain"')
    body, answer = page.asked(explain.uncheck)
    assert "signature_name" not in body
    assert_color(page.pixel(8.5, 6.5, size), pixels[6, 8])


def on_edges(box):
    """Places on the right and lower edges of a box, a little inside."""
    left, top, right, bottom = box
    return [(right, top + (bottom - top) * 0.7), (left + (right - left) * 0.3, bottom)]


@pytest.mark.parametrize("model", ["boxes", "objects"])
def test_boxes_and_their_labels(model, tab):
    size = (100, 100)  # with bars beside it, in what the model sees
    file, pixels = picture(size)
    page = tab(model, device_scale_factor=2)
    page.drop(file)
    page.set("Least score", 0)
    if model == "objects":
        page.set("Opacity", 0)
    answer = page.asked(lambda: page.page.locator("#model").dispatch_event("change"))[1]
    assert answer["num_detections"] == 3
    values = [f"{score:.2f}" for score in answer["scores"][:3]]
    assert page.rows() == list(zip(THINGS, values, strict=True))
    for number, box in enumerate(answer["boxes"][:3]):
        for x, y in on_edges(box):
            assert_color(page.pixel(x, y, size), class_color(number))
    expect(page.said).to_contain_text("1 \u00d7 ant, 1 \u00d7 bee, 1 \u00d7 cat. Answered in")
    label = page.page.get_by_role("img")
    expect(label).to_have_attribute(
        "aria-label", "picture.png: 1 \u00d7 ant, 1 \u00d7 bee, 1 \u00d7 cat"
    )

    page.set("Least score", 0.5)
    assert page.rows() == [("ant", values[0]), ("bee", values[1])]
    for x, y in on_edges(answer["boxes"][2]):
        assert_color(page.pixel(x, y, size), pixels[int(y), int(x)])
    page.set("Least score", 0.95)
    assert page.rows() == []
    expect(page.said).to_contain_text("Nothing of this score")


def test_of_a_marked_row_the_object_is_seen_alone(tab):
    size = (100, 100)
    file, pixels = picture(size)
    page = tab("objects")
    _, answer = page.drop(file)
    page.set("Opacity", 0)
    page.set("Least score", 0)
    places = [on_edges(box)[1] for box in answer["boxes"][:3]]

    def seen():
        found = []
        for number, (x, y) in enumerate(places):
            color = page.pixel(x, y, size)
            found.append(np.abs(np.subtract(color, class_color(number))).max() <= 3)
            if not found[-1]:
                assert_color(color, pixels[int(y), int(x)])
        return found

    everything, rows = [True] * 3, page.page.locator("#rows li")
    assert seen() == everything
    rows.nth(1).hover()
    assert seen() == [False, True, False]
    expect(page.page.locator("#rows .marked .name")).to_have_text("bee")
    page.page.mouse.move(5, 5)
    assert seen() == everything
    expect(page.page.locator("#rows .marked")).to_have_count(0)

    page.page.locator("#rows").focus()
    moves = [("ArrowDown", 0), ("ArrowDown", 1), ("ArrowDown", 2), ("ArrowDown", 2), ("ArrowUp", 1)]
    for key, number in moves:
        page.page.keyboard.press(key)
        assert seen() == [number == each for each in range(3)]
    page.page.keyboard.press("Tab")
    assert seen() == everything
    expect(page.said).to_contain_text("Answered in")


def test_a_tap_marks_a_row_and_another_one_ends_it(tab):
    page = tab("boxes", has_touch=True)
    page.drop(picture((100, 100))[0])
    row = page.page.locator("#rows li").nth(1)
    for marked in (True, False):
        row.tap()
        expect(page.page.locator("#rows .marked")).to_have_count(int(marked))
    # Rows of classes are no objects.
    page.asked(lambda: page.page.locator("#model").select_option("classes"))
    page.page.locator("#rows li").first.hover()
    expect(page.page.locator("#rows .marked")).to_have_count(0)


def test_masks_of_objects(tab):
    size = (100, 100)
    file, pixels = picture(size)
    page = tab("objects")
    _, answer = page.drop(file)
    page.set("Least score", 0.7)  # the first object alone, whose mask is its left half
    left, top, right, bottom = answer["boxes"][0]
    y = top + (bottom - top) * 0.6
    inside, outside = left + (right - left) * 0.3, left + (right - left) * 0.7
    for opacity in (1, 0.5, 0):
        page.set("Opacity", opacity)
        below = pixels[int(y), int(inside)]
        expected = mixed(below, class_color(0), opacity)
        assert_color(page.pixel(inside, y, size), expected, within=4)
        assert_color(page.pixel(outside, y, size), pixels[int(y), int(outside)], within=4)


def test_the_class_of_each_pixel(tab):
    file, pixels = picture()
    page = tab("masks")
    _, answer = page.drop(file)
    mask = np.array(answer["mask"])
    assert mask.shape == pixels.shape[:2]
    shares = np.bincount(mask.ravel(), minlength=3) / mask.size
    order = [k for k in np.argsort(-shares, kind="stable") if shares[k]]
    assert page.rows() == [(PIXEL_CLASSES[k], percent(shares[k])) for k in order]
    for opacity in (1, 0.4, 0):
        page.set("Opacity", opacity)
        for k in order:
            y, x = np.argwhere(mask == k)[0]
            # The background is the picture.
            expected = mixed(pixels[y, x], class_color(k), opacity if k else 0)
            assert_color(page.pixel(x + 0.5, y + 0.5, SIZE), expected, within=4)
    swatch = page.page.locator("#rows li").nth(order.index(max(order))).locator(".swatch")
    red, green, blue = class_color(max(order))
    expect(swatch).to_have_css("background-color", f"rgb({red}, {green}, {blue})")


# Clips


@pytest.mark.parametrize(
    ("model", "frames"),
    [
        ("dense", [16, 18, 20, 22]),  # of 40 the middle 7, each second one
        ("uniform", [4, 14, 24, 34]),  # of 20, at 5 a second, the middles of four parts
    ],
)
def test_the_frames_of_a_clip(model, frames, video, tab, page_server):
    page = tab(model)
    body, answer = page.drop(video.read_bytes(), "film.mp4", "video/mp4")
    (clip,) = body["instances"]
    assert len(clip) == 4
    for frame, number in zip(clip, frames, strict=True):
        opened = Image.open(io.BytesIO(base64.b64decode(frame["b64"])))
        assert (opened.format, opened.size) == ("JPEG", (256, 320))
        # Its neighbours are 5 away.
        assert abs(np.asarray(opened).mean() - brightness(number)) < 2
    assert answer == page_server.predict(body, model)[1]["predictions"][0]
    order = np.argsort(-np.array(answer["probabilities"]))
    names = ("still", "moving")
    assert page.rows() == [(names[k], percent(answer["probabilities"][k])) for k in order]
    told = {"dense": "Of 40 frames, 4 were sent: 16 to 22", "uniform": "Of 20 frames, 4 were sent"}
    expect(page.said).to_contain_text(told[model])
    # The sheet holds the frames, two in a row, 4 apart.
    for place, number in enumerate(frames):
        row, column = divmod(place, 2)
        middle = (260 * column + 128, 324 * row + 160)
        assert_color(page.pixel(*middle, (516, 644)), [brightness(number)] * 3)


def test_a_clip_is_explained_below_its_frames(video, tab):
    page = tab("dense")
    page.drop(video.read_bytes(), "film.mp4", "video/mp4")
    body, answer = page.asked(page.page.get_by_label("Explain with a heat map").check)
    assert body["signature_name"] == "explain"
    assert np.shape(answer["heat_map"]) == (4, 6, 5)
    # Four in a row, each with its map below, which has the frame's width.
    size, height = (4 * 260 - 4, 320 + 307), 307 / 6
    for place, heat in enumerate(np.array(answer["heat_map"])):
        left = 260 * place
        frame = [brightness(16 + 2 * place)] * 3
        assert_color(page.pixel(left + 128, 160, size), frame)
        for y, x in [np.unravel_index(heat.argmax(), heat.shape), (0, 0), (3, 2)]:
            found = page.pixel(left + (x + 0.5) * 256 / 5, 320 + (y + 0.5) * height, size)
            color = 255 * np.array(mpl.colormaps["inferno"](heat[y, x])[:3])
            # A pixel beside the middle, each neighbour has a thirtieth of it.
            assert_color(found, color, within=24)
