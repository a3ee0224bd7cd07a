"""The page in a real Chromium: files of all kinds, what goes wrong, and the command."""

import base64
import io
import json
import subprocess

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="the browser is driven by kerakit[browser]")
pytest.importorskip("av", reason="the video is made by kerakit[video]")

from playwright.sync_api import expect

from tests.serve.client import b64, serving
from tests.serve.page_browser import SIZE, assert_color, percent, picture

pytest_plugins = ["tests.serve.page_fixtures"]
pytestmark = pytest.mark.slow


# Files of other kinds


def test_what_the_server_cannot_read_is_sent_as_jpeg(tab):
    file, pixels = picture(kind="WEBP", lossless=True)
    page = tab("masks")
    body, answer = page.drop(file, "picture.webp", "image/webp")
    sent = base64.b64decode(body["instances"][0]["b64"])
    opened = Image.open(io.BytesIO(sent))
    assert (opened.format, opened.size) == ("JPEG", SIZE)
    assert np.abs(np.asarray(opened).astype(int) - pixels).mean() < 3
    assert np.shape(answer["mask"]) == SIZE[::-1]
    expect(page.said).to_contain_text("The picture was sent as JPEG.")


def test_what_is_sent_as_jpeg_is_white_where_it_was_transparent(tab):
    file = io.BytesIO()
    Image.new("RGBA", SIZE, (200, 0, 0, 0)).save(file, "WEBP", lossless=True)
    page = tab("classes")
    body, _ = page.drop(file.getvalue(), "picture.webp", "image/webp")
    sent = Image.open(io.BytesIO(base64.b64decode(body["instances"][0]["b64"])))
    assert sent.format == "JPEG"
    assert_color(np.asarray(sent)[20, 20], (255, 255, 255))


def test_a_png_that_is_to_be_turned_is_sent_as_it_is_shown(tab):
    exif = Image.Exif()
    exif[0x0112] = 6
    file, _ = picture(exif=exif)
    page = tab("masks")
    body, answer = page.drop(file)
    sent = Image.open(io.BytesIO(base64.b64decode(body["instances"][0]["b64"])))
    assert sent.format == "JPEG"
    assert np.shape(answer["mask"]) == sent.size[::-1]
    page.set("Opacity", 0)
    assert_color(page.pixel(5.5, 5.5, sent.size), np.asarray(sent)[5, 5])
    expect(page.said).to_contain_text("The picture was sent as JPEG.")


def test_a_photo_is_shown_as_the_server_saw_it(tab):
    pixels = np.zeros((40, 64, 3), np.uint8)
    pixels[:, 32:] = (250, 120, 10)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what was on the right is below
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", exif=exif, quality=95)
    page = tab("masks")
    body, answer = page.drop(file.getvalue(), "photo.jpg", "image/jpeg")
    assert body == {"instances": [b64(file.getvalue())]}
    assert np.shape(answer["mask"]) == (64, 40)
    page.set("Opacity", 0)
    assert_color(page.pixel(20, 10, (40, 64)), (0, 0, 0), within=6)
    assert_color(page.pixel(20, 54, (40, 64)), (250, 120, 10), within=6)


def test_transparent_parts_are_white(tab):
    file = io.BytesIO()
    Image.new("RGBA", SIZE, (200, 0, 0, 0)).save(file, "PNG")
    page = tab("classes")
    page.drop(file.getvalue())
    assert_color(page.pixel(20, 20, SIZE), (255, 255, 255))


def test_a_large_picture_is_made_smaller_for_masks(tab):
    page = tab("masks")
    page.ready()
    # Its answer is of tens of megabytes, more than the browser keeps for a test.
    with page.page.expect_request("**/*:predict") as asked:
        page.drop_unasked(picture((1600, 1200), "JPEG")[0], "large.jpg")
    (instance,) = asked.value.post_data_json["instances"]
    sent = Image.open(io.BytesIO(base64.b64decode(instance["b64"])))
    assert sent.size == (1182, 887)  # 2**20 pixels, as near as can be
    expect(page.said).to_contain_text("sent as JPEG of 1182 \u00d7 887")
    shares = [float(value.removesuffix(" %")) for _, value in page.rows()]
    assert 99 < sum(shares) < 101


def test_a_pasted_picture(tab):
    page = tab("classes")
    page.ready()
    text = base64.b64encode(picture()[0]).decode()
    paste = """(text) => {
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([bytes], "image.png", { type: "image/png" }));
      document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
    }"""
    _, answer = page.asked(lambda: page.page.evaluate(paste, text))
    assert page.rows()[0][1] == percent(max(answer["probabilities"]))


