"""Brings the ledger of a state folder that an older version made to the tables of this one."""

from __future__ import annotations

from junotestbed.settings import Settings, TestbedError
from junotestbed.shell import run

_DATABASE = "RawDataDB"


def lacking(settings: Settings) -> list[str]:
    """Tables, columns and values that this version works with and the ledger does not have, in words."""
    import MySQLdb

    from JUNODIRAC.RawDataSystem.DB.LedgerSchema import missingFrom, schemaText, wantedColumns

    connection = MySQLdb.connect(
        host="127.0.0.1", port=settings.port("mariadb"), user="Dirac", passwd=settings.choices.database_password
    )
    try:
        cursor = connection.cursor()
        columns = "TABLE_NAME, COLUMN_NAME, COLUMN_TYPE"
        cursor.execute(f"SELECT {columns} FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s", (_DATABASE,))
        return missingFrom(cursor.fetchall(), wantedColumns(schemaText()))
    finally:
        connection.close()


def upgrade(settings: Settings) -> bool:
    """Run the package's own upgrade, if the ledger needs it.

    :returns: whether anything was done
    :raises TestbedError: if it does not help; names the way out
    """
    before = lacking(settings)
    if not before:
        return False
    from JUNODIRAC.RawDataSystem.DB.LedgerSchema import schemaText

    # the socket's root: the account of DIRAC may not need all rights that an upgrade needs
    client = ["mariadb", f"--socket={settings.mysql_socket}", "--user=root", _DATABASE]
    env = settings.environment() | {"MYSQL_PWD": settings.choices.database_root_password}
    try:
        for name in ("RawDataDB.sql", "RawDataDB-upgrade.sql"):
            run(client, env=env, stdin=schemaText(name))
        still = lacking(settings)
    except TestbedError as error:
        raise _beyond_help(settings, before, str(error)) from None
    if still:
        raise _beyond_help(settings, still, "the upgrade does not add it")
    return True


def _beyond_help(settings: Settings, lacks: list[str], why: str) -> TestbedError:
    return TestbedError(
        f"{settings.run} was made by another version: its {_DATABASE} lacks {', '.join(lacks)}. {why}\n"
        "'scripts/testbed wipe' deletes all of this state, and 'scripts/testbed up' makes it anew"
    )
