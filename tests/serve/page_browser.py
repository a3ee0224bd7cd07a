"""The page in a real browser, and what a test does there."""

import base64
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

PATIENCE = 60_000  # milliseconds, for machines that have other things to do
expect.set_options(timeout=PATIENCE)
SIZE = (48, 40)  # width and height of the pictures

DROP = """([name, type, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  return transfer;
}"""
PIXEL = """([x, y, width, height]) => {
  const stage = document.getElementById("stage");
  const scale = Math.min(stage.width / width, stage.height / height);
  const left = (stage.width - scale * width) / 2, top = (stage.height - scale * height) / 2;
  const place = [Math.floor(left + scale * x), Math.floor(top + scale * y), 1, 1];
  return [...stage.getContext("2d").getImageData(...place).data].slice(0, 3);
}"""
# What moves without being asked to, by the browser's own measure.
NOTE_SHIFTS = """
  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.shifts += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
"""


def chromium():
    """Path of the system's Chromium; skips where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")


class Tab:
    """A tab with the page, at one model.

    Args:
        browser: Playwright's browser.
        address: The server's.
        model: Name of a model, or "".
        options: Of the browser's context.

    Attributes:
        page: Playwright's page.
        faults: What the page complained of: scripts' errors, and what its policy forbade.
    """

    def __init__(self, browser, address, model="", **options):
        shape = {"viewport": {"width": 1280, "height": 900}}
        self.context = browser.new_context(**{**shape, **options})
        self.context.set_default_timeout(PATIENCE)
        self.page, self.faults = self.context.new_page(), []
        self.page.add_init_script(NOTE_SHIFTS)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._note)
        # Choices of files are caught from the start: begun at a click, that may come too late.
        self.page.on("filechooser", lambda chooser: None)
        self.page.goto(f"{address}/#{model}")

    def _note(self, message):
        # That an answer is a 400 is told too, and is no fault of the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def close(self):
        self.context.close()
        assert self.faults == []

    def ready(self):
        expect(self.page.get_by_role("button", name="Choose")).to_be_enabled()

    def drop(self, content, name="picture.png", kind="image/png"):
        """Drops a file on the page; returns the request's body and the server's answer to it."""
        self.ready()
        return self.asked(lambda: self.drop_unasked(content, name, kind))

    def drop_unasked(self, content, name="picture.png", kind=""):
        """Drops a file of which the server is not told."""
        text = base64.b64encode(content).decode()
        transfer = self.page.evaluate_handle(DROP, [name, kind, text])
        self.page.dispatch_event("#choose", "drop", {"dataTransfer": transfer})

    def asked(self, act):
        """What is asked, and answered, when something is done."""
        with self.page.expect_response(lambda answer: answer.url.endswith(":predict")) as found:
            act()
        response = found.value
        body, content = json.loads(response.request.post_data), response.json()
        if response.ok:
            expect(self.said).to_contain_text("Answered in")
            return body, content["predictions"][0]
        expect(self.said).to_have_class("wrong")
        return body, content

    @property
    def said(self):
        return self.page.locator("#said")

    def rows(self):
        """(name, value) of each row of the answer."""
        rows = self.page.locator("#rows li")
        return [
            (row.locator(".name").inner_text(), row.locator(".value").inner_text())
            for row in rows.all()
        ]

    def pixel(self, x, y, size):
        """The colour on the canvas at a place in a picture of (width, height)."""
        return self.page.evaluate(PIXEL, [x, y, *size])

    def set(self, label, value):
        self.page.get_by_label(label).fill(str(value))


def picture(size=SIZE, kind="PNG", **options):
    """A file, and its pixels, of smooth colours that differ everywhere."""
    width, height = size
    x, y = np.meshgrid(np.linspace(60, 250, width), np.linspace(60, 250, height))
    pixels = np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue(), pixels


def assert_color(found, expected, *, within=3):
    assert np.abs(np.subtract(found, expected)).max() <= within, (found, expected)


def mixed(below, above, opacity):
    return np.add(np.multiply(below, 1 - opacity), np.multiply(above, opacity))


def percent(share):
    return f"{100 * share:.1f} %"


def brightness(number):
    """Of a frame of the film that the fixture `video` makes."""
    return 20 + 5 * number
