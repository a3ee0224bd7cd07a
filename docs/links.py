"""Code in the text that is the name of a part leads to the part's page."""

import re

from docutils import nodes

from docs import api_pages

# A full name, with or without a call's arguments.
FULL_NAME = re.compile(r"(kerakit(?:\.\w+)+)(?:\(.*\))?", re.DOTALL)


def lead_to_parts(app, doctree, document):
    """Wraps such code into links, in a document about to be written."""
    for code in list(doctree.findall(nodes.literal)):
        target = target_of(code.astext(), document)
        if target and not isinstance(code.parent, nodes.reference | nodes.title):
            uri = app.builder.get_relative_uri(document, target)
            code.replace_self(nodes.reference("", "", code.deepcopy(), refuri=uri, internal=True))


def target_of(text, document):
    """The document of the part that a piece of code names, None if it names none.

    Args:
        text: The code. In the documents of a module its classes may go by their last name.
        document: Where it stands; it does not lead to itself.
    """
    documents = api_pages.documents()
    names = [match[1]] if (match := FULL_NAME.fullmatch(text)) else []
    if document.startswith("api/") and text[:1].isupper():
        path = document.split("/")[1:]
        names += [".".join(["kerakit", *module, text]) for module in (path, path[:-1])]
    found = (documents[name] for name in names if name in documents)
    return next((target for target in found if target != document), None)
