"""The SQLite file (WAL) that holds everything a restart must not lose; credentials and the counts of rules."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Database:
    """One connection, shared by all threads.

    :param path: the file; created with mode 0600, it holds private keys
    """

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        # NORMAL loses nothing when the process is killed, only (perhaps) when the machine loses its power.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript((Path(__file__).parent / "schema.sql").read_text())

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()


class CredentialStore(Database):
    """Keys of delegation requests, delegated proxies, and how often each rule matched."""

    def proxy_request(self, dlg_id: str) -> sqlite3.Row | None:
        rows = self._rows("SELECT * FROM requests WHERE dlg_id=?", dlg_id)
        return rows[0] if rows else None

    def save_proxy_request(self, dlg_id: str, key_pem: str, csr_pem: str) -> None:
        """Keeps the first request of a delegation id: clients that delegate at the same time must share one key."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO requests VALUES (?,?,?)", (dlg_id, key_pem, csr_pem))

    def credential(self, dlg_id: str) -> sqlite3.Row | None:
        rows = self._rows("SELECT * FROM credentials WHERE dlg_id=?", dlg_id)
        return rows[0] if rows else None

    def save_credential(self, dlg_id: str, dn: str, proxy_pem: str, termination: float) -> None:
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO credentials VALUES (?,?,?,?)", (dlg_id, dn, proxy_pem, termination))

    def delete_credential(self, dlg_id: str) -> bool:
        with self._transaction() as db:
            return db.execute("DELETE FROM credentials WHERE dlg_id=?", (dlg_id,)).rowcount > 0

    def rule_matches(self) -> dict[str, int]:
        return {row["rule_id"]: row["matched"] for row in self._rows("SELECT * FROM rule_matches")}

    def save_rule_matches(self, rule_id: str, matched: int | None) -> None:
        """
        :param matched: None forgets the rule
        """
        with self._transaction() as db:
            if matched is None:
                db.execute("DELETE FROM rule_matches WHERE rule_id=?", (rule_id,))
            else:
                db.execute("INSERT OR REPLACE INTO rule_matches VALUES (?,?)", (rule_id, matched))
