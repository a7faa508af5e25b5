"""JUNODIRAC: raw data management of the JUNO experiment on DIRAC."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("JUNODIRAC")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0.0.0"


def extension_metadata() -> dict:
    """What DIRAC reads through the entry point group ``dirac`` to find this extension.

    :returns: the keys that ``DIRAC.Core.Utilities.Extensions`` knows; a priority above WebAppDIRAC's 10 makes ours win
    """
    return {"primary_extension": True, "priority": 100, "setups": {}}
