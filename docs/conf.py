"""How Sphinx builds the documentation: `make docs`, into docs/_build/html."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import kerakit
from docs import api_pages, docstrings, links

project = "kerakit"
author = copyright = "the kerakit authors"
version = release = kerakit.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
# Every reference to something of kerakit's must lead there; other packages' pages are elsewhere.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!kerakit\.).*")]

# Pages in Markdown are read on GitHub too: its anchors, and no syntax but its own.
myst_heading_anchors = 3
smartquotes = False  # two dashes begin a flag

# Docstrings set code in single backticks. Keras's own are written for another builder.
default_role = "literal"
autodoc_inherit_docstrings = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_custom_sections = [("Call arguments", "params_style"), "Reference"]
napoleon_numpy_docstring = False
napoleon_use_ivar = True
maximum_signature_line_length = 80
add_module_names = False
python_use_unqualified_type_names = True

highlight_language = "none"  # commands and their output; code says that it is Python
html_theme = "furo"
html_title = f"kerakit {version}"
html_static_path = ["static"]
html_css_files = ["kerakit.css"]
html_copy_source = False
html_show_sphinx = False


def shorten_sidebar(app, document, template, context, doctree):
    """Of the parts the sidebar has the open module's: all of them would be most of each page."""
    toctree = context["toctree"]
    context["toctree"] = lambda **options: toctree(**options | {"collapse": True})


def setup(app):
    api_pages.write()
    # Before napoleon, and before the theme.
    app.connect("autodoc-process-docstring", docstrings.prepare, priority=400)
    app.connect("autodoc-process-signature", docstrings.signature)
    app.connect("doctree-resolved", links.lead_to_parts)
    app.connect("html-page-context", shorten_sidebar, priority=400)
