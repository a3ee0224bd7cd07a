"""Draws docs/pictures/serve-*.png, the server's page with each model: wide, on a phone, explained.

    KERAKIT_DATA=DIR python -m docs.draw_serve_page savedmodels
    python -m docs.draw_serve_page savedmodels blood-cells=cells.jpg tissue=tissue.jpg --to pictures

The first gives each model a file that was held out of its training. A model without the signature
`explain` gets no picture of that; `python -m recipes.classify digits --explain` exports one with
it. The extras `serve`, `browser` and `plot` are needed, and the system's Chromium.
"""

import argparse
import io
import os
import pathlib
import shutil
import tempfile
import threading

from PIL import Image
from playwright.sync_api import expect, sync_playwright

import kerakit
from kerakit.serve import Service

PICTURES = pathlib.Path(__file__).parent / "pictures"
PATIENCE = 120_000  # milliseconds
# In the folder that KERAKIT_DATA names. Digits are kerakit's own.
HELD_OUT = {
    "blood-cells": "detection-bccd/images/val/BloodImage_00011.jpg",
    "nuclei": "instance-nuclei/images/val/0c6507d493bf79b2.png",
    "tissue": "semantic-nuclei-stained/images/val/1ec74a26e772966d.jpg",
    "motion": "video-motion-direction-ir/val/left/ir_airplane_073_f0000.mp4",
}
WIDE = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
PHONE = {
    "viewport": {"width": 360, "height": 740},
    "color_scheme": "dark",
    "device_scale_factor": 1.75,
    "has_touch": True,
    "is_mobile": True,
}


def held_out(folder):
    """Dict from models to a file each; that of a digit is written into a folder."""
    digit = folder / "digit.png"
    example = next(iter(kerakit.data.load("digits").val))
    Image.fromarray(example["image"].numpy().squeeze()).save(digit)
    data = pathlib.Path(os.environ["KERAKIT_DATA"])
    return {"digits": digit, **{model: data / file for model, file in HELD_OUT.items()}}


def photograph(browser, address, model, file, *, look, path, explain=False):
    """Writes what the page shows of a file; of a model that explains nothing, no explanation."""
    with browser.new_context(**look) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{address}/#{model}")
        expect(page.locator("#choose")).to_be_enabled(timeout=PATIENCE)
        if explain:
            box = page.get_by_label("Explain with a heat map")
            if not box.is_visible():
                return
            box.check()
        page.set_input_files("#file", file)
        expect(page.locator("#said")).to_contain_text("Answered in", timeout=PATIENCE)
        # All of the page in a window as tall: a picture of more than the window has no touch.
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": look["viewport"]["width"], "height": height})
        page.wait_for_timeout(500)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        in_few_colors(picture).save(path, optimize=True)
        print(path, f"{path.stat().st_size / 1024:.0f} KB")


def in_few_colors(picture):
    """The picture in 256 colours, of a third of its bytes: half the frequent ones, half far apart.

    The first alone would lose those of a legend, the others those of panels on white.
    """
    methods = (Image.Quantize.MEDIANCUT, Image.Quantize.FASTOCTREE)
    colors = [picture.quantize(128, method=each).getpalette()[: 3 * 128] for each in methods]
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for half in colors for value in half])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def draw(address, files, folder):
    """Draws the page with a file for each model, in all looks."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        with playwright.chromium.launch(executable_path=chromium, timeout=PATIENCE) as browser:
            for model, file in files.items():
                for mark, options in (
                    ("", {"look": WIDE}),
                    ("-phone", {"look": PHONE}),
                    ("-explain", {"look": WIDE, "explain": True}),
                ):
                    path = folder / f"serve-{model}{mark}.png"
                    photograph(browser, address, model, file, path=path, **options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", help="folder of models, as `kerakit serve` takes it")
    parser.add_argument("files", nargs="*", metavar="MODEL=FILE", help="what a model is given")
    parser.add_argument("--to", type=pathlib.Path, default=PICTURES, help="folder of the pictures")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)

    service = Service(options.models, port=0)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            given = dict(pair.split("=", 1) for pair in options.files)
            files = given or held_out(pathlib.Path(folder))
            service.repository.looked.wait()
            draw(service.address, files, options.to)
    finally:
        service.stop()
        thread.join()


if __name__ == "__main__":
    main()
