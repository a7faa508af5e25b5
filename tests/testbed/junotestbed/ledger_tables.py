"""Whether the ledger of a state folder is one that this version can work with."""

from __future__ import annotations

import re

from junotestbed.settings import SOURCE_DIR, Settings, TestbedError

_SQL = SOURCE_DIR / "JUNODIRAC/RawDataSystem/DB/RawDataDB.sql"


def wanted_tables(sql: str) -> dict[str, set[str]]:
    """Columns by table, as the statements of a schema make them."""
    tables = re.findall(r"CREATE TABLE IF NOT EXISTS `(\w+)` \((.*?)^\)", sql, re.DOTALL | re.MULTILINE)
    return {name: set(re.findall(r"^  `(\w+)` ", body, re.MULTILINE)) for name, body in tables}


def existing_tables(settings: Settings) -> dict[str, set[str]]:
    import MySQLdb

    connection = MySQLdb.connect(
        host="127.0.0.1", port=settings.port("mariadb"), user="Dirac", passwd=settings.choices.database_password
    )
    found: dict[str, set[str]] = {}
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'RawDataDB'")
        for table, column in cursor.fetchall():
            found.setdefault(table, set()).add(column)
    finally:
        connection.close()
    return found


def missing_tables(settings: Settings) -> list[str]:
    """Tables of this version that the ledger does not have; ``dirac-install-db`` makes them.

    :raises TestbedError: if one that it has lacks columns, which nothing adds
    """
    wanted, existing = wanted_tables(_SQL.read_text()), existing_tables(settings)
    for table in wanted.keys() & existing.keys():
        lacking = sorted(wanted[table] - existing[table])
        if lacking:
            raise TestbedError(
                f"{settings.run} was made by an older version: table {table} of RawDataDB has no column {', '.join(lacking)}, "
                "and nothing adds it: run 'scripts/testbed wipe', which deletes all of this state, and 'scripts/testbed up'"
            )
    return sorted(wanted.keys() - existing.keys())
