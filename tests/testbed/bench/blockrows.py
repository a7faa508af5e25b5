"""Blocks that nobody announced: rows in all databases, as they would be in the middle of a campaign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from junotestbed.settings import TestbedError
from junotestbed.testbed import Testbed

from bench.blockkinds import FILES_PER_TASK, WAITING_FILES, BlockRows
from bench.blockremoval import ROOT, TYPE_NAME, removeAll
from bench.report import say
from bench.workload import DESTINATIONS, SIZE_BYTES
from bench.yardsticks import connection
from JUNODIRAC.RawDataSystem.DB.LedgerRows import chunks

# no time of the plugin is over while the benchmark runs
_NEVER_SECONDS = "100000000"


class BlockWorld:
    """Makes blocks, and changes some of their files.

    :param cursor: as the account of DIRAC
    """

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._root = f"{ROOT}/{uuid4().hex[:8]}"
        self._storages: dict[str, int] = {}
        self.blocks: list[BlockRows] = []

    def add(self, blocks: Sequence[BlockRows]) -> None:
        """Make blocks with all that belongs to them."""
        self._makeDirectories(blocks)
        for block in blocks:
            self._addBlock(block)
            self._addTransformations(block)
            self._addFiles(block, 0, block.processed, block.assigned, block.waiting)
            self._countUsage(block)
            self._cursor.connection.commit()
        self.blocks += blocks
        say(f"{len(self.blocks)} blocks with {sum(block.files for block in self.blocks)} files")

    def addFiles(self, block: BlockRows, count: int) -> None:
        """More files that were registered just now."""
        self._addFiles(block, block.files, 0, 0, count)
        block.waiting += count
        self._countUsage(block)
        self._do("UPDATE RawDataDB.Directories SET ActiveTime = UTC_TIMESTAMP(3) WHERE DirectoryID = %s", block.directoryID)
        self._cursor.connection.commit()

    def endTasks(self, block: BlockRows, count: int) -> None:
        """The requests of some tasks to the first site are done, and their files are there."""
        se = DESTINATIONS[0]
        transformationID = block.transformations[se]
        columns = "TaskID, ExternalID FROM TransformationDB.TransformationTasks"
        scheduled = f"SELECT {columns} WHERE TransformationID = %s AND ExternalStatus = 'Scheduled' ORDER BY TaskID LIMIT %s"
        for taskID, requestID in self._rows(scheduled, transformationID, count):
            self._do("UPDATE ReqDB.Request SET Status = 'Done' WHERE RequestID = %s", int(requestID))
            self._do(
                "INSERT INTO ReqDB.Operation (TargetSE, Type, `Order`, Status, CreationTime, LastUpdate, SubmitTime, RequestID)"
                " VALUES (%s, 'ReplicateAndRegister', 0, 'Done', UTC_TIMESTAMP(), UTC_TIMESTAMP(), UTC_TIMESTAMP(), %s)",
                se,
                int(requestID),
            )
            files = (
                "FROM TransformationDB.TransformationFiles t JOIN TransformationDB.DataFiles d ON d.FileID = t.FileID"
                " WHERE t.TransformationID = %s AND t.TaskID = %s"
            )
            self._do(
                f"INSERT INTO ReqDB.File (OperationID, Status, LFN) SELECT {self._cursor.lastrowid}, 'Done', d.LFN {files}",
                transformationID,
                taskID,
            )
            self._do(
                "INSERT INTO FileCatalogDB.FC_Replicas (FileID, SEID, Status)"
                " SELECT f.FileID, %s, 1 FROM FileCatalogDB.FC_Files f"
                f" WHERE f.DirID = %s AND f.FileName IN (SELECT SUBSTRING_INDEX(d.LFN, '/', -1) {files})",
                self._storage(se),
                block.catalogueID,
                transformationID,
                taskID,
            )
        self._countUsage(block)
        self._cursor.connection.commit()

    def checkChanges(self, block: BlockRows, files: int, tasks: int) -> None:
        """A cycle that did nothing is none.

        :raises TestbedError: if the files of the tasks that ended are not Processed, or the others are in no task
        """
        counts = "SELECT COUNT(*) FROM TransformationDB.TransformationFiles WHERE TransformationID = %s AND Status = %s"
        number = block.transformations[DESTINATIONS[0]]
        ((processed,),) = self._rows(counts, number, "Processed")
        ((unused,),) = self._rows(counts, number, "Unused")
        block.ended += tasks * FILES_PER_TASK
        if processed != block.processed + block.ended or unused > WAITING_FILES + files % FILES_PER_TASK:
            raise TestbedError(f"the agents did not do their work: {processed} files Processed, {unused} Unused")

    def hideNewTasks(self) -> None:
        """Give tasks that were made meanwhile a request that is under way, so that nobody submits them."""
        ids = tuple(number for block in self.blocks for number in block.transformations.values())
        self._do(
            "UPDATE TransformationDB.TransformationTasks t JOIN (SELECT MAX(ExternalID + 0) AS RequestID"
            " FROM TransformationDB.TransformationTasks WHERE ExternalStatus = 'Scheduled' AND TransformationID IN %s) s"
            " SET t.ExternalStatus = 'Scheduled', t.ExternalID = s.RequestID"
            " WHERE t.ExternalStatus = 'Created' AND t.TransformationID IN %s",
            ids,
            ids,
        )
        self._cursor.connection.commit()

    # ---- steps

    def _makeDirectories(self, blocks: Sequence[BlockRows]) -> None:
        from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient

        client = FileCatalogClient("DataManagement/FileCatalog")
        for part in chunks(blocks, 200):
            answer = client.createDirectory({self._directory(block): True for block in part})
            if not answer["OK"] or answer["Value"]["Failed"]:
                raise TestbedError(f"the catalogue made no directories: {answer}")
        found = dict(
            self._rows("SELECT DirName, DirID FROM FileCatalogDB.FC_DirectoryLevelTree WHERE DirName LIKE %s", self._root + "/%")
        )
        for block in blocks:
            block.catalogueID = found[self._directory(block)]
            self._do("INSERT INTO FileCatalogDB.FC_Meta_Block (DirID, Value) VALUES (%s, %s)", block.catalogueID, block.name)
            self._do("INSERT INTO FileCatalogDB.FC_Meta_Type (DirID, Value) VALUES (%s, %s)", block.catalogueID, TYPE_NAME)

    def _addBlock(self, block: BlockRows) -> None:
        now = "UTC_TIMESTAMP(3)"
        closed = "NULL" if block.state == "Open" else now
        validated = now if block.state == "Validated" else "NULL"
        self._do(
            "INSERT INTO RawDataDB.Blocks (Type, Block, Directory, State, CreatedTime, OpenedTime, ClosedTime, ReplicatedTime,"
            " ValidatedTime, RegisteredFiles, RegisteredBytes, CountedTime)"
            f" VALUES (%s, %s, %s, %s, {now}, {now}, {closed}, {validated}, {validated}, %s, %s, {now})",
            *(TYPE_NAME, block.name, self._directory(block), block.state, block.files, block.files * SIZE_BYTES),
        )
        block.blockID = self._cursor.lastrowid
        self._do(
            f"INSERT INTO RawDataDB.Directories (BlockID, Directory, CreatedTime, ActiveTime) VALUES (%s, %s, {now}, {now})",
            block.blockID,
            self._directory(block),
        )
        block.directoryID = self._cursor.lastrowid

    def _addTransformations(self, block: BlockRows) -> None:
        now, closed = "UTC_TIMESTAMP(3)", "NULL" if block.state == "Open" else "UTC_TIMESTAMP(3)"
        validated = "UTC_TIMESTAMP(3)" if block.state == "Validated" else "NULL"
        for se in DESTINATIONS:
            self._do(
                "INSERT INTO TransformationDB.Transformations (TransformationName, Description, LongDescription, CreationDate,"
                " LastUpdate, Author, AuthorGroup, Type, Plugin, AgentType, Status, FileMask, TransformationGroup, GroupSize,"
                " Body) VALUES (%s, 'a block of the benchmark', '', UTC_TIMESTAMP(), UTC_TIMESTAMP(), 'prod', 'juno_prod',"
                " 'Replication', 'BlockTransfer', 'Automatic', 'Active', '', 'Bench', %s, '')",
                f"{TYPE_NAME}-{block.name}-{se}",
                FILES_PER_TASK,
            )
            number = block.transformations[se] = self._cursor.lastrowid
            parameters = {"Block": block.name, "DataType": TYPE_NAME, "TargetSE": se}
            parameters |= dict.fromkeys(("MaxWaitSeconds", "SettleSeconds"), _NEVER_SECONDS)
            self._insert(
                "TransformationDB.AdditionalParameters (TransformationID, ParameterName, ParameterValue)",
                [(number, name, value) for name, value in parameters.items()],
            )
            there = block.processed
            self._do(
                "INSERT INTO RawDataDB.BlockTransfers (BlockID, SE, TransformationID, CreatedTime, State, ClosedTime,"
                " ReplicatedTime, ValidatedTime, DoneFiles, DoneBytes, ProgressTime)"
                f" VALUES (%s, %s, %s, {now}, %s, {closed}, {validated}, {validated}, %s, %s, {now})",
                *(block.blockID, se, number, block.state, there, there * SIZE_BYTES),
            )
            if block.state == "Validated":
                self._addValidation(block, se)

    def _addValidation(self, block: BlockRows, se: str) -> None:
        self._do(
            "INSERT INTO RawDataDB.Validations (BlockID, SE, Look, Actor, StartedTime, EndedTime, Verdict, Files, SizeBytes,"
            " GoodFiles, MissingFiles, ExtraFiles, WrongSizeFiles, WrongChecksumFiles, UncataloguedFiles, UnansweredFiles,"
            " Differences) VALUES (%s, %s, 'First', 'BlockValidationAgent', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), 'Good', %s, %s,"
            " %s, 0, 0, 0, 0, 0, 0, '{}')",
            *(block.blockID, se, block.files, block.files * SIZE_BYTES, block.files),
        )

    def _addFiles(self, block: BlockRows, first: int, processed: int, assigned: int, waiting: int) -> None:
        names = [f"RTRaw.12345.PHYSICS.GLOBAL_TRIGGER.BENCH.{block.name}120000.{first + n:06d}.rtraw"
                 for n in range(processed + assigned + waiting)]  # fmt: skip
        self._insert(
            "RawDataDB.Files (DirectoryID, FileName, State, SizeBytes, Checksum, RunNumber, FileSequence, Topic, KafkaPartition,"
            " KafkaOffset, AnnouncedTime, RegisteredTime)",
            [
                (block.directoryID, name, "Registered", SIZE_BYTES, "1a2b3c4d", 12345, n, "juno.bench", 0, n)
                for n, name in enumerate(names)
            ],
            "UTC_TIMESTAMP(3), UTC_TIMESTAMP(3)",
        )
        fileIDs = self._insert(
            "FileCatalogDB.FC_Files (DirID, Size, UID, GID, Status, FileName)",
            [(block.catalogueID, SIZE_BYTES, 1, 1, 1, name) for name in names],
        )
        self._insert(
            "FileCatalogDB.FC_FileInfo (FileID, GUID, Checksum, ChecksumType, Mode, CreationDate, ModificationDate)",
            [(fileID, str(uuid4()), "1a2b3c4d", "Adler32", 509) for fileID in fileIDs],
            "UTC_TIMESTAMP(), UTC_TIMESTAMP()",
        )
        there = {"IHEP-JUNOEOS": fileIDs} | dict.fromkeys(DESTINATIONS, fileIDs[:processed])
        for se, files in there.items():
            self._insert("FileCatalogDB.FC_Replicas (FileID, SEID, Status)", [(each, self._storage(se), 1) for each in files])
        dataIDs = self._insert(
            "TransformationDB.DataFiles (LFN, Status)", [(f"{self._directory(block)}/{name}", "New") for name in names]
        )
        for number in block.transformations.values():
            self._addTransfers(number, dataIDs, processed, assigned)

    def _addTransfers(self, transformationID: int, dataIDs: Sequence[int], processed: int, assigned: int) -> None:
        """Tasks first: their numbers are given by a trigger, in the order of the rows."""
        done, running = -(-processed // FILES_PER_TASK), -(-assigned // FILES_PER_TASK)
        requestIDs = self._insert(
            "ReqDB.Request (RequestName, Owner, OwnerGroup, Status, CreationTime, SubmitTime, LastUpdate, NotBefore)",
            [
                (f"{transformationID:08d}_{task:08d}", "prod", "juno_prod", "Scheduled")
                for task in range(done + 1, done + running + 1)
            ],
            "UTC_TIMESTAMP(), UTC_TIMESTAMP(), UTC_TIMESTAMP(), UTC_TIMESTAMP() + INTERVAL 1 DAY",
        )
        tasks = [("Done", "0")] * done + [("Scheduled", str(requestID)) for requestID in requestIDs]
        self._insert(
            "TransformationDB.TransformationTasks (TransformationID, ExternalStatus, ExternalID, CreationTime, LastUpdateTime)",
            [(transformationID, *task) for task in tasks],
            "UTC_TIMESTAMP(), UTC_TIMESTAMP()",
        )
        files = [(n // FILES_PER_TASK + 1, "Processed") for n in range(processed)]
        files += [(done + n // FILES_PER_TASK + 1, "Assigned") for n in range(assigned)]
        files += [(0, "Unused")] * (len(dataIDs) - len(files))
        self._insert(
            "TransformationDB.TransformationFiles (TransformationID, FileID, TaskID, Status, LastUpdate, InsertedTime)",
            [(transformationID, dataID, *file) for dataID, file in zip(dataIDs, files, strict=True)],
            "UTC_TIMESTAMP(), UTC_TIMESTAMP()",
        )

    def _countUsage(self, block: BlockRows) -> None:
        """The catalogue's counters of a directory, by storage; 0 stands for the files themselves."""
        self._do("DELETE FROM FileCatalogDB.FC_DirectoryUsage WHERE DirID = %s", block.catalogueID)
        self._do(
            "INSERT INTO FileCatalogDB.FC_DirectoryUsage (DirID, SEID, SESize, SEFiles, LastUpdate)"
            " SELECT DirID, 0, SUM(Size), COUNT(*), UTC_TIMESTAMP() FROM FileCatalogDB.FC_Files WHERE DirID = %s GROUP BY DirID"
            " UNION ALL SELECT f.DirID, r.SEID, SUM(f.Size), COUNT(*), UTC_TIMESTAMP() FROM FileCatalogDB.FC_Files f"
            " JOIN FileCatalogDB.FC_Replicas r ON r.FileID = f.FileID WHERE f.DirID = %s GROUP BY f.DirID, r.SEID",
            block.catalogueID,
            block.catalogueID,
        )

    # ---- statements

    def _directory(self, block: BlockRows) -> str:
        return f"{self._root}/{block.name}"

    def _storage(self, se: str) -> int:
        if not self._storages:
            self._storages = dict(self._rows("SELECT SEName, SEID FROM FileCatalogDB.FC_StorageElements"))
            if not set(DESTINATIONS) <= set(self._storages):
                raise TestbedError("the catalogue does not know the storages yet: run scripts/testbed demo once")
        return self._storages[se]

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        self._cursor.execute(sql, values)
        return list(self._cursor.fetchall())

    def _do(self, sql: str, *values: object) -> None:
        self._cursor.execute(sql, values)

    def _insert(self, into: str, rows: Sequence[tuple[object, ...]], more: str = "") -> list[int]:
        """Many rows.

        :param more: SQL of the last columns, the same for all
        :returns: the ids that they got, where the table gives any
        """
        ids: list[int] = []
        for part in chunks(rows):
            row = f"({', '.join(['%s'] * len(part[0]) + ([more] if more else []))})"
            self._do(f"INSERT INTO {into} VALUES {', '.join([row] * len(part))}", *[value for each in part for value in each])
            ids += range(self._cursor.lastrowid, self._cursor.lastrowid + len(part))
        return ids


@contextmanager
def blockWorld(testbed: Testbed) -> Iterator[BlockWorld]:
    """An empty world, whose rows are deleted at the end, and those that a run left that was killed before that."""
    with connection(testbed) as cursor:
        removeAll(cursor)
        try:
            yield BlockWorld(cursor)
        finally:
            cursor.connection.rollback()
            removeAll(cursor)
            say("the blocks are removed")
