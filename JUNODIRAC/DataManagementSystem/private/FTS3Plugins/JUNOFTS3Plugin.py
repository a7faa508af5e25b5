"""From where files are copied, and under which activity and priority of FTS3.

In use where ``/Operations/.../DataManagement/FTSPlacement/FTS3/FTS3Plugin`` is ``JUNO``. Its rules are in
``/Operations/.../RawData/Sources`` and in the sections of the Types.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from cachetools import TTLCache
from DIRAC import gLogger
from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations
from DIRAC.DataManagementSystem.private.FTS3Plugins.DefaultFTS3Plugin import DefaultFTS3Plugin
from DIRAC.Resources.Storage.StorageElement import StorageElement

from JUNODIRAC.Core.Domain.LFNPattern import LFNPattern
from JUNODIRAC.Core.Domain.PolicyCheck import HIGHEST_FTS_PRIORITY
from JUNODIRAC.Core.Domain.SourceRules import BadSourceRules, SourceRules
from JUNODIRAC.Core.Domain.TransferErrors import policyOf
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.SourceRanking import chooseSource, waitsForRelay
from JUNODIRAC.DataManagementSystem.private.Tails import tails
from JUNODIRAC.DataManagementSystem.private.TransferMemory import transferMemory
from JUNODIRAC.RawDataSystem.Client.PauseBook import pauseBook
from JUNODIRAC.RawDataSystem.Client.TypePolicies import loadEachTypePolicy

_SECTION = "RawData/Sources"
# the files of one cycle ask for the relay's status one by one; DIRAC itself caches it for a minute or more
_RELAY_STATUS_SECONDS = 10


class JUNOFTS3Plugin(DefaultFTS3Plugin):
    """Chooses sources by :mod:`JUNODIRAC.Core.Logic.SourceRanking`; the choice of protocols and servers is DIRAC's.

    DIRAC shares one instance between threads, and makes a new one when the configuration has changed: so the configuration is
    read once, and what is learned of copies lies outside, in ``transferMemory``.
    """

    def __init__(self, vo: str | None = None) -> None:
        super().__init__(vo=vo)
        self._log = gLogger.getSubLogger(self.__class__.__name__)
        self._relayStatus: TTLCache[str, bool] = TTLCache(maxsize=1, ttl=_RELAY_STATUS_SECONDS)

    def selectSourceSE(self, ftsFile: Any, replicaDict: dict[str, Any], allowedSources: list[str] | None) -> str:
        """The storage element to copy a file from.

        DIRAC asks again in each of the agent's cycles for a file that got no source, and counts no attempt.

        :param replicaDict: replicas that the catalogue calls good, at storage elements that may be read
        :param allowedSources: the request's own list; empty: all
        :raises ValueError: if there is none now, the target is paused, the file failed just now, or it waits for the relay
        """
        target = ftsFile.targetSE
        self._checkPatience(ftsFile)
        allowed = set(allowedSources) if allowedSources else set(replicaDict)
        # a replica at the target would be overwritten with itself
        readable, bad = (set(replicaDict) & allowed) - {target}, pauseBook.badSEs(ftsFile.lfn)
        storages = sorted(readable - bad)
        if not storages:
            unfit = f", {sorted(readable & bad)} are known to be bad" if readable & bad else ""
            raise ValueError(
                f"No valid replicas: {sorted(replicaDict) or 'none'} can be read, {sorted(allowed)} are allowed{unfit}"
            )
        sources = transferMemory.sourcesOf(ftsFile, storages, self._rules)
        isExpected = self._rules.relaySE in (allowedSources or [self._rules.relaySE]) and self._expectsRelayCopy(ftsFile)
        if waitsForRelay(sources, target, self._rules, _ageSeconds(ftsFile), isExpected):
            raise ValueError(f"Waits for the copy at {self._rules.relaySE}")
        source = chooseSource(sources, target, self._rules, random.random)
        if source is None:
            raise ValueError("No valid replicas")
        transferMemory.chosen(ftsFile, source.se)
        return source.se

    def inferFTSActivity(self, ftsOperation: Any, rmsRequest: Any, rmsOperation: Any) -> str | None:
        """The activity of the files' Type, None if it has none.

        DIRAC has no method for the priority: it is set here, unless the request has brought one. It is that of the Type; the
        last files of a closed block go one ahead, so that blocks complete instead of waiting behind the next ones.
        """
        policy = self._typeOf(ftsOperation.ftsFiles[0].lfn) if ftsOperation.ftsFiles else None
        if policy is None:
            return None
        if ftsOperation.priority is None:
            isTail = policy.ftsPriority < HIGHEST_FTS_PRIORITY and tails.has(rmsRequest)
            ftsOperation.priority = policy.ftsPriority + int(isTail)
        return policy.ftsActivity or None

    # ---- patience

    def _checkPatience(self, ftsFile: Any) -> None:
        """:raises ValueError: if nothing is copied to the target now, or the last attempt failed a short time ago"""
        pause = pauseBook.ofFile(ftsFile.targetSE, ftsFile.lfn)
        if pause:
            raise ValueError(str(pause))
        if ftsFile.status not in ftsFile.FTS_FAILED_STATES:
            return
        wait = policyOf(ftsFile.error or "").secondsToNextSubmission(ftsFile.attempt or 1) * self._rules.retryWaitScale
        if 0 <= _ageSeconds(ftsFile) < wait:
            raise ValueError(f"Waits {wait:.0f} s after attempt {ftsFile.attempt} failed: {ftsFile.error}")

    # ---- the relay

    def _expectsRelayCopy(self, ftsFile: Any) -> bool:
        """Whether the relay will get this file, as far as one can tell without asking for it.

        After a failed attempt there is no second wait.
        """
        relay = self._rules.relaySE
        if not self._rules.hasRelay(ftsFile.targetSE) or ftsFile.attempt:
            return False
        policy = self._typeOf(ftsFile.lfn)
        return policy is not None and relay in policy.destinations and self._isOpen(relay)

    def _isOpen(self, relay: str) -> bool:
        """Whether the relay can be written and read."""
        isOpen = self._relayStatus.get(relay)
        if isOpen is None:
            status = StorageElement(relay, vo=self.vo).status()
            isOpen = bool(status.get("Read") and status.get("Write"))
            self._relayStatus[relay] = isOpen
        return isOpen

    # ---- the configuration

    @cached_property
    def _rules(self) -> SourceRules:
        """The rules; without those that cannot be used, since copies from any source are better than none."""
        operations = Operations(vo=self.vo)
        options = operations.getOptionsDict(_SECTION).get("Value", {})
        preferences = operations.getOptionsDict(f"{_SECTION}/Preferences").get("Value", {})
        try:
            return SourceRules.fromOptions(options, preferences)
        except BadSourceRules as error:
            self._log.error("Files are copied without preferences and relay until the configuration is corrected", str(error))
            return SourceRules()

    @cached_property
    def _types(self) -> list[tuple[LFNPattern, TypePolicy]]:
        policies, bad = loadEachTypePolicy(self.vo or "")
        for why in bad.values():
            self._log.warn("Files of this Type get no activity, no priority and no relay until it is corrected", why)
        return [(LFNPattern(policy), policy) for policy in policies.values()]

    def _typeOf(self, lfn: str) -> TypePolicy | None:
        """The Type that a file belongs to; where several could have it, the first."""
        return next((policy for pattern, policy in self._types if pattern.matches(lfn)), None)


def _ageSeconds(ftsFile: Any) -> float:
    """How long ago the copy was asked for: until its first attempt a file is not changed. -1 if that is not known."""
    asked = ftsFile.lastUpdate
    if asked is None:
        return -1
    asked = asked.replace(tzinfo=UTC) if asked.tzinfo is None else asked
    return (datetime.now(UTC) - asked).total_seconds()
