"""Adding files to the file catalogue whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from DIRAC import S_ERROR, S_OK, gLogger
from DIRAC.DataManagementSystem.DB.FileCatalogComponents.FileManager.FileManager import FileManager

_ROWS_PER_STATEMENT = 1000


class WholeAddFile(FileManager):
    """Replaces what in DIRAC's ``addFile`` is not safe against a service or a database that dies in the middle.

    DIRAC writes the tables of files, their checksums, their replicas and the sums of the directories one after the other,
    each for itself. A death in between leaves files without checksum (on which every later ``addFile`` fails with a
    KeyError), without replica, or sums that are wrong for ever. Here all that one call inserts is one transaction, and files
    without checksum that were left behind before are cleared away.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._adding = threading.local()  # the service's threads share the manager; each adds on a connection of its own

    def _addFiles(self, lfns: dict[str, Any], credDict: dict[str, Any], connection: Any = False) -> dict[str, Any]:
        connection = self._getConnection(connection)
        adding = self._adding
        adding.connection, adding.isOpen, adding.failure, adding.usages = connection, False, "", []
        try:
            result: dict[str, Any] = super()._addFiles(lfns, credDict, connection=connection)
            if not adding.isOpen:
                return result
            self._addUsages(connection)
            isWhole = result["OK"] and not adding.failure
            adding.isOpen = False
            ended = self.db._update("COMMIT" if isWhole else "ROLLBACK", conn=connection)
            if isWhole and not ended["OK"]:
                return ended
            return S_ERROR(adding.failure) if adding.failure else result
        except BaseException:
            if adding.isOpen:
                self.db._update("ROLLBACK", conn=connection, debug=False)
            raise
        finally:
            adding.connection, adding.isOpen = None, False

    def _insertFiles(self, lfns: dict[str, Any], uid: int, gid: int, connection: Any = False) -> dict[str, Any]:
        # Not earlier: the directories stay, because DIRAC remembers those that it made.
        if self._isAdding(connection):
            started: dict[str, Any] = self.db._update("START TRANSACTION", conn=connection)
            if not started["OK"]:
                return started
            self._adding.isOpen = True
        return self._noted(super()._insertFiles(lfns, uid, gid, connection=connection))

    def _insertReplicas(self, lfns: dict[str, Any], master: bool = False, connection: Any = False) -> dict[str, Any]:
        return self._noted(super()._insertReplicas(lfns, master=master, connection=connection))

    def _populateFileAncestors(self, lfns: dict[str, Any], connection: Any = False) -> dict[str, Any]:
        return self._noted(super()._populateFileAncestors(lfns, connection=connection))

    def _updateDirectoryUsage(self, directorySEDict: dict[int, Any], change: str, connection: Any = False) -> dict[str, Any]:
        if not getattr(self._adding, "isOpen", False):
            result: dict[str, Any] = super()._updateDirectoryUsage(directorySEDict, change, connection=connection)
            return result
        self._adding.usages.append((directorySEDict, change))
        return S_OK()

    def _addUsages(self, connection: Any) -> None:
        """The sums of the directories: last, because all callers change those of the upper directories, and wait for each other.

        DIRAC only logs a failure of this; a deadlock, for example, has undone the whole transaction by then.
        """
        for directorySEDict, change in self._adding.usages:
            if not self._adding.failure:
                self._noted(super()._updateDirectoryUsage(directorySEDict, change, connection=connection))

    def _getExistingMetadata(self, lfns: Sequence[str], connection: Any = False) -> dict[str, Any]:
        """Without the files that have no checksum: rests of an ``addFile`` that died, which are removed."""
        connection = self._getConnection(connection)
        result: dict[str, Any] = super()._getExistingMetadata(lfns, connection=connection)
        if not result["OK"]:
            return result
        existing, _ = result["Value"]
        rests = [lfn for lfn, metadata in existing.items() if "FileID" not in metadata]
        if rests:
            removed = self._removeRests(rests, connection)
            if not removed["OK"]:
                return removed
            for lfn in rests:
                existing.pop(lfn)
        return result

    # ---- details

    def _isAdding(self, connection: Any) -> bool:
        current = getattr(self._adding, "connection", None)
        return current is not None and current is connection

    def _noted(self, result: dict[str, Any]) -> dict[str, Any]:
        """Remember why the transaction must not be committed, if one is open."""
        if getattr(self._adding, "isOpen", False) and not self._adding.failure:
            if not result["OK"]:
                self._adding.failure = result["Message"]
            elif isinstance(result.get("Value"), Mapping) and result["Value"].get("Failed"):
                self._adding.failure = next(iter(result["Value"]["Failed"].values()))
        return result

    def _removeRests(self, lfns: Sequence[str], connection: Any) -> dict[str, Any]:
        # asked for the id alone, DIRAC does not need the table in which these files have no row
        found: dict[str, Any] = self._findFiles(list(lfns), ["FileID"], connection=connection)
        if not found["OK"]:
            return found
        fileIDs = [metadata["FileID"] for metadata in found["Value"]["Successful"].values()]
        gLogger.warn("Removing files without checksum, rests of a registration that died", f"{len(fileIDs)}, e.g. {min(lfns)}")
        result: dict[str, Any] = found
        for start in range(0, len(fileIDs), _ROWS_PER_STATEMENT):
            result = self._deleteFiles(fileIDs[start : start + _ROWS_PER_STATEMENT], connection=connection)
            if not result["OK"]:
                return result
        return result
