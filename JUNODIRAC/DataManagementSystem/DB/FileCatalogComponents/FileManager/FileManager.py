"""The file catalogue's classic file manager, which writes many rows in a statement and adds files whole or not at all.

The catalogue finds it through DIRAC's ObjectLoader, which looks into extensions first, where its option ``FileManager`` is
``FileManager``, DIRAC's default.
"""

from __future__ import annotations

from typing import Any

from JUNODIRAC.DataManagementSystem.DB.MultiRowInsert import MultiRowInsert
from JUNODIRAC.DataManagementSystem.DB.WholeAddFile import WholeAddFile


class _Delegate:
    """Hands everything on to another object."""

    def __init__(self, other: Any) -> None:
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._other, name)

    def _updatemany(self, cmd: str, data: Any, **options: Any) -> Any:
        return self._other._updatemany(cmd, data, **options)


class _Database(MultiRowInsert, _Delegate):
    """The catalogue's database, but for the one method."""


class FileManager(WholeAddFile):
    """DIRAC's file manager on a database that joins rows; it adds files whole or not at all."""

    def __init__(self, database: Any = None) -> None:
        super().__init__()
        self.setDatabase(database)

    def setDatabase(self, database: Any) -> None:
        """Take this database from now on."""
        super().setDatabase(None if database is None else _Database(database))
