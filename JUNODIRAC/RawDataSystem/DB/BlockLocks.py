"""Locks of the database server by which only one receiver at a time works on a block."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import MySQLdb

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.DB.LedgerConnection import LedgerConnection

#: how long to wait for blocks that another receiver holds; short, because the caller backs off and stays able to stop
WAIT_SECONDS = 5.0
#: a server that hears nothing of a holder for so long lets go: longer than a batch takes, shorter than people wait for
#: the blocks of a machine that lost its power
IDLE_SECONDS = 900


class BlockLocks(LedgerConnection):
    """Named locks (GET_LOCK), held by a connection that is used for nothing else.

    The server frees them as soon as the connection is gone, so a receiver that is killed holds nothing up.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lockConnections: list[Any] = []
        super().__init__(*args, **kwargs)

    @contextmanager
    def holdBlocks(self, blocks: Sequence[tuple[str, str]], waitSeconds: float | None = None) -> Iterator[None]:
        """See :meth:`Ports.Ledger.holdBlocks`.

        :param waitSeconds: how long to wait for those that another one holds; None: :data:`WAIT_SECONDS`

        Not for blocks that the same thread holds already: a second context waits for the first one.

        :raises TemporaryFailure: on entry if another receiver holds one of the blocks or the database does not answer; on
            leaving if the connection was lost meanwhile, so that another receiver may have worked on the blocks too
        """
        # sorted, so that two receivers never wait for each other
        names = {self._lockName(*block): block for block in sorted(set(blocks))}
        if not names:
            yield
            return
        conn = self._lockConnection()
        try:
            self._takeLocks(conn, names, WAIT_SECONDS if waitSeconds is None else waitSeconds)
            yield
            self._freeLocks(conn, len(names))
        except BaseException:
            # the server frees what a closed connection held
            with suppress(MySQLdb.Error):
                conn.close()
            raise
        self._lockConnections.append(conn)

    def _lockName(self, typeName: str, block: str) -> str:
        """At most 64 characters, as the server wants; with the database, because its locks are those of all databases."""
        key = "\0".join((self.dbName, typeName, block))
        return f"{self.dbName[:23]}.{hashlib.sha256(key.encode('utf-8', 'backslashreplace')).hexdigest()[:40]}"

    def _lockConnection(self) -> Any:
        """The one of the last time, if it still lives; a new one otherwise, also for each thread beside the first."""
        while self._lockConnections:
            with suppress(IndexError, MySQLdb.Error):
                conn = self._lockConnections.pop()
                conn.ping()
                return conn
        conn = self.ownConnection()
        try:
            conn.query(f"SET SESSION wait_timeout = {IDLE_SECONDS}")
        except MySQLdb.Error as error:
            raise TemporaryFailure(self.fullname, str(error)) from error
        return conn

    def _takeLocks(self, conn: Any, names: dict[str, tuple[str, str]], waitSeconds: float) -> None:
        """All of them in one statement if they are free, else one after the other, waiting."""
        order = list(names)
        if all(self._ask(conn, ", ".join(["GET_LOCK(%s, 0)"] * len(order)), order)):
            return
        # hold none of those that come after the one to be waited for
        self._ask(conn, "RELEASE_ALL_LOCKS()")
        deadline = time.monotonic() + waitSeconds
        for name in order:
            (isTaken,) = self._ask(conn, "GET_LOCK(%s, %s)", (name, max(deadline - time.monotonic(), 0)))
            if not isTaken:
                (holder,) = self._ask(conn, "IS_USED_LOCK(%s)", (name,))
                typeName, block = names[name]
                raise TemporaryFailure(
                    self.fullname,
                    f"block {block} of Type {typeName} was held by another receiver (connection {holder or 'unknown'} of the"
                    f" database) for more than {waitSeconds:g} s",
                )

    def _freeLocks(self, conn: Any, count: int) -> None:
        (freed,) = self._ask(conn, "RELEASE_ALL_LOCKS()")
        if freed != count:
            raise TemporaryFailure(self.fullname, f"only {freed} of {count} locks of blocks were still held")

    def _ask(self, conn: Any, what: str, args: Sequence[Any] = ()) -> tuple[Any, ...]:
        try:
            with conn.cursor() as cursor:
                cursor.execute(f"SELECT {what}", args)
                answer: tuple[Any, ...] = cursor.fetchone()
        except MySQLdb.Error as error:
            raise TemporaryFailure(self.fullname, f"the connection that holds blocks: {error}") from error
        return answer
