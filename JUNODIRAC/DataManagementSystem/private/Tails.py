"""Which requests are of blocks that are nearly complete, and so go ahead of the others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from DIRAC import gLogger
from DIRAC.Core.Utilities.ReturnValues import returnValueOrRaise

from JUNODIRAC.RawDataSystem.Client.CachedAnswer import CachedAnswer
from JUNODIRAC.RawDataSystem.Client.RawDataManagerClient import RawDataManagerClient

_TIMEOUT_SECONDS = 10
# RequestTaskAgent calls a request by its transformation and task
_TASK_NAME = re.compile(r"(\d{8})_\d{8}")


def _askService() -> frozenset[int]:
    return frozenset(returnValueOrRaise(RawDataManagerClient(timeout=_TIMEOUT_SECONDS).getTails()))


class Tails:
    """What the service says, at most ten seconds old. Without an answer nothing goes ahead: copies are made all the same.

    :param ask: for the transformations of such blocks
    """

    def __init__(self, ask: Callable[[], frozenset[int]] = _askService) -> None:
        self._log = gLogger.getSubLogger(self.__class__.__name__)
        self._numbers = CachedAnswer(
            ask, frozenset[int](), lambda why: self._log.warn("Tails of blocks go ahead as they were known before", why)
        )

    def has(self, rmsRequest: Any) -> bool:
        """Whether a request is of a task of such a block."""
        name = _TASK_NAME.fullmatch(getattr(rmsRequest, "RequestName", None) or "")
        return name is not None and int(name[1]) in self._numbers.get()


#: that of this process: DIRAC makes plugins anew whenever the configuration changes
tails = Tails()
