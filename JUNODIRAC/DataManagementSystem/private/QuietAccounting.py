"""No connection to the accounting for nothing.

Each call of a method of a StorageElement, also one that only makes a URL, ends with the commit of the accounting's records, and
the commit prepares a call to Accounting/DataStore, proxy and all, before it looks whether there are any. The registration of
fifty replicas does so fifty times: a third of the CPU of RequestExecutingAgent.
"""

from __future__ import annotations

from typing import Any

from DIRAC import S_OK
from DIRAC.AccountingSystem.Client.DataStoreClient import gDataStoreClient

_RECORDS = "_DataStoreClient__registersList"


def commitOnlyRecords(client: Any = gDataStoreClient) -> None:
    """Have this process commit only when there is something to commit."""
    wholeCommit = client.commit
    if getattr(wholeCommit, "isQuiet", False):
        return

    def commit() -> dict[str, Any]:
        # where the list has another name, as it may in another DIRAC, this is DIRAC's commit
        if getattr(client, _RECORDS, None) == []:
            return S_OK(0)
        result: dict[str, Any] = wholeCommit()
        return result

    commit.isQuiet = True  # type: ignore[attr-defined]
    client.commit = commit
