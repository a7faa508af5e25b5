"""Rows of DIRAC's databases in statements of many rows, where MySQLdb makes a statement and a commit of each row.

MySQLdb's ``executemany`` joins rows into one statement only if all their values are placeholders. DIRAC's inserts into
FC_FileInfo, FC_ReplicaInfo and TransformationFiles have ``UTC_TIMESTAMP()`` among them: thousand files are two thousand commits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from DIRAC import S_OK
from DIRAC.Core.Utilities.List import breakListIntoChunks

ROWS_PER_STATEMENT = 1000

_VALUE = r"\s*(?:%s|\w+\(\)|'\w*'|\d+)\s*"
_INSERT = re.compile(
    rf"\s*(?P<into>INSERT\s+INTO\b[^%]*?\bVALUES\s*)(?P<row>\({_VALUE}(?:,{_VALUE})*\))(?P<update>\s*ON\s+DUPLICATE\b[^%]*?)?;?\s*",
    re.IGNORECASE | re.DOTALL,
)


class MultiRowInsert:
    """To be inherited before DIRAC's class of a database, or put around its object (see :class:`FileManager`)."""

    def _updatemany(self, cmd: str, data: Iterable[Sequence[Any]], **options: Any) -> dict[str, Any]:
        """As :meth:`DIRAC.Core.Utilities.MySQL.MySQL._updatemany`, which still does whatever is not a plain insert.

        A statement is written whole or not at all; DIRAC's would leave the rows before the one that failed.
        """
        found = _INSERT.fullmatch(cmd)
        if found is None:
            result: dict[str, Any] = super()._updatemany(cmd, data, **options)  # type: ignore[misc]
            return result
        written = 0
        for chunk in breakListIntoChunks(list(data), ROWS_PER_STATEMENT):
            sql = f"{found['into']}{', '.join([found['row']] * len(chunk))}{found['update'] or ''}"
            # nothing for the log, for which DIRAC would write out each row, whether or not it is logged
            more = {"logArgs": (), "conn": options.get("conn"), "debug": options.get("debug", True)}
            answer: dict[str, Any] = self._update(sql, args=[value for row in chunk for value in row], **more)  # type: ignore[attr-defined]
            if not answer["OK"]:
                return answer
            written += answer["Value"]
        return S_OK(written)
