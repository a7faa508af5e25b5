"""JUNODIRAC: raw data management of the JUNO experiment on DIRAC."""

from __future__ import annotations

from importlib import metadata

try:
    __version__ = metadata.version("JUNODIRAC")
except metadata.PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0.0.0"

# the name under which DIRAC's job wrapper looks for it, to send it with each job's parameters
version = __version__


def extension_metadata() -> dict:
    """What DIRAC reads through the entry point group ``dirac`` to find this extension.

    :returns: the keys that ``DIRAC.Core.Utilities.Extensions`` knows; a priority above WebAppDIRAC's 10 makes ours win
    """
    return {"primary_extension": True, "priority": 100, "setups": {}}
