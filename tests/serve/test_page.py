"""The page's files over HTTP; what they do in a browser is in test_page_in_browser.py."""

import contextlib
import http.client
import re
from pathlib import Path

import pytest

import kerakit.serve
from tests.serve.client import serving

FOLDER = Path(kerakit.serve.__file__).parent / "page"
NAMES = sorted(path.name for path in FOLDER.iterdir())
ADDRESSES = {name: "/" if name == "index.html" else f"/page/{name}" for name in NAMES}


@pytest.fixture(scope="module")
def get(client):
    """Function from a path, sent as it stands, to (status, headers, content)."""
    return lambda path, **options: fetch(client, path, **options)


def fetch(client, path, *, method="GET", headers=None):
    host = client.service.address.removeprefix("http://")
    with contextlib.closing(http.client.HTTPConnection(host, timeout=10)) as connection:
        connection.request(method, path, headers={"Accept": "text/html", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_sent_with_its_type(name, get):
    status, headers, content = get(ADDRESSES[name])
    assert (status, content) == (200, (FOLDER / name).read_bytes())
    expected = {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
    assert headers["content-type"] == expected[Path(name).suffix]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    # Neither a script from elsewhere nor one in the page.
    assert not {"script-src", "style-src", "connect-src"} & set(policy)
    assert "unsafe" not in headers["content-security-policy"]


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}'])
def test_what_a_browser_has_is_not_sent_again(known, get):
    _, headers, _ = get("/page/page.js")
    status, again, content = get(
        "/page/page.js", headers={"If-None-Match": known.format(headers["etag"])}
    )
    assert (status, content, again["etag"]) == (304, b"", headers["etag"])
    status, _, content = get("/page/page.js", headers={"If-None-Match": '"other"'})
    assert (status, content) == (200, (FOLDER / "page.js").read_bytes())


def test_the_tags_of_two_files_are_two(get):
    assert len({get(address)[1]["etag"] for address in ADDRESSES.values()}) == len(NAMES)


def test_who_asks_for_no_html_gets_a_paragraph(get):
    status, headers, content = get("/", headers={"Accept": "*/*"})
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    assert b"GET /v1/models" in content
    assert get("/")[1]["vary"] == "Accept"


@pytest.mark.parametrize(
    "path",
    [
        "/page",
        "/page/",
        "/page/other.js",
        "/page/page.py",
        "/page/index.html",
        "/page/../app.py",
        "/page/../../etc/passwd",
        "/page/../../../../../../../../etc/passwd",
        "/page/..%2fapp.py",
        "/page/%2e%2e/app.py",
        "/page/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/page/..%5capp.py",
        "/page//etc/passwd",
        "/page/page.js%00",
        "/page/page.js/",
        "/%2e%2e/page/page.js",
    ],
)
def test_nothing_else_is_sent(path, get):
    status, headers, content = get(path)
    assert status == 404
    assert headers["content-type"] == "application/json"
    assert content.startswith(b'{"error": "Not Found: GET /')
    assert b"root:" not in content


def test_only_reading_is_taken(get):
    assert get("/page/page.js", method="POST")[0] == 404
    status, headers, content = get("/page/page.js", method="HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["content-length"]) == (FOLDER / "page.js").stat().st_size


def test_the_page_needs_no_token_and_the_models_do(models):
    with serving(models / "tiny", token="secret") as client:
        for address in ADDRESSES.values():
            assert fetch(client, address)[0] == 200
        assert fetch(client, "/v1/models")[0] == 401


def test_the_page_refers_only_to_files_that_there_are():
    html = (FOLDER / "index.html").read_text()
    linked = re.findall(r'(?:src|href)="([^"]+)"', html)
    styles = [name for name in NAMES if name.endswith(".css")]
    imported = []
    for name in NAMES:
        text = (FOLDER / name).read_text()
        if name.endswith(".js"):
            imported += re.findall(r'\bfrom "([^"]+)"', text)
            assert not re.search(r"\bimport\(|\bimport \"", text)
        if name in styles:
            assert "url(" not in text
            assert "@import" not in text
    assert set(linked) <= {f"page/{name}" for name in NAMES}
    assert set(imported) <= {f"./{name}" for name in NAMES}
    # And there is none that nothing refers to.
    reached = {reference.split("/")[-1] for reference in linked + imported}
    assert reached == {*NAMES} - {"index.html"}


def test_no_file_has_an_address_from_elsewhere_or_writes_markup():
    for name in NAMES:
        text = (FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|\beval\(|innerHTML|outerHTML|insertAdjacent", text)
        assert not re.search(r"document\.write|localStorage|sessionStorage|\.cookie", text)
        assert not re.search(r"\son\w+=|\sstyle=|<script>|<style>|javascript:", text)


def test_each_element_that_a_script_asks_for_is_in_the_page():
    html = (FOLDER / "index.html").read_text()
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    script = (FOLDER / "page.js").read_text()
    asked = set(re.findall(r'element\("([^"]+)"\)', script))
    assert len(asked) > 15
    assert asked <= set(ids)
    assert set(re.findall(r'\bfor="([^"]+)"', html)) <= set(ids)
