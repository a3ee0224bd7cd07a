"""The page in a real Chromium, for people: on a phone, by keyboard, in the dark."""

import pytest

pytest.importorskip("playwright", reason="the browser is driven by kerakit[browser]")
pytest.importorskip("av", reason="the video is made by kerakit[video]")

from playwright.sync_api import expect

from tests.serve.page_browser import percent, picture

pytest_plugins = ["tests.serve.page_fixtures"]
pytestmark = pytest.mark.slow

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def test_on_a_phone(tab):
    page = tab("objects", **PHONE)
    page.drop(picture()[0])
    for model in ("objects", "classes", "masks", "dense"):
        page.page.locator("#model").select_option(model)
        widths = page.page.evaluate(
            "() => [document.documentElement.scrollWidth, innerWidth, visualViewport.scale]"
        )
        assert widths == [360, 360, 1]
    page.page.locator("#model").select_option("classes")
    photograph = page.page.get_by_role("button", name="Take a photo")
    expect(page.page.get_by_role("button", name="Choose a picture")).to_be_visible()
    controls = page.page.locator("button:visible, select:visible").all()
    assert len(controls) == 4
    for control in controls:
        assert control.bounding_box()["height"] >= 44  # a thumb's
    with page.page.expect_file_chooser() as chooser:
        photograph.tap()
    file = {"name": "photo.png", "mimeType": "image/png", "buffer": picture()[0]}
    _, answer = page.asked(lambda: chooser.value.set_files(file))
    assert page.rows()[0][1] == percent(max(answer["probabilities"]))
    assert page.page.locator("#camera").get_attribute("capture") == "environment"


def focused(page):
    return page.evaluate(
        """() => {
          const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
          return [document.activeElement.id, outlineStyle !== "none" && parseFloat(outlineWidth)];
        }"""
    )


def test_by_keyboard_alone(tab):
    page = tab("objects")
    page.ready()
    keys, seen = page.page.keyboard, []
    while "choose" not in seen:
        keys.press("Tab")
        name, outline = focused(page.page)
        assert outline >= 2, f"that {name} has the focus is not seen"
        seen.append(name)
    assert seen == ["model", "choose"]
    with page.page.expect_file_chooser() as chooser:
        keys.press("Enter")
    file = {"name": "picture.png", "mimeType": "image/png", "buffer": picture((100, 100))[0]}
    page.asked(lambda: chooser.value.set_files(file))
    assert len(page.rows()) == 2
    keys.press("Tab")
    assert focused(page.page)[0] == "least"
    keys.press("Home")
    assert len(page.rows()) == 3
    keys.press("End")
    assert page.rows() == []
    rest = []
    for _ in range(4):
        keys.press("Tab")
        rest.append(focused(page.page))
    assert [name for name, _ in rest] == ["opacity", "rows", "command", "copy"]
    assert all(outline >= 2 for _, outline in rest)


def test_the_answer_is_announced(tab):
    page = tab("classes")
    page.drop(picture()[0])
    expect(page.page.get_by_role("status").first).to_contain_text("Answered in")


PLACEHOLDER = "() => getComputedStyle(document.getElementById('rows'), '::before').content"


def test_what_is_not_there_yet_is_told(tab):
    page = tab("boxes")
    page.ready()
    hint = page.page.locator("#hint")
    expect(hint).to_have_text("No picture yet")
    assert page.page.evaluate(PLACEHOLDER) == '"No answer yet"'
    page.drop(picture()[0])
    expect(hint).to_be_hidden()
    page.set("Least score", 1)
    assert page.page.evaluate(PLACEHOLDER) == '"Nothing of this score"'
    page.page.locator("#model").select_option("dense")
    expect(hint).to_have_text("No video yet")
    expect(page.page.get_by_role("img")).to_have_attribute("aria-label", "No video yet")


def test_a_wait_is_shown_and_ends(tab):
    page = tab("classes")
    page.ready()
    bar = "() => getComputedStyle(document.querySelector('.frame'), '::after').animationName"
    assert page.page.evaluate(bar) == "none"
    waiting = []
    page.page.route("**/*:predict", lambda route: waiting.append(route))
    page.drop_unasked(picture()[0])
    expect(page.said).to_have_text("Asking the model…")
    assert page.page.evaluate(bar) == "appear, run"
    waiting.pop().fulfill(status=500, json={"error": "No."})
    expect(page.said).to_have_text("No.")
    assert page.page.evaluate(bar) == "none"
    page.page.unroute("**/*:predict")
    page.drop(picture()[0])
    assert page.page.evaluate(bar) == "none"


@pytest.mark.parametrize("options", [{}, PHONE], ids=["wide", "phone"])
def test_nothing_moves_by_itself(options, tab):
    for model in ("classes", "objects", "masks"):
        page = tab(model, **options)
        page.drop(picture()[0])
        page.page.wait_for_timeout(300)
        assert page.page.evaluate("() => window.shifts") < 0.02


@pytest.mark.parametrize("options", [{}, PHONE], ids=["wide", "phone"])
def test_values_stand_below_one_another(options, tab):
    page = tab("classes", **options)  # of which a name is long
    page.drop(picture()[0])
    for model in ("classes", "objects", "masks"):
        if model != "classes":
            page.asked(lambda model=model: page.page.locator("#model").select_option(model))
        whole = page.page.locator("#rows").bounding_box()
        boxes = [value.bounding_box() for value in page.page.locator("#rows .value").all()]
        assert len(boxes) >= 2
        ends = [box["x"] + box["width"] for box in boxes]
        assert max(ends) - min(ends) < 1
        inset = whole["x"] + whole["width"] - ends[0]
        assert 0 < inset < 24, model
        assert {round(box["height"]) for box in boxes} == {24}  # a line


# Text and what lies behind it, as WCAG 2.2 measures (1.4.3), and edges of controls (1.4.11).
CONTRASTS = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => channels(color).slice(0, 3)
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let node = element; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (channels(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const ratio = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element);
    const hasText = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (hasText && element.checkVisibility() && element.tagName !== "OPTION") {
      found.push([element.id || element.className || element.tagName, 4.5,
        ratio(style.color, behind(element))]);
    }
    if (["BUTTON", "SELECT"].includes(element.tagName)) {
      found.push([element.id, 3, ratio(style.borderTopColor, behind(element.parentElement))]);
    }
    if (element.className === "filled") {
      found.push(["bar", 3, ratio(style.backgroundColor, behind(element.parentElement))]);
    }
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme, tab):
    page = tab("objects", color_scheme=scheme)
    page.drop(picture()[0])
    found = page.page.evaluate(CONTRASTS)
    assert len(found) > 15
    page.drop(b"no picture")
    found += page.page.evaluate(CONTRASTS)
    assert [each for each in found if each[2] < each[1]] == []
    dark = page.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") == (scheme == "light")
