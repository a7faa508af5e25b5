"""Compares what was announced with what became of it, in the tables themselves: nothing lost, twice, stuck or half done."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from junotestbed.announcer import DUPLICATE, EITHER, QUARANTINED, REGISTERED, Announced
from junotestbed.observe import DESTINATIONS, Database, committedOffsets, readTopic
from junotestbed.traffic import SOURCE, MadeFile


@dataclass
class Report:
    """Counts, and for everything that is not as it should be the names.

    :param produced: messages
    :param files: files that must be registered
    :param lost: files and messages of which nobody knows
    :param twice: files that are there more than once, in catalogue, replicas or a transfer
    :param stuck: what is still on its way though nothing comes any more
    :param halfDone: files that one table calls done and another one lacks
    :param wrong: messages with another outcome than they must have
    :param silent: messages without a status message, or with one that says something else than the tables
    """

    produced: int = 0
    files: int = 0
    registered: int = 0
    duplicates: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    statusMessages: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    halfDone: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)

    @property
    def problems(self) -> dict[str, list[str]]:
        lists = ("lost", "twice", "stuck", "halfDone", "wrong", "silent")
        return {name: getattr(self, name) for name in lists if getattr(self, name)}

    def toJSON(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    def toText(self) -> str:
        """A table, with the first names of each problem."""
        quarantined = sum(self.quarantined.values())
        rows = {"produced": self.produced, "files": self.files, "registered": self.registered, "duplicates": self.duplicates}
        rows |= {"quarantined": quarantined, "status messages": self.statusMessages}
        lines = [f"{name:16s} {number:7d}" for name, number in rows.items()]
        lines += [f"  {reason:14s} {number:7d}" for reason, number in sorted(self.quarantined.items())]
        for name in ("lost", "twice", "stuck", "halfDone", "wrong", "silent"):
            found = getattr(self, name)
            lines += [f"{name:16s} {len(found):7d}", *(f"  {line}" for line in found[:10])]
        return "\n".join(lines)


@dataclass(frozen=True)
class LedgerRow:
    state: str
    sizeBytes: int | None
    checksum: str
    position: tuple[str, int, int]


@dataclass(frozen=True)
class CatalogueRow:
    fileID: int
    sizeBytes: int
    checksum: str
    replicas: tuple[str, ...]


class Judge:
    """Reads everything once and compares.

    :param announced: all messages of the topics under judgement, with their positions
    :param groups: consumer group of each topic
    """

    def __init__(self, testbed, announced: Sequence[Announced], groups: dict[str, str]) -> None:
        self._testbed = testbed
        self._database = Database(testbed)
        self._announced = announced
        self._groups = groups
        self._files = {item.file.lfn: item.file for item in announced if item.file}

    def judge(self) -> Report:
        ledger, catalogue = self._ledger(), self._catalogue()
        quarantine, attached = self._quarantine(), self._attached()
        report = Report(produced=len(self._announced), quarantined=dict(Counter(quarantine.values())))
        wanted = {item.file.lfn: item.file for item in self._announced if item.expected in (REGISTERED, EITHER) and item.file}
        report.files = len(wanted)
        self._judgeFiles(report, wanted, ledger, catalogue, attached)
        self._judgeOthers(report, wanted, ledger, catalogue)
        self._judgeMessages(report, ledger, quarantine)
        self._judgeWaiting(report)
        self._judgeStatuses(report, ledger, quarantine)
        return report

    # ---- what the tables say

    def _directories(self) -> list[str]:
        return sorted({file.directory for file in self._files.values()})

    def _select(self, database: str, query: str, values: Iterable[object]) -> list[tuple]:
        """Rows of a query with a list of values in place of ``{}``."""
        values = list(values)
        return self._database.rows(database, query.format(", ".join(["%s"] * len(values))), *values) if values else []

    def _ledger(self) -> dict[str, LedgerRow]:
        query = (
            "SELECT d.Directory, f.FileName, f.State, f.SizeBytes, f.Checksum, f.Topic, f.KafkaPartition, f.KafkaOffset"
            " FROM Files f JOIN Directories d USING (DirectoryID) WHERE d.Directory IN ({})"
        )
        rows = self._select("RawDataDB", query, self._directories())
        return {f"{row[0]}/{row[1]}": LedgerRow(row[2], row[3], row[4], tuple(row[5:8])) for row in rows}

    def _catalogue(self) -> dict[str, list[CatalogueRow]]:
        """All entries of each LFN: the catalogue's tables take a name twice."""
        condition = "WHERE d.DirName IN ({})"
        join = "FROM FC_Files f JOIN FC_DirectoryLevelTree d USING (DirID)"
        query = f"SELECT f.FileID, s.SEName {join} JOIN FC_Replicas USING (FileID) JOIN FC_StorageElements s USING (SEID) "
        replicas = defaultdict(list)
        for fileID, se in self._select("FileCatalogDB", query + condition, self._directories()):
            replicas[fileID].append(se)
        query = f"SELECT d.DirName, f.FileName, f.FileID, f.Size, i.Checksum {join} LEFT JOIN FC_FileInfo i USING (FileID) "
        found = defaultdict(list)
        for directory, name, fileID, size, checksum in self._select("FileCatalogDB", query + condition, self._directories()):
            row = CatalogueRow(fileID, size, checksum or "", tuple(sorted(replicas[fileID])))
            found[f"{directory}/{name}"].append(row)
        return found

    def _attached(self) -> dict[str, Counter]:
        """For each LFN, how many times it is attached to a transfer of its block to each SE."""
        blocks = sorted({(file.type_name, file.block) for file in self._files.values()})
        found: dict[str, Counter] = defaultdict(Counter)
        for typeName, block in blocks:
            query = (
                "SELECT d.LFN, p.ParameterValue FROM Transformations t JOIN TransformationFiles USING (TransformationID)"
                " JOIN DataFiles d USING (FileID) JOIN AdditionalParameters p USING (TransformationID)"
                " WHERE p.ParameterName = 'TargetSE' AND t.Description LIKE %s"
            )
            for lfn, se in self._database.rows("TransformationDB", query, f"{typeName} block {block} to %"):
                found[lfn][se] += 1
        return found

    def _quarantine(self) -> dict[tuple[str, int, int], str]:
        """Reason of each quarantined message of these topics."""
        query = "SELECT Topic, KafkaPartition, KafkaOffset, Reason FROM Quarantine WHERE Topic IN ({})"
        return {row[:3]: row[3] for row in self._select("RawDataDB", query, self._groups)}

    # ---- what that means

    def _judgeFiles(
        self,
        report: Report,
        wanted: dict[str, MadeFile],
        ledger: dict[str, LedgerRow],
        catalogue: dict[str, list[CatalogueRow]],
        attached: dict[str, Counter],
    ) -> None:
        """The files that must be registered, once everywhere."""
        for lfn, file in wanted.items():
            row, entries = ledger.get(lfn), catalogue.get(lfn, [])
            if row is None:
                report.lost.append(lfn)
                continue
            if row.state != REGISTERED:
                report.stuck.append(f"{lfn} is {row.state}")
                continue
            report.registered += 1
            if (row.sizeBytes, row.checksum) != (file.size, file.checksum):
                report.wrong.append(f"{lfn}: the ledger has {row.sizeBytes} bytes, {row.checksum}")
            if len(entries) > 1:
                report.twice.append(f"{lfn} is {len(entries)} times in the catalogue")
            right = CatalogueRow(0, file.size, file.checksum, (SOURCE.se,))
            if not any(
                (e.sizeBytes, e.checksum, e.replicas) == (right.sizeBytes, right.checksum, right.replicas) for e in entries
            ):
                report.halfDone.append(f"{lfn}: the catalogue has {entries or 'nothing'}")
            times = attached.get(lfn, Counter())
            report.twice += [f"{lfn} is {number} times in transfers to {se}" for se, number in times.items() if number > 1]
            missing = sorted(set(DESTINATIONS) - set(times))
            if missing:
                report.halfDone.append(f"{lfn} is in no transfer to {', '.join(missing)}")

    def _judgeOthers(
        self,
        report: Report,
        wanted: dict[str, MadeFile],
        ledger: dict[str, LedgerRow],
        catalogue: dict[str, list[CatalogueRow]],
    ) -> None:
        """What is there though no good announcement asked for it."""
        for lfn, entries in catalogue.items():
            if any(not entry.replicas for entry in entries):
                report.halfDone.append(f"{lfn} is in the catalogue without a replica")
            if lfn not in ledger or ledger[lfn].state != REGISTERED:
                report.halfDone.append(
                    f"{lfn} is in the catalogue, in the ledger {ledger[lfn].state if lfn in ledger else 'not'}"
                )
        for lfn, row in ledger.items():
            if lfn not in wanted and row.state not in (QUARANTINED, "Waived", "Dropped"):
                report.wrong.append(f"{lfn} is {row.state}")

    def _judgeMessages(self, report: Report, ledger: dict[str, LedgerRow], quarantine: dict[tuple[str, int, int], str]) -> None:
        for item in self._announced:
            reason = quarantine.get(item.position)
            if item.expected == QUARANTINED and reason is None:
                report.lost.append(f"{item.name}, which had to be quarantined")
            elif item.expected == QUARANTINED and reason not in item.reasons:
                report.wrong.append(f"{item.name} is quarantined as {reason}, not {' or '.join(item.reasons)}")
            elif item.expected != QUARANTINED and reason is not None:
                report.wrong.append(f"{item.name} is quarantined as {reason}")
            elif item.expected == DUPLICATE:
                report.duplicates += 1
            elif item.expected == REGISTERED and item.file and item.file.lfn in ledger:
                row = ledger[item.file.lfn]
                if row.position != item.position:
                    report.wrong.append(f"{item.name} was registered by {row.position}")
        known = {item.position for item in self._announced}
        report.wrong += [f"{position} is in quarantine, but was not sent" for position in quarantine if position not in known]

    def _judgeWaiting(self, report: Report) -> None:
        for topic, group in self._groups.items():
            for partition, (committed, end) in committedOffsets(self._testbed, topic, group).items():
                if committed < end:
                    report.stuck.append(f"{topic}[{partition}]: {end - committed} messages not committed")
        if self._database.rows("RawDataDB", "SHOW TABLES LIKE 'Waiting'"):
            query = "SELECT Topic, KafkaPartition, KafkaOffset, Reason FROM Waiting WHERE Topic IN ({})"
            rows = self._select("RawDataDB", query, self._groups)
            report.stuck += [f"{topic}[{partition}]@{offset} waits: {reason}" for topic, partition, offset, reason in rows]

    def _judgeStatuses(self, report: Report, ledger: dict[str, LedgerRow], quarantine: dict[tuple[str, int, int], str]) -> None:
        """Each message has a status message, and all that it has say what the tables say."""
        said: dict[tuple[str, int, int], list[dict]] = defaultdict(list)
        for topic in self._groups:
            for message in readTopic(self._testbed, f"{topic}.status"):
                status = json.loads(message.value())
                said[status["Topic"], status["Partition"], status["Offset"]].append(status)
                report.statusMessages += 1
        if not report.statusMessages:
            return  # the receiver of this version says nothing
        for item in self._announced:
            statuses = said.get(item.position, [])
            outcomes = {(status["Status"], status.get("Reason") or None) for status in statuses}
            reason = quarantine.get(item.position)
            isFirst = item.file and item.file.lfn in ledger and ledger[item.file.lfn].position == item.position
            true = (QUARANTINED, reason) if reason else (REGISTERED if isFirst else DUPLICATE, None)
            if not statuses:
                report.silent.append(f"{item.name}: no status message")
            elif outcomes != {true}:
                report.silent.append(f"{item.name}: {sorted(map(str, outcomes))}, but it is {true}")
