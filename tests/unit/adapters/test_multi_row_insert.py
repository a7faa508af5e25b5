"""Rows are joined where MySQLdb would not, and everything else is left to DIRAC."""

from __future__ import annotations

import pytest
from DIRAC import S_ERROR, S_OK
from DIRAC.Core.Utilities.ObjectLoader import ObjectLoader

from JUNODIRAC.DataManagementSystem.DB.MultiRowInsert import ROWS_PER_STATEMENT, MultiRowInsert


class FakeMySQL:
    """DIRAC's MySQL: notes statements."""

    def __init__(self):
        self.updates = []
        self.many = []
        self.connections = []
        self.failAfter = 1000

    def _update(self, cmd, *, args=None, logArgs=None, conn=None, debug=True):
        self.updates.append((cmd, args))
        self.connections.append(conn)
        return S_OK(2) if len(self.updates) <= self.failAfter else S_ERROR("MySQL Error")

    def _updatemany(self, cmd, data, *, logData=None, conn=None, debug=True):
        self.many.append((cmd, list(data)))
        return S_OK(0)


class FakeDB(MultiRowInsert, FakeMySQL):
    umask = 0o775


def test_rows_with_a_function_among_their_values_are_one_statement():
    database = FakeDB()
    sql = "INSERT INTO T (A,Time,B) VALUES (%s, UTC_TIMESTAMP(), %s)"
    assert database._updatemany(sql, [(1, "x"), (2, "y")], conn="c") == S_OK(2)
    assert database.updates == [
        ("INSERT INTO T (A,Time,B) VALUES (%s, UTC_TIMESTAMP(), %s), (%s, UTC_TIMESTAMP(), %s)", [1, "x", 2, "y"])
    ]
    assert database.connections == ["c"]
    assert database.many == []


def test_what_is_done_with_a_row_that_exists_stands_once_at_the_end():
    database = FakeDB()
    sql = "INSERT INTO U (D,S) VALUES (%s,UTC_TIMESTAMP())  ON DUPLICATE KEY UPDATE S=S+3, L=UTC_TIMESTAMP()"
    database._updatemany(sql, ((1,), (2,)))
    assert [cmd for cmd, _ in database.updates] == [
        "INSERT INTO U (D,S) VALUES (%s,UTC_TIMESTAMP()), (%s,UTC_TIMESTAMP())  ON DUPLICATE KEY UPDATE S=S+3, L=UTC_TIMESTAMP()"
    ]


def test_many_rows_are_several_statements_and_all_of_them_are_counted():
    database = FakeDB()
    rows = [(number,) for number in range(2 * ROWS_PER_STATEMENT + 1)]
    assert database._updatemany("INSERT INTO T (A) VALUES ( %s )", iter(rows)) == S_OK(6)
    assert [len(args) for _, args in database.updates] == [ROWS_PER_STATEMENT, ROWS_PER_STATEMENT, 1]
    assert [value for _, args in database.updates for value in args] == [number for (number,) in rows]


def test_no_rows_are_no_statement():
    database = FakeDB()
    assert database._updatemany("INSERT INTO T (A) VALUES (%s)", [])["OK"]
    assert database.updates == []


def test_a_failure_is_handed_on_and_ends_it():
    database = FakeDB()
    database.failAfter = 1
    rows = [(number,) for number in range(3 * ROWS_PER_STATEMENT)]
    assert not database._updatemany("INSERT INTO T (A) VALUES (%s)", rows)["OK"]
    assert len(database.updates) == 2


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE T SET A = %s WHERE B = %s",
        "DELETE FROM T WHERE A = %s",
        "INSERT INTO T (A) VALUES (IF(%s > 1, 1, 2))",
        "INSERT INTO T (A) VALUES (%s) ON DUPLICATE KEY UPDATE A = %s",
        "INSERT INTO T (A) SELECT B FROM U WHERE B = %s",
    ],
)
def test_whatever_is_not_a_plain_insert_is_diracs(sql):
    database = FakeDB()
    database._updatemany(sql, [(1, 2)])
    assert database.many == [(sql, [(1, 2)])]
    assert database.updates == []


@pytest.mark.parametrize(
    ("module", "base"),
    [
        ("DataManagementSystem.DB.FileCatalogComponents.FileManager.FileManager", "FileManager"),
        ("TransformationSystem.DB.TransformationDB", "TransformationDB"),
    ],
)
def test_dirac_loads_ours_where_it_looks_for_its_own(module, base):
    loaded = ObjectLoader().loadObject(module, base)
    assert loaded["OK"]
    assert loaded["Value"].__module__ == f"JUNODIRAC.{module}"


def test_the_file_manager_uses_the_catalogues_database_but_joins_rows():
    from JUNODIRAC.DataManagementSystem.DB.FileCatalogComponents.FileManager.FileManager import FileManager

    stock = FakeMySQL()
    stock.umask = 0o775
    manager = FileManager(stock)
    manager.db._updatemany("INSERT INTO T (A,B) VALUES (%s,NOW())", [(1,), (2,)])
    manager.db._updatemany("UPDATE T SET A = %s", [(1,)])
    assert [cmd for cmd, _ in stock.updates] == ["INSERT INTO T (A,B) VALUES (%s,NOW()), (%s,NOW())"]
    assert [cmd for cmd, _ in stock.many] == ["UPDATE T SET A = %s"]
    assert manager.db.umask == 0o775
