"""The pages of the parts: one for each public name, and an index for each module.

`docs/conf.py` writes them into docs/api before each build; what they say is the docstrings'.
"""

import functools
import importlib
import inspect
import pathlib
import types

FOLDER = pathlib.Path(__file__).parent / "api"

# Values have no docstring of their own.
VALUES = {
    "kerakit.activations.TABLE": "The activations of the table by name, each an `Activation`.",
    "kerakit.diagnose.ORDER": "Names of all findings, causes before what they cause.",
}


def public_modules(name="kerakit"):
    """Each public module's full name and the names in its `__all__`, modules below it too."""
    module = importlib.import_module(name)
    found = {name: tuple(module.__all__)}
    for child in module.__all__:
        if isinstance(getattr(module, child), types.ModuleType):
            found |= public_modules(f"{name}.{child}")
    return found


@functools.cache
def documents():
    """The document, relative to docs/ and without suffix, of each public module and name."""
    modules = public_modules()
    full_names = [f"{module}.{name}" for module, names in modules.items() for name in names]
    return {"kerakit": "api/index"} | {name: _document(name) for name in full_names}


def pages():
    """The text of each document."""
    found = documents()
    texts = {}
    for module, names in public_modules().items():
        full_names = [f"{module}.{name}" for name in names]
        # Sorted without regard to case: readers look for a name, not for its kind.
        rows = sorted(((name, found[name]) for name in full_names), key=lambda r: r[0].lower())
        texts[found[module]] = _index(module, rows)
        parts = [(name, document) for name, document in rows if document not in texts]
        texts |= {d: _page(name) for name, d in parts if not _is_module(name)}
    return texts


def write(folder=FOLDER):
    """Writes the pages that changed, so that a second build is short, and removes stale ones."""
    texts = {folder.parent / f"{document}.rst": text for document, text in pages().items()}
    for stale in set(folder.rglob("*.rst")) - set(texts):
        stale.unlink()
    for path, text in texts.items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")


def first_line(name):
    """What the index says of a name: the first line of its docstring."""
    return VALUES.get(name) or inspect.getdoc(_part(name)).partition("\n")[0]


def _part(name):
    # Not by importing the name: a function is often called as the file it stands in.
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def _is_module(name):
    return isinstance(_part(name), types.ModuleType)


def _document(name):
    # `Report` and `report` would be one file where names of files have no case.
    module, _, last = name.rpartition(".")
    namesakes = [n for n in importlib.import_module(module).__all__ if n.lower() == last.lower()]
    suffix = "-class" if len(namesakes) > 1 and last[0].isupper() else ""
    return "api/" + name.removeprefix("kerakit.").replace(".", "/") + suffix


def _title(text):
    return f"{text}\n{'=' * len(text)}\n"


def _index(module, rows):
    """A module's page: its docstring, then a row for each name, which leads to its page."""
    table = [".. list-table::", "   :class: parts", ""]
    for name, document in rows:
        table += [f"   * - :doc:`{name.rpartition('.')[2]} </{document}>`"]
        table += [f"     - {first_line(name)}"]
    tree = [".. toctree::", "   :hidden:", ""]
    tree += [f"   {name.rpartition('.')[2]} </{document}>" for name, document in rows]
    blocks = [_title(module), f".. automodule:: {module}\n", "\n".join(table), "", "\n".join(tree)]
    return "\n".join(blocks) + "\n"


def _page(name):
    module, _, last = name.rpartition(".")
    part = _part(name)
    head = f"{_title(last)}\n.. currentmodule:: {module}\n\n"
    if inspect.isclass(part):
        return f"{head}.. autoclass:: {last}\n   :members:\n"
    if callable(part):
        return f"{head}.. autofunction:: {last}\n"
    entries = "\n".join(f"   - `{entry}`" for entry in part)
    return f"{head}.. py:data:: {last}\n\n   {VALUES[name]}\n\n{entries}\n"
