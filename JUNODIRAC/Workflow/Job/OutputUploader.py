"""Brings the output of a job to a storage element: the site's own, or the next one if that does not take it whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure

_TRIES = 2
#: of what one storage says, in the tables; the log has all of it
_MAX_TROUBLE_CHARS = 160


class OutputUploader:
    """Writes one file.

    :param storageElement: DIRAC's storage element of a name
    :param note: called with its name before a storage element is written to, so that what is left there is found
    :param sleep: waits so many seconds
    :param say: tells people what went wrong
    """

    def __init__(
        self,
        storageElement: Callable[[str], Any],
        note: Callable[[str], None],
        sleep: Callable[[float], None],
        say: Callable[[str], None],
        waitSeconds: float = 5.0,
    ) -> None:
        self._storageElement, self._note, self._sleep, self._say = storageElement, note, sleep, say
        self._waitSeconds = waitSeconds

    def upload(self, local: Path, lfn: str, sizeBytes: int, checksum: str, storages: Sequence[str]) -> str:
        """Copy the file and compare it at the storage.

        :param storages: in the order in which they are tried
        :returns: the storage element that has it
        :raises JobFailure: UploadFailed if none took it, or what ``note`` raises
        """
        troubles = []
        for se in storages:
            self._note(se)
            for number in range(_TRIES):
                if number:
                    self._sleep(self._waitSeconds)
                trouble = self._try(local, lfn, sizeBytes, checksum, se)
                if not trouble:
                    return se
                self._say(f"{lfn} to {se}: {trouble}")
                self.remove(lfn, se)
            troubles.append(f"{se}: {trouble[:_MAX_TROUBLE_CHARS]}")
        raise JobFailure(JobError.UPLOAD_FAILED, f"{lfn}; {'; '.join(troubles)}")

    def remove(self, lfn: str, se: str) -> None:
        """Take back what was written; what cannot be removed now is removed by the recovery, since it was noted."""
        result = self._storageElement(se).removeFile(lfn)
        if trouble := _trouble(result, lfn):
            self._say(f"{lfn} is still at {se}: {trouble}")

    def _try(self, local: Path, lfn: str, sizeBytes: int, checksum: str, se: str) -> str:
        """:returns: what went wrong, empty if nothing did"""
        storage = self._storageElement(se)
        if trouble := _trouble(storage.putFile({lfn: str(local)}), lfn):
            return trouble
        result = storage.getFileMetadata(lfn)
        if trouble := _trouble(result, lfn):
            return f"it was written, and the storage does not say what it has: {trouble}"
        there = result["Value"]["Successful"][lfn]
        theirs = str(there.get("Checksum") or "").lower()
        if int(there.get("Size", -1)) != sizeBytes:
            return f"{there.get('Size')} bytes arrived of {sizeBytes}"
        # a storage that keeps no checksums has none to compare
        if theirs and theirs.zfill(8) != checksum:
            return f"it arrived with adler32 {theirs}, not {checksum}"
        return ""


def _trouble(result: dict[str, Any], lfn: str) -> str:
    if not result["OK"]:
        return str(result["Message"])
    if lfn not in result["Value"]["Successful"]:
        return str(result["Value"]["Failed"].get(lfn, "no answer"))
    return ""
