"""The coverage table: each line of the sheet, the part that serves it, and its tests.

python -m docs.coverage            writes coverage.md from coverage.toml
python -m docs.coverage --check    exits with 1 if coverage.md is not up to date
"""

import argparse
import pathlib
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

FOLDER = pathlib.Path(__file__).parent
DATA, PAGE = FOLDER / "coverage.toml", FOLDER / "coverage.md"

# In the order in which they are to come.
MILESTONES = (
    "layers and cost",
    "classifiers",
    "detection",
    "segmentation",
    "video",
    "explain and diagnose",
    "training at scale",
    "serving",
)

INTRODUCTION = """\
# Coverage

kerakit implements one sheet of formulas and systems of computer vision, whole. This page has each
line of it, in the sheet's order: the part that serves it (Keras's wherever Keras has the same
formula) and the tests that show it, or the milestone that will bring it. Where the sheet has a
slip, the line here has it right.

`python -m docs.coverage` writes the page from [coverage.toml](coverage.toml). A part that cannot be
imported, a test that does not exist or a stale page fails the test suite.
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the sheet.

    Args:
        section: Heading it stands under.
        line: What it says; formulas between backticks.
        part: Dotted names of what serves it, of `kerakit` or `keras`.
        tests: Ids of its tests, `tests/FILE.py::NAME`.
        later: The milestone that will serve it, in place of `part` and `tests`.
    """

    section: str
    line: str
    part: Sequence[str] = ()
    tests: Sequence[str] = ()
    later: str | None = None

    @property
    def state(self):
        """Whose part serves it, or that it comes later: the name it is counted under."""
        if self.later:
            return f"later: {self.later}"
        owners = {"kerakit": "kerakit's", "keras": "Keras's"}
        found = {name.partition(".")[0] for name in self.part}
        return " and ".join(owners[name] for name in owners if name in found)


STATES = ("kerakit's", "Keras's", "kerakit's and Keras's", *(f"later: {m}" for m in MILESTONES))


def read(path=DATA):
    """The rows of the data file, in its order."""
    sections = tomllib.loads(path.read_text("utf-8"))["section"]
    return [Row(section=part["title"], **row) for part in sections for row in part["row"]]


def page(rows):
    """The text of coverage.md."""
    sections = dict.fromkeys(row.section for row in rows)
    blocks = [INTRODUCTION, _counts(rows), _contents(rows, sections)]
    blocks += [_section(title, [row for row in rows if row.section == title]) for title in sections]
    return "\n".join(blocks)


def _counts(rows):
    counts = Counter(row.state for row in rows)
    lines = ["| part | lines |", "|---|---:|"]
    lines += [f"| {state} | {counts[state]} |" for state in STATES if counts[state]]
    return "\n".join([*lines, f"| **all** | **{len(rows)}** |", ""])


def _contents(rows, sections):
    lines = ["| section | lines | served now |", "|---|---:|---:|"]
    for title in sections:
        own = [row for row in rows if row.section == title]
        now = sum(row.later is None for row in own)
        lines.append(f"| [{title}](#{_anchor(title)}) | {len(own)} | {now} |")
    return "\n".join([*lines, ""])


def _section(title, rows):
    lines = [f"## {title}", "", "| line | part | tests |", "|---|---|---|"]
    for row in rows:
        part = f"*later: {row.later}*" if row.later else "<br>".join(f"`{p}`" for p in row.part)
        tests = "<br>".join(_link(test) for test in row.tests)
        # A bar would end the cell, in a formula too.
        line = row.line.replace("|", r"\|")
        lines.append(f"| {line} | {part} | {tests} |".replace("|  |", "| |"))
    return "\n".join([*lines, ""])


def _link(test):
    """`tests/data/test_exif.py::test_no_damage` as "data/exif: no damage", linked to the file."""
    file, _, name = test.partition("::")
    short = file.removeprefix("tests/").removesuffix(".py").replace("test_", "")
    words = name.replace("::", ": ").removeprefix("test_").replace("_", " ")
    return f"[{short}](../{file}): {words}"


def _anchor(title):
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -")
    return kept.replace(" ", "-")


def main(arguments=None, *, data=DATA, target=PAGE):
    """Writes the page or checks it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs.coverage", description="Coverage table.")
    parser.add_argument("--check", action="store_true", help="write nothing, say if it is stale")
    options = parser.parse_args(arguments)
    text = page(read(data))
    if not options.check:
        target.write_text(text, "utf-8")
        return 0
    if target.exists() and target.read_text("utf-8") == text:
        return 0
    print(f"docs/{target.name} is not up to date: python -m docs.coverage", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
