"""The documentation is whole: a page a public name, each within reach, each link to something."""

import ast
import pathlib
import pkgutil
import re
import urllib.parse

import pytest

import kerakit

pytest.importorskip("docutils", reason="needs the extra docs: make docs installs it")
from docs import api_pages, links

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Those that are made for a build, or by it, may be there or not.
MARKDOWN = [page for page in sorted(DOCS.rglob("*.md")) if not {"_build", "api"} & set(page.parts)]
PAGES = api_pages.pages()
TREE = re.compile(r"toctree(?:::|\})\n(.*?)(?:```|\Z)", re.DOTALL)


def listed(text):
    """Documents that a page's toctrees name, `title <document>` or the document alone."""
    lines = [line.strip() for block in TREE.findall(text) for line in block.splitlines()]
    entries = [line for line in lines if line and not line.startswith(":")]
    return {entry.partition("<")[2].rstrip(">").lstrip("/") or entry for entry in entries}


def prose(path):
    """A page's text without its blocks of code."""
    return re.sub(r"^```.*?^```|^ {4}.*?$", "", path.read_text("utf-8"), flags=re.DOTALL | re.M)


def anchors(path):
    """What GitHub calls a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(path), flags=re.M)
    kept = ("".join(c for c in h.lower() if c.isalnum() or c in " -_") for h in headings)
    return {text.replace(" ", "-") for text in kept}


def declared(path):
    """The names in a module's `__all__`, read from its source."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def test_each_public_name_has_a_page_that_documents_it():
    package = pathlib.Path(kerakit.__file__).parent
    tasks = (f"models.{task}" for task in kerakit.models.__all__)
    count = 0
    for name in [*kerakit.__all__, *tasks, "cost.formulas", "gradients.local"]:
        path = package / name.replace(".", "/")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        for part in declared(file):
            text = PAGES[api_pages.documents()[f"kerakit.{name}.{part}"]]
            module = f"automodule:: kerakit.{name}.{part}\n"
            own = rf"currentmodule:: kerakit\.{re.escape(name)}\n\n\.\. \S+:: {part}\n"
            assert module in text or re.search(own, text), f"kerakit.{name}.{part}"
            count += 1
    assert count > 350


def test_each_page_is_in_one_toctree():
    texts = PAGES | {"index": (DOCS / "index.md").read_text("utf-8")}
    entries = [entry for text in texts.values() for entry in listed(text)]
    written = {path.relative_to(DOCS).with_suffix("").as_posix() for path in MARKDOWN}
    assert sorted(entries) == sorted((written | set(PAGES)) - {"index"})


def test_no_two_pages_are_one_where_names_of_files_have_no_case():
    assert len({document.lower() for document in PAGES}) == len(PAGES)


def test_an_index_has_the_first_line_of_each_docstring():
    assert "     - RoI align" not in PAGES["api/losses"]
    line = kerakit.losses.MulticlassHinge.__doc__.partition("\n")[0]
    assert (
        f":doc:`MulticlassHinge </api/losses/MulticlassHinge>`\n     - {line}\n"
        in (PAGES["api/losses"])
    )


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.stem)
def test_links_lead_to_something(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        address = urllib.parse.urlsplit(target)
        if address.scheme:
            continue
        file = path.parent / address.path if address.path else path
        assert file.exists(), f"{path.name}: {target}"
        if address.fragment:
            assert address.fragment in anchors(file), f"{path.name}: {target}"


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.stem)
def test_code_that_names_a_part_names_one_that_exists(path):
    for name in re.findall(r"`(kerakit(?:\.\w+)+)[(`]", path.read_text("utf-8")):
        pkgutil.resolve_name(name)


def test_docstrings_name_parts_that_exist():
    documented = api_pages.documents()
    for name in documented:
        text = pkgutil.resolve_name(name).__doc__ or ""
        for other in re.findall(r"`(kerakit(?:\.\w+)+)[(`]", text):
            assert pkgutil.resolve_name(other), f"{name}: {other}"


def test_pages_are_written_once_and_stale_ones_removed(tmp_path):
    folder = tmp_path / "api"
    (folder / "layers").mkdir(parents=True)
    (folder / "layers" / "Gone.rst").write_text("Gone\n====\n")
    api_pages.write(folder)
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*.rst")}
    assert len(written) == len(PAGES)
    api_pages.write(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.rst")} == written


@pytest.mark.parametrize(
    ("code", "document", "target"),
    [
        ("kerakit.cost.report(model)", "cost", "api/cost/report"),
        ("kerakit.cost.Report", "cost", "api/cost/Report-class"),
        ("kerakit.layers", "index", "api/layers"),
        ("MaxUnpool2D", "api/layers", "api/layers/MaxUnpool2D"),
        ("MaxUnpool2D", "api/layers/RoIAlign", "api/layers/MaxUnpool2D"),
        ("MaxUnpool2D", "api/layers/MaxUnpool2D", None),  # the page itself
        ("MaxUnpool2D", "cost", None),  # whose it is nobody said
        ("report", "api/cost/Report-class", None),  # may be an argument
        ("kerakit.layers.Nothing", "cost", None),
        ("keras.layers.Dense", "cost", None),
    ],
)
def test_code_leads_to_the_part_it_names(code, document, target):
    assert links.target_of(code, document) == target
