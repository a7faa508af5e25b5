"""Statements and transactions on a DIRAC MySQL database, with exceptions instead of S_OK/S_ERROR."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import MySQLdb
from DIRAC.Core.Base.DB import DB
from DIRAC.Core.Utilities.ReturnValues import SErrorException, returnValueOrRaise

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.DB import LedgerRows as rows

T = TypeVar("T")

# DIRAC sleeps 5, 10, 15... seconds between attempts to connect, ten of them by default: four and a half minutes in which
# the caller does not answer. One more attempt is enough, because the caller repeats the whole call anyway.
_CONNECT_RETRIES = 1

_DEADLOCK_ERRORS = frozenset({1205, 1213})
_DEADLOCK_ATTEMPTS = 5
# Too many connections, shutdown, out of disk or lock space, killed, read only, gone away, lost, refused.
_TEMPORARY_ERRORS = _DEADLOCK_ERRORS | frozenset(
    {1021, 1040, 1053, 1203, 1206, 1290, 1317, 1927, 2002, 2003, 2005, 2006, 2013, 2055, 4031}
)
_ERROR_NUMBER = re.compile(r"\(\(?(\d{4}), ")
_CONNECT_SECONDS = 10
# what the server says of an insert of several rows; it says nothing of an insert of one
_DUPLICATES = re.compile(r"Duplicates: (\d+)")


class DatabaseError(Exception):
    """The database refused a statement; repeating it would not help."""


class _Deadlock(TemporaryFailure):
    """Two transactions waited for each other and ours was rolled back."""


class LedgerConnection(DB):
    """What :class:`DIRAC.Core.Base.DB.DB` lacks: bound parameters without logging them, transactions, typed failures."""

    def _getConnection(self, retries: int = _CONNECT_RETRIES) -> dict[str, Any]:
        result: dict[str, Any] = super()._getConnection(retries)
        return result

    def select(self, sql: str, args: Sequence[Any] = (), conn: Any = None) -> tuple[tuple[Any, ...], ...]:
        """Rows of a query.

        :raises TemporaryFailure: when the database does not answer
        :raises DatabaseError: when it refuses
        """
        found: tuple[tuple[Any, ...], ...] = self._checked(
            self._query(sql, args=args or None, logArgs=(), conn=conn, debug=False)
        )
        return found

    def execute(self, sql: str, args: Sequence[Any] = (), conn: Any = None) -> int:
        """Run one statement that changes something.

        :returns: number of rows that it changed
        :raises TemporaryFailure: when the database does not answer
        :raises DatabaseError: when it refuses
        """
        changed: int = self._checked(self._update(sql, args=args or None, logArgs=(), conn=conn, debug=False))
        return changed

    def upsert(
        self, table: str, columns: Sequence[str], values: Iterable[tuple[Any, ...]], updates: Sequence[str], conn: Any
    ) -> int:
        """Insert rows; where the key exists, apply the assignments instead.

        Not INSERT IGNORE, which would also cut what is too long without a word. In the order of the key (the first three
        columns at most), so that two writers of the same rows wait for each other instead of locking each other out.

        :returns: number of rows that were there and are different now
        """
        changed = 0
        rowSQL = f"({rows.placeholders(len(columns))})"
        for chunk in rows.chunks(sorted(values, key=lambda row: row[:3])):
            sql = (
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([rowSQL] * len(chunk))}"
                f" ON DUPLICATE KEY UPDATE {', '.join(updates)}"
            )
            affected = self.execute(sql, [value for row in chunk for value in row], conn)
            found = _DUPLICATES.search(conn.info() or "")
            changed += int(found.group(1)) if found else affected == 2
        return changed

    def ownConnection(self) -> Any:
        """A new connection that DIRAC's pool does not know, for what must not share one. The caller closes it.

        :raises TemporaryFailure: when the database does not answer
        """
        try:
            return MySQLdb.connect(
                host=self.dbHost,
                port=self.dbPort,
                user=self.dbUser,
                passwd=self.dbPass,
                db=self.dbName,
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
            )
        except MySQLdb.Error as error:
            raise TemporaryFailure(self.fullname, str(error)) from error

    def inTransaction(self, work: Callable[[Any], T]) -> T:
        """Run ``work(connection)`` so that all of it is written or nothing; a deadlock's victim is run again at once.

        ``work`` must give the connection to each statement: without it DIRAC may open a new one in the middle.
        """
        for _ in range(_DEADLOCK_ATTEMPTS - 1):
            try:
                return self._runTransaction(work)
            except _Deadlock:
                continue
        return self._runTransaction(work)

    def _runTransaction(self, work: Callable[[Any], T]) -> T:
        conn = self._checked(self._getConnection())
        self.execute("START TRANSACTION", conn=conn)
        try:
            value = work(conn)
            self.execute("COMMIT", conn=conn)
        except BaseException:
            # fails on a lost connection, whose transaction the server has rolled back by itself
            self._update("ROLLBACK", conn=conn, debug=False)
            raise
        return value

    def _checked(self, result: dict[str, Any]) -> Any:
        try:
            return returnValueOrRaise(result)
        except SErrorException as error:
            raise self._failure(result["Message"]) from error

    def _failure(self, message: str) -> Exception:
        """DIRAC keeps MySQL's error number only in the text of its message."""
        found = _ERROR_NUMBER.search(message)
        number = int(found.group(1)) if found else 0
        if number in _DEADLOCK_ERRORS:
            return _Deadlock(self.fullname, message)
        if number in _TEMPORARY_ERRORS or "Could not connect" in message or "Could not select db" in message:
            return TemporaryFailure(self.fullname, message)
        return DatabaseError(f"{self.fullname}: {message}")
