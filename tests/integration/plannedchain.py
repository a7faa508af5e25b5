"""A chain with merging in the ledger, and what its agents and jobs do to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ledgertools import announced, makeFile

from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.ProductionSystem.Client.PlanDesk import PlanDesk
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger

NOW = datetime.now(UTC).replace(microsecond=0)
SHIPPED = Path(__file__).parents[2] / "etc/chains/rerec-merge.yaml"
CHAIN_TABLES = (
    "ChainSteps", "ChainBlocks", "ChainInputs", "ChainStreams", "Products", "Derivations", "Recoveries", "Chains",
)  # fmt: skip
PROCESS, MERGE = 1, 2
CNAF, JINR = "CNAF-STORM", "JINR-EOS"
STORAGES = {"DIRAC.CNAF.it": [CNAF], "DIRAC.JINR.ru": [JINR]}


class PlannedChain:
    """The shipped chain with merging, to files of 35 kB, over a Type of its own; parts are 10 kB."""

    def __init__(self, chains: ChainLedger, typeName: str) -> None:
        self.chains, self.typeName = chains, typeName
        text = SHIPPED.read_text().replace("type: RTRaw", f"type: {typeName}").replace("bytes: 1 GB", "bytes: 35 kB")
        assert "35 kB" in text
        columns = "Production, Name, Version, OutputVersion, State, Type, Description, Scope, CreatedTime, CreatedBy, StateTime"
        # Stopped: a ChainAgent that runs beside the tests leaves it alone
        values = (f"m-{typeName}-v1", "m", "J1", 1, "Stopped", typeName, text, "{}", NOW, "prod", NOW, "prod")
        chains.execute(f"INSERT INTO Chains ({columns}, StateBy) VALUES ({', '.join(['%s'] * len(values))})", values)
        ((self.chainID,),) = chains.select("SELECT ChainID FROM Chains WHERE Production = %s", (values[0],))
        for step, name in ((PROCESS, "process"), (MERGE, "merge")):
            sql = "INSERT INTO ChainSteps (ChainID, StepNumber, SE, Step, Kind, TransformationID) VALUES (%s, %s, '', %s, %s, %s)"
            chains.execute(sql, (self.chainID, step, name, name, self.transformation(step)))
        self.desk = PlanDesk(chains, STORAGES.__getitem__)

    def transformation(self, step: int) -> int:
        return 2_100_000_000 + 10 * self.chainID + step

    def addGate(self, gate: str) -> None:
        """To the first step."""
        sql = "SELECT Description FROM Chains WHERE ChainID = %s"
        ((text,),) = self.chains.select(sql, (self.chainID,))
        changed = text.replace("gates: [", f"gates: [{gate}, ", 1)
        self.chains.execute("UPDATE Chains SET Description = %s WHERE ChainID = %s", (changed, self.chainID))

    def delete(self) -> None:
        for table in CHAIN_TABLES:
            self.chains.execute(f"DELETE FROM {table} WHERE ChainID = %s", (self.chainID,))

    # ---- blocks and files

    def setState(self, file: RawFile, state: str) -> None:
        self.chains.execute(
            "UPDATE Files f JOIN Directories d ON d.DirectoryID = f.DirectoryID SET f.State = %s"
            " WHERE d.Directory = %s AND f.FileName = %s",
            (state, file.directory, file.fileName),
        )

    def announce(self, *numbers: int, block: str = "b1", state: str = "Registered") -> list[RawFile]:
        files = [makeFile(self.typeName, number, block) for number in numbers]
        announced(self.chains, *files)
        for file in files:
            self.setState(file, state)
        sql = "UPDATE Blocks SET State = 'Open', OpenedTime = %s WHERE Type = %s AND State = 'Known'"
        self.chains.execute(sql, (NOW, self.typeName))
        values = (self.chainID, self.blockID(block), NOW, NOW)
        sql = "INSERT IGNORE INTO ChainBlocks (ChainID, BlockID, State, StateTime, AddedTime, AddedBy) VALUES"
        self.chains.execute(f"{sql} (%s, %s, 'Waiting', %s, %s, 'prod')", values)
        return files

    def blockID(self, block: str = "b1") -> int:
        sql = "SELECT BlockID FROM Blocks WHERE Type = %s AND Block = %s"
        ((number,),) = self.chains.select(sql, (self.typeName, block))
        return int(number)

    def close(self, block: str = "b1") -> None:
        sql = "UPDATE Blocks SET State = 'Closed', ClosedTime = %s WHERE BlockID = %s"
        self.chains.execute(sql, (NOW, self.blockID(block)))

    def give(self, block: str = "b1") -> dict[str, int]:
        """Give what is registered to the first step."""
        files = self.chains.unattachedFiles(self.chainID, PROCESS, self.blockID(block))
        self.chains.recordChainInputs(self.chainID, PROCESS, self.blockID(block), [file.fileID for file in files], NOW)
        return {file.lfn: file.fileID for file in files}

    def fileID(self, number: int, block: str = "b1") -> int:
        file = makeFile(self.typeName, number, block)
        sql = "SELECT f.FileID FROM Files f JOIN Directories d ON d.DirectoryID = f.DirectoryID WHERE d.Directory = %s"
        ((found,),) = self.chains.select(f"{sql} AND f.FileName = %s", (file.directory, file.fileName))
        return int(found)

    # ---- what jobs and the recovery do

    def partOf(self, number: int, block: str = "b1") -> str:
        return f"/juno/{self.typeName}/parts/{block}/{number:05}.part"

    def product(self, step: int, lfn: str, number: int, parents: Sequence[int], block: str, **changes: Any) -> None:
        values = {
            "ChainID": self.chainID, "StepNumber": step, "BlockID": self.blockID(block), "AttemptID": 1, "LFN": lfn, "GUID": "g",
            "SE": CNAF, "SizeBytes": 10_000, "Checksum": "c", "Events": 1, "Stream": "Physics.", "FirstRun": 123, "LastRun": 123,
            "FirstSequence": number, "LastSequence": number, "State": "Registered", "CommittedTime": NOW,
            "RegisteredTime": NOW - timedelta(minutes=5), **changes,
        }  # fmt: skip
        sql = f"INSERT INTO Products ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})"
        self.chains.execute(sql, list(values.values()))
        ((productID,),) = self.chains.select("SELECT ProductID FROM Products WHERE LFN = %s", (lfn,))
        for position, parent in enumerate(parents):
            sql = "INSERT INTO Derivations VALUES (%s, %s, %s, %s, %s, 1)"
            self.chains.execute(sql, (self.chainID, step, parent, productID, position))

    def process(self, *numbers: int, block: str = "b1", **changes: Any) -> list[str]:
        """Make the parts of files."""
        for number in numbers:
            self.product(PROCESS, self.partOf(number, block), number, [self.fileID(number, block)], block, **changes)
        return [self.partOf(number, block) for number in numbers]

    def merge(self, parts: Sequence[str]) -> None:
        sql = f"SELECT ProductID FROM Products WHERE LFN IN ({', '.join(['%s'] * len(parts))})"
        parents = [number for (number,) in self.chains.select(sql, parts)]
        self.product(MERGE, f"{parts[0]}.merged", 1, parents, parts[0].split("/")[-2])

    def recover(self, step: int, parentID: int, state: str, error: str = "Lost", attempts: int = 1) -> None:
        values = (self.chainID, step, parentID, self.blockID(), "", state, attempts, error, "", NOW, NOW)
        columns = "ChainID, StepNumber, ParentID, BlockID, LFN, State, Attempts, Error, Detail, FirstTime, LastTime"
        marks = ", ".join(["%s"] * len(values))
        self.chains.execute(f"REPLACE INTO Recoveries ({columns}, SE) VALUES ({marks}, '')", values)

    # ---- what is planned

    def planned(self, step: int, files: Mapping[str, Sequence[str]], patience: float = 1800) -> list[tuple[str, list[str]]]:
        answer = self.desk.plan(self.transformation(step), files, datetime.now(UTC), patience)
        return [(se, lfns) for se, lfns in answer["Groups"]]

    def merges(self, parts: Sequence[str]) -> list[list[int]]:
        """Groups of the merge of these free parts, as numbers."""
        groups = self.planned(MERGE, {lfn: [CNAF] for lfn in parts})
        return [[int(lfn.rpartition("/")[2].partition(".")[0]) for lfn in lfns] for _, lfns in groups]
