"""What the receiver's speed is held against: plain SQL into the same tables, and DIRAC's own paths."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from junotestbed.settings import TestbedError
from junotestbed.testbed import Testbed

from bench.report import say
from bench.workload import DESTINATIONS, SIZE_BYTES, fileName

_ROWS_PER_STATEMENT = 1000
_TOPIC = "juno.bench.yardstick"
# StreamType, StreamName, FileTag and FileTime of the names
_NAME_FIELDS = ("PHYSICS", "GLOBAL_TRIGGER", "BENCH", "20390101120000")


def measure(testbed: Testbed, files: int, oneByOne: int = 200, throughTSCatalog: int = 40) -> dict[str, Any]:
    """Each in files/s.

    :param files: rows of the plain SQL
    :param oneByOne: files that are registered one a call
    :param throughTSCatalog: files that are registered the way that DIRAC itself attaches them to transformations
    """
    result: dict[str, Any] = {"plain_sql": _rate("plain SQL", files, lambda: _plainSQL(testbed, files))}
    directory = f"/juno/bench-yardstick/{uuid4().hex[:8]}"
    result["plain_sql_with_lookups"] = _rate(
        "plain SQL with look-ups", files, lambda: _plainSQL(testbed, files, withLookUps=True)
    )
    result["add_file_one_by_one"] = _rate("addFile, one file a call", oneByOne, lambda: _addFiles(directory, oneByOne, 1))
    result["ts_catalog"] = _tsCatalog(directory, throughTSCatalog)
    return result


def _rate(what: str, files: int, work: Callable[[], float | None]) -> dict[str, float | int]:
    started = time.monotonic()
    seconds = work() or time.monotonic() - started
    say(f"{what}: {files} files in {seconds:.1f} s: {files / seconds:.1f} files/s")
    return {"files": files, "seconds": round(seconds, 2), "files_per_second": round(files / seconds, 1)}


# --- plain SQL ----------------------------------------------------------------------------------------------------------------


def _plainSQL(testbed: Testbed, files: int, withLookUps: bool = False) -> float:
    """Multi-row statements over one connection, a commit for each thousand files; the rows are deleted afterwards.

    :param withLookUps: see :func:`_insertSafely`
    :returns: seconds of the inserts alone
    """
    transformations = _makeTransformations()
    with connection(testbed) as cursor:
        # ids that nobody has: nothing looks a row up by them
        directoryID = 1_900_000_000 + int(time.time()) % 200_000_000
        names = [fileName("20390101", number) for number in range(files)]
        insert = _insertSafely if withLookUps else _insert
        started = time.monotonic()
        for first in range(0, files, _ROWS_PER_STATEMENT):
            insert(cursor, directoryID, names[first : first + _ROWS_PER_STATEMENT], first, transformations)
        seconds = time.monotonic() - started
        _deleteRows(cursor, directoryID, transformations)
    return seconds


def _insert(cursor: Any, directoryID: int, names: Sequence[str], first: int, transformations: Sequence[int]) -> None:
    """The rows of one batch, with the values that the real ones have."""
    _insertLedger(cursor, directoryID, names, first, "Registered")
    _insertCatalogue(cursor, directoryID, names)
    _insertTransfers(cursor, directoryID, names, transformations)
    cursor.connection.commit()


def _insertSafely(cursor: Any, directoryID: int, names: Sequence[str], first: int, transformations: Sequence[int]) -> None:
    """The same rows with what a writer cannot leave out that may be killed, or may not be the only one.

    It looks whether the files are known to the ledger, the catalogue and the Transformation System, and the ledger's rows are
    announced before, and registered after all others, each with a commit.
    """
    place = f"({', '.join(['%s'] * len(names))})"
    lfns = _lfns(directoryID, names)
    for query, args in (
        (f"SELECT FileName, State FROM RawDataDB.Files WHERE DirectoryID = %s AND FileName IN {place}", [directoryID, *names]),
        (f"SELECT FileName, FileID FROM FileCatalogDB.FC_Files WHERE DirID = %s AND FileName IN {place}", [directoryID, *names]),
        (f"SELECT LFN, FileID FROM TransformationDB.DataFiles WHERE LFN IN {place}", lfns),
    ):
        cursor.execute(query, args)
        cursor.fetchall()
    _insertLedger(cursor, directoryID, names, first, "Announced")
    cursor.connection.commit()
    _insertCatalogue(cursor, directoryID, names)
    _insertTransfers(cursor, directoryID, names, transformations)
    cursor.connection.commit()
    cursor.execute(
        "UPDATE RawDataDB.Files SET State = 'Registered', RegisteredTime = UTC_TIMESTAMP(3)"
        f" WHERE DirectoryID = %s AND State = 'Announced' AND FileName IN {place}",
        [directoryID, *names],
    )
    cursor.connection.commit()


def _insertLedger(cursor: Any, directoryID: int, names: Sequence[str], first: int, state: str) -> None:
    checksum, now = "1a2b3c4d", "UTC_TIMESTAMP(3)"
    registered = now if state == "Registered" else "NULL"
    _insertRows(
        cursor,
        "RawDataDB.Files (DirectoryID, FileName, State, SizeBytes, Checksum, RunNumber, StreamType, StreamName, FileTag,"
        " FileTime, FileSequence, Topic, KafkaPartition, KafkaOffset, AnnouncedTime, RegisteredTime)",
        f"(%s, %s, '{state}', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, {now}, {registered})",
        [
            (directoryID, name, SIZE_BYTES, checksum, 12345, *_NAME_FIELDS, number, _TOPIC, 0, number)
            for number, name in enumerate(names, first)
        ],
    )


def _insertCatalogue(cursor: Any, directoryID: int, names: Sequence[str]) -> None:
    fileID = _insertRows(
        cursor,
        "FileCatalogDB.FC_Files (DirID, Size, UID, GID, Status, FileName)",
        "(%s, %s, 1, 1, 1, %s)",
        [(directoryID, SIZE_BYTES, name) for name in names],
    )
    _insertRows(
        cursor,
        "FileCatalogDB.FC_FileInfo (FileID, GUID, Checksum, ChecksumType, CreationDate, ModificationDate, Mode)",
        "(%s, %s, %s, 'Adler32', UTC_TIMESTAMP(), UTC_TIMESTAMP(), 509)",
        [(fileID + number, str(uuid4()), "1a2b3c4d") for number in range(len(names))],
    )
    replicaID = _insertRows(
        cursor,
        "FileCatalogDB.FC_Replicas (FileID, SEID, Status)",
        "(%s, 1, 1)",
        [(fileID + number,) for number in range(len(names))],
    )
    _insertRows(
        cursor,
        "FileCatalogDB.FC_ReplicaInfo (RepID, RepType, CreationDate, ModificationDate, PFN)",
        "(%s, 'Master', UTC_TIMESTAMP(), UTC_TIMESTAMP(), %s)",
        [(replicaID + number, f"/juno/bench-yardstick/{name}") for number, name in enumerate(names)],
    )


def _insertTransfers(cursor: Any, directoryID: int, names: Sequence[str], transformations: Sequence[int]) -> None:
    fileID = _insertRows(
        cursor, "TransformationDB.DataFiles (LFN, Status)", "(%s, 'New')", [(lfn,) for lfn in _lfns(directoryID, names)]
    )
    for transformationID in transformations:
        _insertRows(
            cursor,
            "TransformationDB.TransformationFiles (TransformationID, FileID, LastUpdate, InsertedTime)",
            "(%s, %s, UTC_TIMESTAMP(), UTC_TIMESTAMP())",
            [(transformationID, fileID + number) for number in range(len(names))],
        )


def _lfns(directoryID: int, names: Sequence[str]) -> list[str]:
    return [f"/juno/bench-yardstick/{directoryID}/{name}" for name in names]


def _insertRows(cursor: Any, into: str, row: str, values: Sequence[tuple[object, ...]]) -> int:
    """One statement.

    :returns: the id of its first row
    """
    cursor.execute(f"INSERT INTO {into} VALUES {', '.join([row] * len(values))}", [value for each in values for value in each])
    return int(cursor.lastrowid or 0)


def _deleteRows(cursor: Any, directoryID: int, transformations: Sequence[int]) -> None:
    ids = tuple(transformations)
    cursor.execute(
        "CREATE TEMPORARY TABLE TransformationDB.BenchFiles AS SELECT DISTINCT FileID FROM TransformationDB.TransformationFiles"
        " WHERE TransformationID IN %s",
        (ids,),
    )
    cursor.execute("DELETE FROM TransformationDB.TransformationFiles WHERE TransformationID IN %s", (ids,))
    cursor.execute("DELETE d FROM TransformationDB.DataFiles d JOIN TransformationDB.BenchFiles b ON b.FileID = d.FileID")
    cursor.execute("DROP TEMPORARY TABLE TransformationDB.BenchFiles")
    cursor.execute(
        "DELETE i FROM FileCatalogDB.FC_ReplicaInfo i JOIN FileCatalogDB.FC_Replicas r ON r.RepID = i.RepID"
        " JOIN FileCatalogDB.FC_Files f ON f.FileID = r.FileID WHERE f.DirID = %s",
        (directoryID,),
    )
    for table in ("FC_FileInfo", "FC_Replicas"):
        cursor.execute(
            f"DELETE i FROM FileCatalogDB.{table} i JOIN FileCatalogDB.FC_Files f ON f.FileID = i.FileID WHERE f.DirID = %s",
            (directoryID,),
        )
    cursor.execute("DELETE FROM FileCatalogDB.FC_Files WHERE DirID = %s", (directoryID,))
    cursor.execute("DELETE FROM RawDataDB.Files WHERE DirectoryID = %s", (directoryID,))
    cursor.connection.commit()


@contextmanager
def connection(testbed: Testbed) -> Iterator[Any]:
    import MySQLdb

    settings = testbed.settings
    connection = MySQLdb.connect(
        host="127.0.0.1",
        port=settings.port("mariadb"),
        user="Dirac",
        passwd=settings.choices.database_password,
        db="RawDataDB",
    )
    try:
        yield connection.cursor()
    finally:
        connection.close()


# --- DIRAC's own paths --------------------------------------------------------------------------------------------------------


def _makeTransformations(metaQuery: Mapping[str, str] | None = None) -> list[int]:
    from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

    client, numbers = TransformationClient(), []
    for se in DESTINATIONS:
        name = f"Bench-yardstick-{uuid4().hex[:8]}-{se}"
        arguments = (name, "a yardstick of the benchmark", "", "Replication", "Broadcast", "Manual", "")
        more = {"transformationGroup": "Bench", "addFiles": False, "inputMetaQuery": dict(metaQuery or {})}
        numbers.append(int(_value(client.addTransformation(*arguments, **more))))
    return numbers


def _entries(directory: str, first: int, count: int) -> dict[str, dict[str, object]]:
    return {
        f"{directory}/{fileName('20390101', number)}": {
            "PFN": "",
            "SE": "IHEP-JUNOEOS",
            "Size": SIZE_BYTES,
            "GUID": str(uuid4()),
            "Checksum": "1a2b3c4d",
        }
        for number in range(first, first + count)
    }


def _addFiles(directory: str, count: int, perCall: int) -> None:
    from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient

    client = FileCatalogClient("DataManagement/FileCatalog")
    for first in range(0, count, perCall):
        answer = _value(client.addFile(_entries(directory, first, perCall)))
        if answer["Failed"]:
            raise TestbedError(f"the catalogue refused a file: {next(iter(answer['Failed'].values()))}")


def _tsCatalog(directory: str, count: int) -> dict[str, float | int]:
    """DIRAC's data-driven path: the catalogue, then TSCatalog, which looks for the transformations of each file."""
    from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
    from DIRAC.Resources.Catalog.TSCatalogClient import TSCatalogClient

    directory = f"{directory}/ts"
    metadata = {"Block": directory.split("/")[-2], "Type": "BenchYardstick"}
    catalogue = FileCatalogClient("DataManagement/FileCatalog")
    _value(catalogue.createDirectory({directory: True}))
    _value(catalogue.setMetadata(directory, metadata))
    numbers = _makeTransformations(metadata)
    entries = _entries(directory, 0, count)

    def work() -> None:
        _addFiles(directory, count, count)
        _value(TSCatalogClient().addFile(entries))

    result = _rate("the stock TSCatalog path", count, work)
    _checkAttached(numbers, count)
    return result


def _checkAttached(transformations: Sequence[int], count: int) -> None:
    from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

    for number in transformations:
        found = _value(TransformationClient().getTransformationStats(number))
        if found.get("Total") != count:
            raise TestbedError(f"transformation {number} has {found.get('Total')} of {count} files")


def _value(result: dict[str, Any]) -> Any:
    if not result["OK"]:
        raise TestbedError(f"DIRAC said: {result['Message']}")
    return result["Value"]
