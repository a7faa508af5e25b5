"""Whether a file lies on its source storage as it was announced."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b

from JUNODIRAC.Core.Domain.CheckMode import ChecksumCheck
from JUNODIRAC.Core.Domain.CheckMode import StorageCheck as StorageMode
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.BatchState import Round
from JUNODIRAC.Core.Logic.Candidate import Candidate
from JUNODIRAC.Core.Logic.Ports import QuarantinedMessage, Storage, StoredFile, TemporaryFailure, WaitingMessage

# a file that is not visible yet is asked for again after 10, 20, 40, 60, 60, ... seconds
FIRST_RETRY_SECONDS = 10
MOST_RETRY_SECONDS = 60

Finding = tuple[Reason, str]


class StorageCheck:
    """Asks the storage what the policy of the Type wants to know, in one call for all files of a round."""

    def __init__(self, policy: TypePolicy, storage: Storage) -> None:
        self._policy = policy
        self._storage = storage

    def run(self, current: Round) -> None:
        """Find out sizes that nobody said, and refuse what the storage has otherwise than announced.

        :raises TemporaryFailure: if the storage does not answer
        """
        asked = [leader for leader in current.leaders.values() if self._isAskedFor(leader)]
        if not asked:
            return
        withChecksum = {leader.lfn for leader in asked if self._isChecksumAskedFor(leader.lfn)}
        found = self._storage.look([leader.lfn for leader in asked], withChecksum)
        for leader in asked:
            stored = found.get(leader.lfn)
            if stored is None:
                raise TemporaryFailure(f"storage {self._policy.sourceSE}", f"it did not say anything of {leader.lfn}")
            isChecksumAsked = leader.lfn in withChecksum
            missing = self._missing(leader, stored, isChecksumAsked)
            refused = None if missing else self._compare(leader, stored, isChecksumAsked)
            if missing:
                current.missing[leader.key] = missing
                if not stored.isAsked:
                    current.unasked.add(leader.key)
            elif refused:
                current.refused[leader.key] = refused

    def checkSize(self, sizeBytes: int, lfn: str, said: str) -> Finding | None:
        """What is wrong with a size.

        :param said: who says it
        """
        if sizeBytes == 0:
            return Reason.ZERO_SIZE, f"{said} says that {lfn} has 0 bytes"
        if sizeBytes > self._policy.maxSizeBytes:
            return Reason.TOO_LARGE, f"{said} says that {lfn} has {sizeBytes} bytes, {self._policy.maxSizeBytes} are allowed"
        return None

    def waitOrGiveUp(
        self, candidate: Candidate, finding: Finding, now: datetime, isAsked: bool = True
    ) -> WaitingMessage | QuarantinedMessage:
        """What becomes of a file that the storage does not show: it waits until its grace time is over.

        :param isAsked: a file that was not asked for is not given up: the storage is slow, and the file may be well
        """
        reason, detail = finding
        since = candidate.since or now
        end = since + timedelta(seconds=self._policy.graceSeconds)
        if now >= end and isAsked:
            waited = f", {(now - since).total_seconds():.0f} s after it was asked first" if candidate.since else ""
            return candidate.quarantined(reason, f"{detail}{waited}")
        delaySeconds = min(FIRST_RETRY_SECONDS * 2 ** min(candidate.attempts, 10), MOST_RETRY_SECONDS)
        return candidate.waiting(reason, detail, since, min(now + timedelta(seconds=delaySeconds), max(end, now)))

    def _isAskedFor(self, candidate: Candidate) -> bool:
        if candidate.isLeftOver:
            return False
        return candidate.sizeBytes is None or self._policy.storageCheck is StorageMode.SIZE

    def _isChecksumAskedFor(self, lfn: str) -> bool:
        if self._policy.storageCheck is StorageMode.NONE or self._policy.checksumCheck is ChecksumCheck.TRUST:
            return False
        return self._policy.checksumCheck is ChecksumCheck.ASK or isSampled(lfn, self._policy.checksumSampleShare)

    def _missing(self, leader: Candidate, stored: StoredFile, isChecksumAsked: bool) -> Finding | None:
        storage = self._policy.sourceSE
        if stored.failure:
            return Reason.NO_ANSWER, f"{storage} gave no answer for {leader.lfn}: {stored.failure}"
        if stored.sizeBytes is None:
            return Reason.NOT_ON_STORAGE, f"{storage} has no {leader.lfn}"
        if isChecksumAsked and not stored.checksum:
            return Reason.NO_ANSWER, f"{storage} gave no checksum of {leader.lfn}"
        return None

    def _compare(self, leader: Candidate, stored: StoredFile, isChecksumAsked: bool) -> Finding | None:
        assert stored.sizeBytes is not None  # _missing has looked
        storage, announced = self._policy.sourceSE, leader.announcement
        if announced.fileSize is not None and announced.fileSize != stored.sizeBytes:
            detail = f"{leader.lfn} was announced with {announced.fileSize} bytes, {storage} has {stored.sizeBytes}"
            return Reason.SIZE_MISMATCH, detail
        wrongSize = self.checkSize(stored.sizeBytes, leader.lfn, storage)
        if wrongSize:
            return wrongSize
        if isChecksumAsked and announced.checksum != stored.checksum:
            detail = f"{leader.lfn} was announced with adler32 {announced.checksum}, {storage} has {stored.checksum}"
            return Reason.CHECKSUM_MISMATCH, detail
        leader.sizeBytes = stored.sizeBytes
        return None


def isSampled(lfn: str, share: float) -> bool:
    """Whether a file belongs to a share (0 to 1) of all; the answer for an LFN is always the same."""
    return int.from_bytes(blake2b(lfn.encode(), digest_size=8).digest()) < share * 2**64
