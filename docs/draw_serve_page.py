"""Draws docs/pictures/serve-*.png, the server's page with models and files of your own.

    python -m docs.draw_serve_page savedmodels blood-cells=cells.jpg tissue=tissue.jpg
    python -m docs.draw_serve_page savedmodels tissue=tissue.jpg --width 360 --dark

It needs the extras `serve` and `browser`, and the system's Chromium.
"""

import argparse
import pathlib
import shutil
import threading

from playwright.sync_api import expect, sync_playwright

from kerakit.serve import Service

PICTURES = pathlib.Path(__file__).parent / "pictures"
PATIENCE = 120_000  # milliseconds


def photograph(browser, address, model, file, *, width, dark, explain, path):
    """Writes what the page shows of a file."""
    page = browser.new_page(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        has_touch=width < 600,
        is_mobile=width < 600,
    )
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}/#{model}")
    expect(page.locator("#choose")).to_be_enabled(timeout=PATIENCE)
    if explain:
        page.get_by_label("Explain with a heat map").check()
    page.set_input_files("#file", file)
    expect(page.locator("#said")).to_contain_text("Answered in", timeout=PATIENCE)
    page.screenshot(path=path, full_page=True)
    page.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", help="folder of models, as `kerakit serve` takes it")
    parser.add_argument("files", nargs="+", metavar="MODEL=FILE", help="what a model is given")
    parser.add_argument("--width", type=int, default=1280, help="of the window, in pixels")
    parser.add_argument("--dark", action="store_true", help="as one who prefers dark sees it")
    parser.add_argument("--explain", action="store_true", help="with the heat map")
    parser.add_argument("--to", type=pathlib.Path, default=PICTURES, help="folder of the pictures")
    options = parser.parse_args()
    look = {"width": options.width, "dark": options.dark, "explain": options.explain}
    marks = [name for name in ("dark", "explain") if look[name]]
    marks += [str(options.width)] if options.width != 1280 else []

    service = Service(options.models, port=0)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        service.repository.looked.wait()
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium")
            with playwright.chromium.launch(executable_path=chromium, timeout=PATIENCE) as browser:
                for pair in options.files:
                    model, _, file = pair.partition("=")
                    path = options.to / f"{'-'.join(['serve', model, *marks])}.png"
                    photograph(browser, service.address, model, file, path=path, **look)
                    print(path)
    finally:
        service.stop()
        thread.join()


if __name__ == "__main__":
    main()
