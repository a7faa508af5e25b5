"""Where the descriptions of chains are."""

from __future__ import annotations

import sys
from pathlib import Path

import DIRAC

from JUNODIRAC.Core.Domain.ChainItem import similar
from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError

_SUFFIXES = (".yaml", ".yml")


def folders() -> list[Path]:
    """Where chains are looked for by name: those of the installation first, then those that come with the package."""
    return [
        Path(DIRAC.rootPath) / "etc/chains",
        Path(__file__).resolve().parents[4] / "etc/chains",
        Path(sys.prefix) / "share/junodirac/chains",
    ]


def findFile(name: str) -> Path:
    """The file that a person means: a path, or the name of a chain in one of the folders.

    :raises CommandError: if there is none
    """
    path = Path(name)
    if path.is_file():
        return path
    if "/" in name or path.suffix in _SUFFIXES:
        raise CommandError(f"there is no file {name}")
    known: dict[str, Path] = {}
    for folder in folders():
        for suffix in _SUFFIXES:
            known |= {each.stem: each for each in sorted(folder.glob(f"*{suffix}")) if each.stem not in known}
    if name in known:
        return known[name]
    raise CommandError(f"there is no chain {name}, and no file of this name; {similar(name, known)}")


def readText(path: Path) -> str:
    """The text of a file.

    :raises CommandError: if it cannot be read
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
