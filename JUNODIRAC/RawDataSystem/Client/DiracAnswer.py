"""What the answer of a DIRAC service means: a value, "try again later", or a refusal.

The only place that knows how DIRAC words the failures of its network layer and of its databases. Services give most of
them as plain text without an error number, and the file catalogue hands database failures on as the reason of single
files, so the text has to be read.
"""

from __future__ import annotations

import re
from typing import Any

from DIRAC.Core.Utilities import DErrno
from DIRAC.Core.Utilities.ReturnValues import returnValueOrRaise

from JUNODIRAC.Core.Logic.Ports import Refusal, TemporaryFailure

# What DIRAC's transports, service reactor and configuration client say when a service cannot be talked to.
_NOT_REACHABLE = re.compile(
    r"(can't|could not|cannot) connect|error connecting|connection (refused|reset|timeout|closed|seems stalled|aborted)"
    r"|peer closed connection|timed out|timeout|while (reading from|sending to) peer|while sending data|while receiving data"
    r"|error while sending|error in (handhsake|handshake|acceptconnection|_read|_write)|unknown unrecoverable error from socket"
    r"|DISET Error|dns lookup failed|client disconnected|maximum number of connections|is not up in this server|broken pipe"
    r"|cannot get url for|url for service .* not found|failed to get (list of )?urls?|no route to host|network is unreachable"
    r"|could not decode received data|server error while loading handler",
    re.IGNORECASE,
)
_DATABASE = re.compile(r"MySQL Error|SQLAlchemy Error|MySQLdb|OperationalError", re.IGNORECASE)
# MySQL's own numbers for values that a column does not take: the file's fault. Any other database failure (server gone,
# lock wait, table full, read-only) is the server's: it goes away or an operator acts, and the file must wait for it.
_BAD_VALUE = re.compile(r"\b(1048|1062|1264|1265|1292|1366|1406)\b")
# The file catalogue hides a failed query behind these sentences.
_CATALOGUE_QUERY_FAILED = re.compile(
    r"failed (post insert check|checking pre-existing replicas|while registering (replica|extra replicas|ancestors))",
    re.IGNORECASE,
)
_UNAVAILABLE_ERRNOS = frozenset({DErrno.EDISET, DErrno.EDB, DErrno.ESQLA, DErrno.EMQCONN})


class ServiceRefusal(Refusal):
    """A service answered, and the answer is no. Repeating the call will not help until somebody changes something.

    :param component: the service, for example ``Transformation/TransformationManager``
    :param detail: what it said, and what to do about it where we know that
    """

    def __init__(self, component: str, detail: str) -> None:
        self.component = component
        self.detail = detail
        super().__init__(f"{component} refused: {detail}")


def isUnavailable(message: str, errno: int = 0) -> bool:
    """Whether a failure says that the other side is out of order, not that it refuses the request."""
    if errno in _UNAVAILABLE_ERRNOS or _NOT_REACHABLE.search(message) or _CATALOGUE_QUERY_FAILED.search(message):
        return True
    if errno == DErrno.EMYSQL or _DATABASE.search(message):
        return not _BAD_VALUE.search(message)
    return False


def valueOrRaise(result: dict[str, Any], component: str) -> Any:
    """The value of an S_OK.

    :raises TemporaryFailure: if the service or its database is not available
    :raises ServiceRefusal: on any other S_ERROR
    """
    try:
        return returnValueOrRaise(result)
    except Exception as exc:
        detail = str(result.get("Message") or exc)
        if isUnavailable(detail, int(result.get("Errno") or 0)):
            raise TemporaryFailure(component, detail) from exc
        raise ServiceRefusal(component, detail) from exc
