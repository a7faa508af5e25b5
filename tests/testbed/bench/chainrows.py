"""A chain over blocks that nobody announced: started as ever, with rows of what went through it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from junotestbed.settings import TestbedError
from junotestbed.testbed import Testbed

from bench.blockkinds import BlockRows
from bench.blockremoval import ROOT, TYPE_NAME, removeAll
from bench.blockrows import BlockWorld
from bench.chainremoval import removeChains
from bench.report import say
from bench.yardsticks import connection

# one step, without gates: what is measured are its tasks
_CHAIN = """
name: {name}
version: {version}
description: jobs of the benchmark, which nobody runs
steps:
  - name: rawrec
    kind: process
    executable: juno-rawrec
    cores: 8
    cpu-time: 8 h
    input: {{type: {name}}}
    output:
      type: ESD
      directory: {root}/esd/{{Chain}}-{{Version}}-v{{OutputVersion}}/{{Step}}/{{Block}}
    sites: [DIRAC.CNAF.it, DIRAC.JINR.ru]
"""


def fullBlock(number: int, files: int) -> BlockRows:
    """A block that is at all its sites."""
    return BlockRows(number, "Validated", files, 0, 0)


class ChainWorld(BlockWorld):
    """Blocks, and one chain over them. ``transformationID`` is that of its step."""

    chainID = 0
    transformationID = 0
    _text = ""

    def start(self, blocks: Sequence[BlockRows]) -> None:
        """Start the chain, as the service does."""
        from DIRAC.ProductionSystem.Client.ProductionClient import ProductionClient
        from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        from JUNODIRAC.Core.Domain.ChainRecords import ChainScope
        from JUNODIRAC.ProductionSystem.Client.ChainProductions import ChainProductions
        from JUNODIRAC.ProductionSystem.Client.ChainStarter import ChainStarter
        from JUNODIRAC.ProductionSystem.Client.JobBody import jobBody
        from JUNODIRAC.ProductionSystem.DB.ChainBook import NewChain
        from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger
        from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import DFCCatalogue, registrationURLs

        version = uuid4().hex[:8]
        text = self._text = _CHAIN.format(name=TYPE_NAME, version=version, root=ROOT)
        scope = ChainScope(blocks=tuple(block.name for block in blocks))
        ledger = ChainLedger()
        new = NewChain(TYPE_NAME, version, TYPE_NAME, text, scope, "bench")
        chain = ledger.addChain(new, [block.blockID for block in blocks], datetime.now(UTC))
        catalogue = DFCCatalogue(FileCatalogClient("DataManagement/FileCatalog"), registrationURLs("juno"))
        productions = ChainProductions(ProductionClient(), TransformationClient(), catalogue)
        ChainStarter(ledger, productions, jobBody).complete(chain, "bench")
        self.chainID, self.transformationID = chain.chainID, ledger.chainSteps(chain.chainID)[0].transformationID
        say(f"chain {chain.production} over {len(blocks)} blocks")

    def feed(self, block: BlockRows, first: int, count: int) -> None:
        """Give some of a block's files to the chain, with the rows that ChainAgent makes."""
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        self._give(block, first, count)
        lfns = [lfn for _, lfn in self._dataFiles(block, first, count)]
        for part in range(0, len(lfns), 5000):
            answer = TransformationClient().addFilesToTransformations([self.transformationID], lfns[part : part + 5000])
            if not answer["OK"] or answer["Value"]["Failed"]:
                raise TestbedError(f"files were not given to the chain: {answer}")

    def setRegistered(self, block: BlockRows, first: int, count: int, isRegistered: bool) -> None:
        """Some of a block's files are announced only, or have been registered just now."""
        self._do(
            "UPDATE RawDataDB.Files f JOIN"
            " (SELECT FileID FROM RawDataDB.Files WHERE DirectoryID = %s ORDER BY FileID LIMIT %s, %s) w ON w.FileID = f.FileID"
            " SET f.State = %s, f.RegisteredTime = IF(%s, UTC_TIMESTAMP(3), NULL)",
            *(block.directoryID, first, count, "Registered" if isRegistered else "Announced", isRegistered),
        )
        self._do(
            "UPDATE RawDataDB.Blocks SET RegisteredFiles = RegisteredFiles + %s WHERE BlockID = %s",
            count if isRegistered else -count,
            block.blockID,
        )
        self._cursor.connection.commit()

    def passThrough(self, block: BlockRows) -> None:
        """All files of a block went through the chain long ago."""
        self._give(block, 0, block.files)
        now, number, chain = "UTC_TIMESTAMP()", self.transformationID, self.chainID
        files = self._dataFiles(block, 0, block.files)
        ((last,),) = self._rows(
            "SELECT COALESCE(MAX(TaskID), 0) FROM TransformationDB.TransformationTasks WHERE TransformationID = %s", number
        )
        self._insert(
            "TransformationDB.TransformationTasks (TransformationID, ExternalStatus, ExternalID, TargetSE, CreationTime,"
            " LastUpdateTime)",
            [(number, "Done", "0", "CNAF-STORM")] * len(files),
            f"{now}, {now}",
        )
        self._insert(
            "TransformationDB.TransformationFiles (TransformationID, FileID, TaskID, Status, LastUpdate, InsertedTime)",
            [(number, fileID, task, "Processed") for task, (fileID, _) in enumerate(files, last + 1)],
            f"{now}, {now}",
        )
        inputs = [(number, task, lfn) for task, (_, lfn) in enumerate(files, last + 1)]
        self._insert("TransformationDB.TaskInputs (TransformationID, TaskID, InputVector)", inputs)
        output = f"CONCAT('{ROOT}/esd/', f.FileID)"
        self._do(
            "INSERT INTO RawDataDB.Products (ChainID, StepNumber, BlockID, AttemptID, LFN, GUID, SE, SizeBytes, Checksum, Events,"
            " Stream, FirstRun, LastRun, FirstSequence, LastSequence, State, CommittedTime, RegisteredTime)"
            f" SELECT %s, 1, %s, 0, {output}, UUID(), 'CNAF-STORM', 1000, '1a2b3c4d', 10, 'PHYSICS.GLOBAL_TRIGGER', f.RunNumber,"
            " f.RunNumber, f.FileSequence, f.FileSequence, 'Registered', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3)"
            " FROM RawDataDB.Files f WHERE f.DirectoryID = %s",
            *(chain, block.blockID, block.directoryID),
        )
        self._do(
            "INSERT INTO RawDataDB.Derivations (ChainID, StepNumber, ParentID, ProductID, Position, Events)"
            f" SELECT %s, 1, f.FileID, p.ProductID, 0, 10 FROM RawDataDB.Files f JOIN RawDataDB.Products p ON p.LFN = {output}"
            " WHERE f.DirectoryID = %s",
            *(chain, block.directoryID),
        )
        self._end(block)
        self._cursor.connection.commit()

    def addStock(self, block: BlockRows, name: str) -> int:
        """A transformation with DIRAC's own plugin, and jobs like the chain's, for the files of a block."""
        from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

        from JUNODIRAC.Core.Domain.ChainTransformations import TYPES
        from JUNODIRAC.ProductionSystem.Client.ChainReader import readChain
        from JUNODIRAC.ProductionSystem.Client.JobBody import jobBody

        client, chain = TransformationClient(), readChain(self._text)
        step = chain.steps[0]
        arguments = (name, "files of the benchmark", "", TYPES[step.kind], "Standard", "Automatic", "")
        made = client.addTransformation(*arguments, groupSize=1, body=jobBody(chain, step), addFiles=False)
        if not made["OK"]:
            raise TestbedError(f"the Transformation System makes no transformation: {made['Message']}")
        number = int(made["Value"])
        lfns = [lfn for _, lfn in self._dataFiles(block, 0, block.files)]
        for answer in (
            client.addFilesToTransformation(number, lfns),
            client.setTransformationParameter(number, "Status", "Active"),
        ):
            if not answer["OK"]:
                raise TestbedError(f"transformation {number} is not ready: {answer['Message']}")
        return number

    def count(self, statuses: Sequence[str]) -> int:
        """Tasks of the chain in one of these statuses."""
        self._cursor.connection.commit()  # else it is what was there when it was asked first
        ((count,),) = self._rows(
            "SELECT COUNT(*) FROM TransformationDB.TransformationTasks WHERE TransformationID = %s AND ExternalStatus IN %s",
            self.transformationID,
            tuple(statuses),
        )
        return int(count)

    def jobs(self, transformationID: int) -> dict[str, int]:
        """Jobs of a transformation by status, each task's one job, or it is an error."""
        self._cursor.connection.commit()
        rows = self._rows(
            "SELECT Status, COUNT(*), COUNT(DISTINCT JobName) FROM JobDB.Jobs WHERE JobGroup = %s GROUP BY Status",
            f"{transformationID:08d}",
        )
        if any(jobs != names for _, jobs, names in rows):
            raise TestbedError(f"a task has two jobs: {rows}")
        return {status: int(jobs) for status, jobs, _ in rows}

    # ---- steps

    def _give(self, block: BlockRows, first: int, count: int) -> None:
        self._do(
            "INSERT INTO RawDataDB.ChainInputs (ChainID, StepNumber, FileID, BlockID, AttachedTime)"
            " SELECT %s, 1, FileID, %s, UTC_TIMESTAMP(3) FROM RawDataDB.Files WHERE DirectoryID = %s"
            " ORDER BY FileID LIMIT %s, %s",
            *(self.chainID, block.blockID, block.directoryID, first, count),
        )
        self._cursor.connection.commit()

    def _dataFiles(self, block: BlockRows, first: int, count: int) -> list[tuple[int, str]]:
        return self._rows(
            "SELECT FileID, LFN FROM TransformationDB.DataFiles WHERE LFN LIKE %s ORDER BY FileID LIMIT %s, %s",
            *(f"{self._directory(block)}/%", first, count),
        )

    def _end(self, block: BlockRows) -> None:
        """The block's audit was exact."""
        self._do(
            "UPDATE RawDataDB.ChainBlocks SET State = 'Done', EndedSteps = 1, WantedFiles = %s, AttachedFiles = %s,"
            " CountedTime = UTC_TIMESTAMP(3) WHERE ChainID = %s AND BlockID = %s",
            *(block.files, block.files, self.chainID, block.blockID),
        )
        self._do(
            "INSERT INTO RawDataDB.Audits (ChainID, BlockID, Look, Actor, StartedTime, EndedTime, Verdict, Steps, Findings)"
            " VALUES (%s, %s, 'Step', 'bench', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), 'Exact', '[]', '{}')",
            *(self.chainID, block.blockID),
        )


@contextmanager
def chainWorld(testbed: Testbed) -> Iterator[ChainWorld]:
    """An empty world, whose rows are deleted at the end, and those that a run left that was killed before that."""

    def remove(cursor: Any) -> None:
        removeChains(cursor)
        removeAll(cursor)

    with connection(testbed) as cursor:
        remove(cursor)
        try:
            yield ChainWorld(cursor)
        finally:
            cursor.connection.rollback()
            remove(cursor)
            say("the chain and its blocks are removed")
