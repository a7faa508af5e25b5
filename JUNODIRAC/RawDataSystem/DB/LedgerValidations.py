"""Comparisons of ledger, catalogue and storage: what they need of the ledger, and what they found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Validation import Difference, Look, Validation, Verdict
from JUNODIRAC.Core.Logic.BlockComparison import DeclaredFile
from JUNODIRAC.Core.Logic.LooksDue import SiteToLookAt
from JUNODIRAC.Core.Logic.ValidateBlock import BlockFiles
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows
from JUNODIRAC.RawDataSystem.DB.LedgerBlockFiles import LedgerBlockFiles

_COLUMNS = (
    "BlockID", "SE", "Look", "Actor", "StartedTime", "EndedTime", "Verdict", "Files", "SizeBytes", "GoodFiles",
    *(f"{kind.value}Files" for kind in Difference), "Differences",
)  # fmt: skip
_COUNTED = tuple(f"{kind.value}Files" for kind in Difference)
_MAX_DONE = 1000
_SITE_SQL = (
    "SELECT t.BlockID, b.Type, b.Block, t.SE, t.State, t.ReplicatedTime, t.ValidatedTime, t.DoneTime"
    " FROM BlockTransfers t JOIN Blocks b ON b.BlockID = t.BlockID"
)


class LedgerValidations(LedgerBlockFiles):
    """Every method may raise TemporaryFailure."""

    def blockFiles(self, blockID: int) -> BlockFiles:
        """The registered files of a block, and all others that may lie in its directories."""
        columns = "d.Directory, f.FileName, f.SizeBytes, f.Checksum"
        found = self._filesOf([blockID], columns, "f.State = 'Registered'")
        # none of a follow-up block, whose files lie in its parent's
        directories = self.select("SELECT Directory FROM Directories WHERE BlockID = %s ORDER BY Directory", (blockID,))
        return BlockFiles(
            declared={f"{path}/{name}": DeclaredFile(int(size or 0), checksum) for _, path, name, size, checksum in found},
            known=frozenset(self._lateFiles([blockID])[blockID].others),
            directories=tuple(directory for (directory,) in directories),
        )

    def findSites(self, typeName: str, block: str) -> tuple[int, list[str]] | None:
        """The id of a block and the SEs to which it is copied, or None if no file of it was ever announced."""
        found = self.select("SELECT BlockID FROM Blocks WHERE Type = %s AND Block = %s", (typeName, block))
        if not found:
            return None
        sql = "SELECT SE FROM BlockTransfers WHERE BlockID = %s ORDER BY SE"
        return int(found[0][0]), [se for (se,) in self.select(sql, (found[0][0],))]

    def sitesToValidate(self) -> list[SiteToLookAt]:
        """Blocks at sites that are Replicated or Validated, those that wait longest first."""
        states = (BlockState.REPLICATED.value, BlockState.VALIDATED.value)
        sql = f"{_SITE_SQL} WHERE t.State IN (%s, %s) ORDER BY t.ReplicatedTime, t.BlockID, t.SE"
        return [_siteOf(row) for row in self.select(sql, states)]

    def doneSitesToValidate(self, typeName: str, before: datetime) -> list[SiteToLookAt]:
        """Blocks of a Type that are Done at a site since before this time, and were not looked at since with a clear answer."""
        sql = (
            f"{_SITE_SQL} WHERE t.State = %s AND b.Type = %s AND t.DoneTime < %s AND NOT EXISTS (SELECT 1 FROM Validations v"
            " WHERE v.BlockID = t.BlockID AND v.SE = t.SE AND v.StartedTime >= %s AND v.Verdict <> %s)"
            " ORDER BY t.DoneTime, t.BlockID, t.SE LIMIT %s"
        )
        args = (BlockState.DONE.value, typeName, before, before, Verdict.INCOMPLETE.value, _MAX_DONE)
        return [_siteOf(row) for row in self.select(sql, args)]

    def doneSitesWithBadReplicas(self) -> list[SiteToLookAt]:
        """Blocks that are Done at a site where a replica was found wrong when something was copied from it, and that were not
        looked at since with a clear answer."""
        sql = (
            "SELECT DISTINCT t.BlockID, b.Type, b.Block, t.SE, t.State, t.ReplicatedTime, t.ValidatedTime, t.DoneTime"
            " FROM BadReplicas r JOIN Files f ON f.FileID = r.FileID JOIN Directories d ON d.DirectoryID = f.DirectoryID"
            " LEFT JOIN LateFiles l ON l.FileID = f.FileID"
            " JOIN BlockTransfers t ON t.BlockID = COALESCE(l.BlockID, d.BlockID) AND t.SE = r.SE"
            " JOIN Blocks b ON b.BlockID = t.BlockID"
            " WHERE r.EndedTime IS NULL AND r.Detail NOT LIKE %s AND t.State = %s AND NOT EXISTS (SELECT 1 FROM Validations v"
            " WHERE v.BlockID = t.BlockID AND v.SE = t.SE AND v.StartedTime >= r.Time AND v.Verdict <> %s)"
            " ORDER BY t.BlockID, t.SE LIMIT %s"
        )
        args = (f"{rows.IN_DOUBT}%", BlockState.DONE.value, Verdict.INCOMPLETE.value, _MAX_DONE)
        return [_siteOf(row) for row in self.select(sql, args)]

    def recordValidation(self, found: Validation) -> int:
        """Keep a comparison.

        :returns: its id
        """
        differences = {
            "Names": {kind.value: list(names) for kind, names in found.names.items()},
            "Details": dict(found.details),
            "Failure": found.failure,
        }
        counts = [found.counts.get(kind, 0) for kind in Difference]
        values = (
            found.blockID, found.se, found.look.value, rows.text(found.actor, 128), found.startedTime, found.endedTime,
            found.verdict.value, found.files, found.sizeBytes, found.goodFiles, *counts, json.dumps(differences),
        )  # fmt: skip
        sql = f"INSERT INTO Validations ({', '.join(_COLUMNS)}) VALUES ({rows.placeholders(len(_COLUMNS))})"

        def work(conn: Any) -> int:
            self.execute(sql, values, conn)
            return int(self.select("SELECT LAST_INSERT_ID()", (), conn)[0][0])

        return self.inTransaction(work)

    def newestValidations(
        self, blockIDs: Sequence[int], withNames: bool = False, conclusiveOnly: bool = False
    ) -> dict[tuple[int, str], Validation]:
        """The validation that was begun last, of each of these blocks at each site, by block id and SE.

        :param withNames: also the names of the files that differ, of which there may be many thousands
        :param conclusiveOnly: as if there were no incomplete ones
        """
        verdict = f" AND Verdict <> '{Verdict.INCOMPLETE}'" if conclusiveOnly else ""
        found: dict[tuple[int, str], Validation] = {}
        wanted = ("ValidationID", *(_COLUMNS if withNames else _COLUMNS[:-1]))
        columns = ", ".join(f"v.{column}" for column in wanted)
        for chunk in rows.chunks(blockIDs):
            sql = (
                f"SELECT {columns} FROM (SELECT BlockID, SE, MAX(StartedTime) AS StartedTime FROM Validations"
                f" WHERE BlockID IN ({rows.placeholders(len(chunk))}){verdict} GROUP BY BlockID, SE) AS newest"
                " JOIN Validations v ON v.BlockID = newest.BlockID AND v.SE = newest.SE AND v.StartedTime = newest.StartedTime"
                " ORDER BY v.ValidationID"
            )
            for row in self.select(sql, chunk):
                validation = _validationOf(dict(zip(wanted, row, strict=True)))
                found[validation.blockID, validation.se] = validation
        return found

    def readValidations(self, blockID: int, se: str = "", limit: int = 100) -> list[Validation]:
        """The last validations of a block, in the order in which they ended, with names.

        :param se: empty for all sites
        """
        where, args = (" AND SE = %s", (se,)) if se else ("", ())
        sql = (
            f"SELECT ValidationID, {', '.join(_COLUMNS)} FROM Validations WHERE BlockID = %s{where}"
            " ORDER BY ValidationID DESC LIMIT %s"
        )
        found = self.select(sql, (blockID, *args, limit))
        return [_validationOf(dict(zip(("ValidationID", *_COLUMNS), row, strict=True))) for row in reversed(found)]


def _siteOf(row: Sequence[Any]) -> SiteToLookAt:
    blockID, typeName, block, se, state, *times = row
    return SiteToLookAt(blockID, typeName, block, se, BlockState(state), *(rows.utc(time) for time in times))


def _validationOf(values: dict[str, Any]) -> Validation:
    differences = json.loads(values.get("Differences") or "{}")
    return Validation(
        blockID=values["BlockID"],
        se=values["SE"],
        look=Look(values["Look"]),
        actor=values["Actor"],
        startedTime=rows.aware(values["StartedTime"]),
        endedTime=rows.aware(values["EndedTime"]),
        verdict=Verdict(values["Verdict"]),
        files=values["Files"],
        sizeBytes=values["SizeBytes"],
        goodFiles=values["GoodFiles"],
        counts={kind: values[column] for kind, column in zip(Difference, _COUNTED, strict=True) if values[column]},
        names={Difference(kind): tuple(names) for kind, names in differences.get("Names", {}).items()},
        details=differences.get("Details", {}),
        failure=differences.get("Failure", ""),
        validationID=values["ValidationID"],
    )
