"""Sphinx configuration. Needs Sphinx alone: nothing is imported from DIRAC, nothing is fetched."""

from configparser import ConfigParser
from pathlib import Path

_setup = ConfigParser()
_setup.read(Path(__file__).resolve().parents[1] / "setup.cfg")

project = "JUNODIRAC"
author = "the JUNODIRAC authors"
project_copyright = "the JUNODIRAC authors, GPL-3.0-only"
release = version = _setup["metadata"]["version"]

exclude_patterns = ["_build"]
highlight_language = "none"
nitpicky = True
html_theme = "alabaster"
html_theme_options = {"description": "Raw data management of JUNO on DIRAC", "page_width": "1100px", "fixed_sidebar": True}
