"""The page's modules in a real Chromium, with answers that no small model gives."""

import pytest

pytest.importorskip("playwright", reason="the browser is driven by kerakit[browser]")
pytest.importorskip("av", reason="the video is made by kerakit[video]")

pytest_plugins = ["tests.serve.page_fixtures"]
pytestmark = pytest.mark.slow

# What `boxesLayer` draws: [text, left, top, right, bottom] of each text, a letter 7 wide.
TEXTS = """async ([objects, unit, picture]) => {
  const { boxesLayer } = await import("/page/layers.js");
  const found = [];
  let rectangle;
  const context = {
    measureText: (text) => ({ width: 7 * unit * text.length }),
    strokeRect() {},
    fillRect(x, y, width, height) { rectangle = [x, y, x + width, y + height]; },
    fillText(text) { found.push([text, ...rectangle]); },
  };
  boxesLayer(objects)(context, unit, picture);
  return found;
}"""
PICTURE = {"width": 200, "height": 100}


def texts(page, boxes, *, unit=1, picture=PICTURE):
    objects = [{"box": box, "number": 0, "text": f"a {row:02}"} for row, box in enumerate(boxes)]
    return page.page.evaluate(TEXTS, [objects, unit, picture])


@pytest.fixture
def page(tab):
    page = tab("boxes")
    page.ready()
    return page


def test_a_text_stands_beside_its_box_where_there_is_room(page):
    box, height, width = [50, 40, 90, 60], 17, 34
    assert texts(page, [box]) == [["a 00", 50, 40 - height, 50 + width, 40]]
    # At the upper edge below, over all the height inside.
    assert texts(page, [[50, 0, 90, 60]]) == [["a 00", 50, 60, 50 + width, 60 + height]]
    assert texts(page, [[50, 0, 90, 100]]) == [["a 00", 50, 0, 50 + width, height]]
    # Of two boxes that begin together one has its text elsewhere.
    first, second = texts(page, [box, box])
    assert first[1:3] == [50, 40 - height]
    assert second[1:3] == [50, 60]


@pytest.mark.parametrize(("unit", "least"), [(0.5, 25), (1, 15), (2, 4)])
def test_no_text_lies_over_another_or_outside(unit, least, page):
    boxes = [[x, y, x + 30, y + 20] for y in range(0, 81, 20) for x in range(-5, 180, 45)]
    found = texts(page, boxes, unit=unit)
    assert least <= len(found) <= 25
    for row, (_, left, top, right, bottom) in enumerate(found):
        assert 0 <= left < right <= 200
        assert 0 <= top < bottom <= 100
        for _, other_left, other_top, other_right, other_bottom in found[:row]:
            meet = left < other_right and other_left < right
            assert not (meet and top < other_bottom and other_top < bottom)
    assert found[0][0] == "a 00"  # the surest comes first


def test_of_many_objects_none_has_a_text(page):
    box = [50, 40, 90, 60]
    assert texts(page, [box] * 26) == []


def test_a_text_wider_than_the_picture_begins_in_it(page):
    ((_, left, top, _, _),) = texts(page, [[5, 5, 9, 9]], picture={"width": 10, "height": 10})
    assert (left, top) == (0, 0)


def test_of_one_class_the_texts_are_scores(page):
    made = """async (classes) => {
      const { viewOf } = await import("/page/views.js");
      const answer = {
        num_detections: 1, boxes: [[0, 0, 5, 5]], scores: [0.75],
        class_ids: [0], class_names: ["cat"],
      };
      const { layers } = viewOf({ task: "detection", classes }, answer)({ leastScore: 0 });
      const found = [];
      const context = {
        measureText: () => ({ width: 9 }), strokeRect() {}, fillRect() {},
        fillText: (text) => found.push(text),
      };
      for (const layer of layers) layer(context, 1, { width: 50, height: 50 });
      return found;
    }"""
    assert page.page.evaluate(made, ["cat"]) == ["0.75"]
    assert page.page.evaluate(made, ["cat", "dog"]) == ["cat 0.75"]


VIEW = """async ([named, count]) => {
  const { viewOf } = await import("/page/views.js");
  const classes = Array.from({ length: count }, (_, number) => `c${number}`);
  const answer = {
    class_ids: Array.from({ length: count }, (_, i) => (i < named ? i : -1)),
    num_classes: named,
    probabilities: classes.map((_, number) => 1 - number / count),
  };
  const { summary, rows } = viewOf({ task: "multi_label", classes }, answer)({});
  return [summary, rows.length, rows.filter(({ best }) => best).length];
}"""


@pytest.mark.parametrize(
    ("named", "rows", "told"),
    [
        (2, 10, "c0, 100.0 %; c1, 99.9 %"),
        (5, 10, "c0, 100.0 %; c1, 99.9 %; c2, 99.8 %; c3, 99.7 %; c4, 99.6 %"),
        (30, 30, "c0, 100.0 %; c1, 99.9 %; c2, 99.8 %; c3, 99.7 %; c4, 99.6 %; 25 more"),
        (400, 100, "c0, 100.0 %; c1, 99.9 %; c2, 99.8 %; c3, 99.7 %; c4, 99.6 %; 395 more"),
    ],
)
def test_all_named_classes_have_a_row_and_few_are_told(named, rows, told, page):
    assert page.page.evaluate(VIEW, [named, 1000]) == [told, rows, min(named, rows)]


@pytest.mark.parametrize(
    ("numbers", "count", "expected"),
    [
        ([4, 6, 8], 20, " Of 20 frames, 3 were sent: 4 to 8, counted from 0."),
        ([0, 1, 2], 3, " All 3 frames were sent."),
        ([0, 1, 1], 2, " All 2 frames were sent."),  # the last one again
        ([0, 0, 2], 3, " Of 3 frames, 3 were sent: 0 to 2, counted from 0."),
    ],
)
def test_which_frames_were_sent_is_told(numbers, count, expected, page):
    made = """async ([numbers, count]) => {
      const { noteOf } = await import("/page/frames.js");
      return noteOf(numbers, count);
    }"""
    assert page.page.evaluate(made, [numbers, count]) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b"], "a, b"),
        (["x" * 200, "b"], f"{'x' * 200} and 1 more"),
        (["x" * 59, "y" * 59, "z"], f"{'x' * 59}, {'y' * 59} and 1 more"),
        ([f"n{number:03}" for number in range(1000)], None),
    ],
)
def test_a_model_is_told_in_few_words(names, expected, page):
    made = """async (classes) => {
      const { aboutModel } = await import("/page/models.js");
      return aboutModel({ task: "detection", classes, version: 3 });
    }"""
    about = page.page.evaluate(made, names)
    if expected:
        assert about == f"Boxes around objects: {expected}. Version\u00a03."
    else:
        assert about.endswith("n019 and 980 more. Version\u00a03.")  # 20 names are 118 letters
