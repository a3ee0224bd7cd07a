"""Fixtures of the tests of the page, a plugin of pytest: it stands on what is not always there."""

import av
import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from tests.serve.client import serving
from tests.serve.page_browser import PATIENCE, Tab, brightness, chromium
from tests.serve.page_models import save_all


@pytest.fixture(scope="session")
def page_models(tmp_path_factory):
    """Folder of models of every task."""
    chromium()  # before anything is made in vain
    return save_all(tmp_path_factory.mktemp("page_models"))


@pytest.fixture(scope="session")
def page_server(page_models):
    """Client of a server of them."""
    with serving(page_models) as client:
        yield client


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def tab(browser, page_server):
    """Function that opens a tab at a model."""
    opened = []

    def open_tab(model="", *, address=page_server.service.address, **options):
        opened.append(Tab(browser, address, model, **options))
        return opened[-1]

    yield open_tab
    for each in opened:
        each.close()


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """A film of 40 frames at 10 a second, each brighter than the one before."""
    path = tmp_path_factory.mktemp("video") / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 320, 400, "yuv420p"
        for number in range(40):
            pixels = np.full((400, 320, 3), brightness(number), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path
