"""What Sphinx would misread in kerakit's docstrings and signatures, put in its words."""

import inspect
import re

from sphinx.util.inspect import stringify_signature

# A lone letter with a point, as in "num_classes: K.", which would be the head of a list.
LONE_LETTER = re.compile(r"(\w+: )([A-Za-z]\.)$")


def prepare(app, what, name, part, options, lines):
    """Changes a docstring's lines in place."""
    lines[:] = [LONE_LETTER.sub(r"\1\\\2", line) for line in lines]
    # What a part returns, or an attribute is, is a sentence. What stands before its first colon
    # would be taken for a type, unless that is nothing.
    if what in ("attribute", "data", "property") and lines:
        lines[0] = f": {lines[0]}"
    if "Returns:" in lines[:-1]:
        first = lines.index("Returns:") + 1
        lines[first] = re.sub(r"^(\s*)", r"\1: ", lines[first])
    # A section is one whose lines are indented; those of an example are not.
    if "Example:" in lines:
        lines[lines.index("Example:")] = ".. rubric:: Example"


def signature(app, what, name, part, options, arguments, returned):
    """The arguments of a class: `__init__`'s, where Keras hides them behind its `__new__`."""
    if what != "class" or arguments != "(*args, **kwargs)":
        return None
    own = inspect.signature(part.__init__)
    parameters = list(own.parameters.values())[1:]
    return stringify_signature(own.replace(parameters=parameters)), returned