# What goes wrong


@pytest.mark.parametrize("content", [b"no picture", picture()[0][:200]], ids=["text", "cut short"])
def test_a_broken_image_is_told_in_the_servers_words(content, tab, page_server):
    page = tab("classes")
    page.drop(picture()[0])
    page.drop(content)
    expected = page_server.error({"instances": [b64(content)]}, "classes")
    expect(page.said).to_have_text(expected)
    # Nothing of the answer before is left.
    assert page.rows() == []


def test_what_is_no_video_is_told(tab):
    page = tab("dense")
    page.ready()
    page.drop_unasked(b"no film", "film.mp4")
    said = "This browser cannot play film.mp4 as a video."
    expect(page.said).to_have_text(said)
    expect(page.said).to_have_class("wrong")


def test_a_token_is_asked_for_and_kept_nowhere(page_models, tab):
    with serving(page_models / "boxes", token="right") as client:
        page = tab(address=client.service.address)
        token = page.page.get_by_label("This server asks for a token")
        expect(token).to_be_focused()
        for wrong in ("wrong", "日本"):
            token.fill(wrong)
            token.press("Enter")
            expect(token).to_be_visible()
            expect(page.said).to_have_class("wrong")
        token.fill("right")
        token.press("Enter")
        _, answer = page.drop(picture((100, 100))[0])
        assert answer["num_detections"] == 3
        expect(token).to_be_hidden()
        command = page.page.locator("#command")
        expect(command).to_contain_text("Authorization: Bearer $KERAKIT_SERVE_TOKEN")
        assert "right" not in page.page.content()
        kept = "() => [localStorage.length, sessionStorage.length, document.cookie]"
        assert page.page.evaluate(kept) == [0, 0, ""]
        page.page.reload()
        expect(token).to_be_focused()


def test_a_server_that_is_gone_is_told(page_models, tab):
    with serving(page_models / "boxes") as client:
        page = tab(address=client.service.address)
        page.ready()
    page.drop_unasked(picture()[0])
    said = "The server does not answer; is it running?"
    expect(page.said).to_have_text(said)


# Models and commands


def test_the_choice_stays_in_the_address(tab):
    page = tab()
    page.ready()
    model = page.page.locator("#model")
    names = ["boxes", "classes", "dense", "masks", "objects", "several", "uniform"]
    assert model.locator("option").all_inner_texts() == names
    model.select_option("masks")
    assert page.page.url.endswith("/#masks")
    page.page.reload()
    expect(model).to_have_value("masks")
    expect(page.page.locator("#about")).to_contain_text(
        "The class of each pixel: background, bée, cell. Version\u00a01."
    )


def test_another_model_answers_the_same_picture(tab):
    page = tab("boxes")
    page.drop(picture()[0])
    model = page.page.locator("#model")
    _, answer = page.asked(lambda: model.select_option("masks"))
    assert "mask" in answer
    model.select_option("dense")  # which takes none
    expect(page.said).to_have_text("Ready.")
    assert page.rows() == []


def run(command, folder):
    """What a command writes, which is JSON."""
    found = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(found.stdout)


@pytest.mark.parametrize("explained", [False, True])
def test_the_command_gives_the_same_answer(explained, tab, page_server, tmp_path):
    name, (file, _) = "it's $HOME; a picture.png", picture()
    page = tab("classes")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    body, _ = page.drop(file, name)
    if explained:
        body, _ = page.asked(page.page.get_by_label("Explain with a heat map").check)
    page.page.get_by_role("button", name="Copy").click()
    expect(page.page.locator("#copied")).to_have_text("Copied.")
    command = page.page.evaluate("() => navigator.clipboard.readText()")
    assert command == page.page.locator("#command").inner_text()
    (tmp_path / name).write_bytes(file)
    expected = page_server.predict(body, "classes")[1]
    assert run(command, tmp_path) == expected
    assert ("heat_map" in expected["predictions"][0]) == explained


def test_the_command_of_a_clip_sends_the_saved_request(video, tab, page_server, tmp_path):
    page = tab("dense")
    _, answer = page.drop(video.read_bytes(), "film.mp4", "video/mp4")
    with page.page.expect_download() as download:
        page.page.get_by_role("link", name="Save the request").click()
    assert download.value.suggested_filename == "film.mp4.json"
    download.value.save_as(tmp_path / "film.mp4.json")
    command = page.page.locator("#command").inner_text()
    assert run(command, tmp_path) == {"predictions": [answer]}
