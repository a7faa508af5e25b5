"""Whether a database has the tables and columns that this version of the package works with."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib.resources import files

_PACKAGE = "JUNODIRAC.RawDataSystem.DB"
_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS `(\w+)` \((.*?)^\)", re.DOTALL | re.MULTILINE)
_COLUMN = re.compile(r"^  `(\w+)` (ENUM\([^)]*\))?", re.MULTILINE)


class OldSchema(RuntimeError):
    """The database was made by another version; nothing was changed."""

    def __init__(self, database: str, missing: Iterable[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(
            f"database {database} lacks {', '.join(self.missing)}: it was made by another version of JUNODIRAC."
            f" Back it up, then run RawDataDB.sql and RawDataDB-upgrade.sql of the folder {files(_PACKAGE)} on it with"
            " the mariadb client"
        )


def schemaText(name: str = "RawDataDB.sql") -> str:
    """The statements that make the tables, or those that upgrade them."""
    return files(_PACKAGE).joinpath(name).read_text()


def wantedColumns(sql: str) -> dict[str, dict[str, str]]:
    """Columns of each table, with the values of those that are an ENUM."""
    return {table: dict(_COLUMN.findall(body)) for table, body in _TABLE.findall(sql)}


def missingFrom(existing: Iterable[tuple[str, str, str]], wanted: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What a database lacks, in words.

    :param existing: table, column and type of each column of the database
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for table, column, columnType in existing:
        found[table][column] = columnType
    missing = []
    for table, columns in wanted.items():
        if table not in found:
            missing.append(f"table {table}")
            continue
        for column, values in columns.items():
            if column not in found[table]:
                missing.append(f"column {table}.{column}")
            elif values:
                lacking = set(re.findall(r"'(\w+)'", values)) - set(re.findall(r"'(\w+)'", found[table][column]))
                missing += [f"value {value} of column {table}.{column}" for value in sorted(lacking)]
    return missing
