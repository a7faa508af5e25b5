"""Takes the blocks of the benchmark out of all databases again."""

from __future__ import annotations

from typing import Any

TYPE_NAME = "BenchBlocks"
ROOT = "/juno/bench-blocks"


def removeAll(cursor: Any) -> None:
    """Delete every row of the benchmark's Type."""
    # all rows that refer to each other go
    cursor.execute("SET SESSION foreign_key_checks = 0")
    for table, key, wanted in _ROWS:
        cursor.execute(f"DELETE t FROM {table} t JOIN ({wanted}) w ON w.ID = t.{key}")
        cursor.connection.commit()
    for table, condition in _LAST:
        cursor.execute(f"DELETE FROM {table} WHERE {condition}")
        cursor.connection.commit()


_IS_OURS = f"Type = '{TYPE_NAME}'"
_IS_NAMED = f"TransformationName LIKE '{TYPE_NAME}-%'"
_IS_BELOW = f"LIKE '{ROOT}/%'"
_BLOCKS = f"SELECT BlockID AS ID FROM RawDataDB.Blocks WHERE {_IS_OURS}"
_LEDGER_DIRECTORIES = (
    f"SELECT d.DirectoryID AS ID FROM RawDataDB.Directories d JOIN RawDataDB.Blocks b ON b.BlockID = d.BlockID WHERE b.{_IS_OURS}"
)
#: those of the benchmark
TRANSFORMATIONS = f"SELECT TransformationID AS ID FROM TransformationDB.Transformations WHERE {_IS_NAMED}"
_REQUESTS = (
    "SELECT DISTINCT k.ExternalID + 0 AS ID FROM TransformationDB.TransformationTasks k"
    f" JOIN ({TRANSFORMATIONS}) x ON x.ID = k.TransformationID WHERE k.ExternalID + 0 > 0"
)
_OPERATIONS = f"SELECT o.OperationID AS ID FROM ReqDB.Operation o JOIN ({_REQUESTS}) r ON r.ID = o.RequestID"
_DIRECTORIES = f"SELECT DirID AS ID FROM FileCatalogDB.FC_DirectoryLevelTree WHERE DirName {_IS_BELOW}"
_CATALOGUED = f"SELECT f.FileID AS ID FROM FileCatalogDB.FC_Files f JOIN ({_DIRECTORIES}) d ON d.ID = f.DirID"

# table, its column, and the ids in it whose rows go, in this order
_ROWS = (
    ("ReqDB.File", "OperationID", _OPERATIONS),
    ("ReqDB.Operation", "RequestID", _REQUESTS),
    ("ReqDB.Request", "RequestID", _REQUESTS),
    *(
        (f"TransformationDB.{table}", "TransformationID", TRANSFORMATIONS)
        for table in (
            "TaskInputs", "TransformationFileTasks", "TransformationTasks", "TransformationFiles", "AdditionalParameters",
            "TransformationLog", "TransformationMetaQueries",
        )
    ),
    ("FileCatalogDB.FC_Replicas", "FileID", _CATALOGUED),
    ("FileCatalogDB.FC_FileInfo", "FileID", _CATALOGUED),
    *(
        (f"FileCatalogDB.{table}", "DirID", _DIRECTORIES)
        for table in ("FC_Files", "FC_DirectoryUsage", "FC_Meta_Block", "FC_Meta_Type", "FC_DirectoryInfo")
    ),
    ("RawDataDB.Files", "DirectoryID", _LEDGER_DIRECTORIES),
    *(
        (f"RawDataDB.{table}", "BlockID", _BLOCKS)
        for table in ("Validations", "BlockEvents", "BlockProgress", "BlockTransfers", "Repairs", "Directories")
    ),
)  # fmt: skip
_LAST = (
    ("TransformationDB.DataFiles", f"LFN {_IS_BELOW}"),
    ("TransformationDB.Transformations", _IS_NAMED),
    ("FileCatalogDB.FC_DirectoryLevelTree", f"DirName {_IS_BELOW}"),
    ("RawDataDB.Alerts", _IS_OURS),
    ("RawDataDB.Blocks", _IS_OURS),
)
