"""Sphinx, with everything on disk: no intersphinx, no fonts or scripts from elsewhere."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "Habitué"
author = "The Habitué authors"
copyright = "The Habitué authors, Apache License 2.0"
release = version = version_of("habitue")

extensions = ["myst_parser", "sphinx.ext.autodoc", "told"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "decisions/template.md"]
needs_sphinx = "8.0"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "Habitué"
html_show_sphinx = False
