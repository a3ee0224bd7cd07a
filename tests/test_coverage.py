"""The coverage table is true: its parts import, its tests exist, its page is up to date."""

import ast
import functools
import pathlib
import pkgutil
from collections import Counter

import pytest

from docs import coverage

ROOT = pathlib.Path(__file__).parents[1]
ROWS = coverage.read()


@functools.cache
def names_in(file):
    """Names of a file's tests, `Class::name` for those inside a class."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        functions = (f for f in inside if isinstance(f, ast.FunctionDef))
        names |= {f"{prefix}{f.name}" for f in functions if f.name.startswith("test_")}
    return frozenset(names)


def exists(test):
    file, _, name = test.partition("::")
    return file.startswith("tests/") and name in names_in(file)


@pytest.mark.parametrize("test", dict.fromkeys(t for row in ROWS for t in row.tests))
def test_named_test_exists(test):
    assert exists(test), f"docs/coverage.toml names {test}, which does not exist"


@pytest.mark.parametrize("name", dict.fromkeys(name for row in ROWS for name in row.part))
def test_named_part_can_be_imported(name):
    assert name.partition(".")[0] in ("kerakit", "keras")
    pkgutil.resolve_name(name)


def test_each_row_is_served_and_tested_or_comes_later():
    for row in ROWS:
        if row.later is None:
            assert row.part, f"`{row.line}` has neither a part nor a milestone"
            assert row.tests, f"`{row.line}` has no test"
        else:
            assert row.later in coverage.MILESTONES
            assert not row.part, f"`{row.line}` is served and comes later"
            assert not row.tests, f"`{row.line}` is tested and comes later"


def test_no_row_and_no_part_of_one_stands_twice():
    assert [line for line, count in Counter(row.line for row in ROWS).items() if count > 1] == []
    for row in ROWS:
        assert len(set(row.part)) == len(row.part)
        assert len(set(row.tests)) == len(row.tests)


def test_formulas_are_closed():
    assert [row.line for row in ROWS if row.line.count("`") % 2] == []


def test_page_is_up_to_date():
    assert coverage.main(["--check"]) == 0


def test_page_counts_every_row_once():
    text = coverage.page(ROWS)
    counts = Counter(row.state for row in ROWS)
    for state, count in counts.items():
        assert f"| {state} | {count} |" in text
    assert f"| **all** | **{sum(counts.values())}** |" in text
    assert sum(counts.values()) == len(ROWS)
    # Each row's line stands in the page, in the data's order.
    lines = [row.line.replace("|", r"\|") for row in ROWS]
    table = [cells.split(" | ")[0] for cells in text.splitlines() if cells.startswith("| ")]
    found = [cell.removeprefix("| ") for cell in table if cell.removeprefix("| ") in set(lines)]
    assert found == lines


DATA = """
[[section]]
title = "Loss functions"

[[section.row]]
line = "Absolute: `|x|`"
part = ["keras.ops.abs", "kerakit.losses.SummedAbsoluteError"]
tests = ["tests/test_coverage.py::test_a_page_by_hand"]

[[section.row]]
line = "Boxes: overlap"
later = "detection"
"""


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "coverage.toml"
    path.write_text(DATA, "utf-8")
    return path


def test_a_page_by_hand(data):
    text = coverage.page(coverage.read(data))
    assert "| kerakit's and Keras's | 1 |\n| later: detection | 1 |\n| **all** | **2** |" in text
    assert "| [Loss functions](#loss-functions) | 2 | 1 |" in text
    assert (
        r"| Absolute: `\|x\|` | `keras.ops.abs`<br>`kerakit.losses.SummedAbsoluteError` "
        "| [coverage](../tests/test_coverage.py): a page by hand |\n"
        "| Boxes: overlap | *later: detection* | |\n"
    ) in text


def test_a_stale_page_is_an_error(data, tmp_path, capsys):
    page = tmp_path / "coverage.md"
    assert coverage.main(["--check"], data=data, target=page) == 1
    assert coverage.main([], data=data, target=page) == 0
    assert coverage.main(["--check"], data=data, target=page) == 0
    data.write_text(DATA.replace("overlap", "overlap over union"), "utf-8")
    assert coverage.main(["--check"], data=data, target=page) == 1
    assert "coverage.md is not up to date: python -m docs.coverage" in capsys.readouterr().err


def test_an_unknown_field_is_refused(data):
    data.write_text(DATA.replace("later =", "latr ="), "utf-8")
    with pytest.raises(TypeError, match="latr"):
        coverage.read(data)


@pytest.mark.parametrize(
    "test",
    [
        "tests/test_coverage.py::test_that_nobody_wrote",
        "tests/test_coverage.py::exists",
        "tests/test_nothing.py::test_a_page_by_hand",
        "tests/test_coverage.py",
    ],
)
def test_a_test_that_is_not_there_is_seen(test):
    assert not exists(test)
    assert exists("tests/test_coverage.py::test_a_test_that_is_not_there_is_seen")
