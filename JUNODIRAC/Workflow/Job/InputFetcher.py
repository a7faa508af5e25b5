"""Brings the inputs of a job onto its machine: from the site's own storage first, and each byte compared with the ledger."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import isUnavailable, valueOrRaise
from JUNODIRAC.Workflow.Job.JobState import JobInput, adler32
from JUNODIRAC.Workflow.Job.Patience import Patience

CATALOGUE = "DataManagement/FileCatalog"
_TRIES = 2
#: of what one storage says, in the tables; the log has all of it
_MAX_TROUBLE_CHARS = 160
#: how a failed copy says that the disk of this machine is full
_NO_ROOM = ("no space left", "disk quota exceeded")
#: of room that is left beside inputs and output
_SPARE_BYTES = 50_000_000


class InputFetcher:
    """Gets files from storage elements.

    :param catalogue: DIRAC's FileCatalogClient
    :param storageElement: DIRAC's storage element of a name
    :param siteStorages: those of the job's site, which are asked first
    :param say: tells people what was wrong with a replica
    """

    def __init__(
        self,
        catalogue: Any,
        storageElement: Callable[[str], Any],
        siteStorages: Collection[str],
        patience: Patience,
        say: Callable[[str], None],
    ) -> None:
        self._catalogue, self._storageElement, self._siteStorages = catalogue, storageElement, siteStorages
        self._patience, self._say = patience, say
        #: what is wrong with replicas whose bytes are, by storage element and LFN
        self.corrupt: dict[str, dict[str, str]] = defaultdict(dict)

    def fetch(self, inputs: Sequence[JobInput], directory: Path) -> list[Path]:
        """All inputs as local files, in order.

        :raises JobFailure: InputGone, InputUnreadable, InputCorrupt, NoRoom or ServiceAway
        """
        # the output is not larger than the inputs
        neededBytes = 2 * sum(each.sizeBytes for each in inputs) + _SPARE_BYTES
        freeBytes = shutil.disk_usage(directory).free
        if freeBytes < neededBytes:
            raise JobFailure(JobError.NO_ROOM, f"{neededBytes:,} bytes are needed in {directory}, {freeBytes:,} are free")
        replicas = self._replicas([each.lfn for each in inputs])
        # a folder for each: two inputs may have one name
        folders = [directory / f"{number:04d}" for number, _ in enumerate(inputs)]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        return [self._fetchOne(each, replicas.get(each.lfn, {}), folder) for each, folder in zip(inputs, folders, strict=True)]

    def _replicas(self, lfns: list[str]) -> dict[str, Mapping[str, str]]:
        def ask() -> dict[str, Mapping[str, str]]:
            answer = valueOrRaise(self._catalogue.getReplicas(lfns), CATALOGUE)
            for reason in answer["Failed"].values():
                if isUnavailable(str(reason)):
                    raise TemporaryFailure(CATALOGUE, str(reason))
            found: dict[str, Mapping[str, str]] = answer["Successful"]
            return found

        return self._patience.ask(ask)

    def _fetchOne(self, wanted: JobInput, replicas: Collection[str], directory: Path) -> Path:
        if not replicas:
            raise JobFailure(JobError.INPUT_GONE, wanted.lfn)
        target = directory / wanted.name
        troubles, areCorrupt = [], []
        for se in sorted(replicas, key=lambda se: (se not in self._siteStorages, se)):
            for _ in range(_TRIES):
                trouble, isCorrupt = self._try(wanted, se, target)
                if not trouble:
                    return target
                target.unlink(missing_ok=True)
                self._say(f"{wanted.lfn} at {se}: {trouble}")
                if any(word in trouble.lower() for word in _NO_ROOM):
                    raise JobFailure(JobError.NO_ROOM, trouble)
            troubles.append(f"{se}: {trouble[:_MAX_TROUBLE_CHARS]}")
            areCorrupt.append(isCorrupt)
            if isCorrupt:
                self.corrupt[se][wanted.lfn] = trouble
        error = JobError.INPUT_CORRUPT if all(areCorrupt) else JobError.INPUT_UNREADABLE
        raise JobFailure(error, f"{wanted.lfn}; {'; '.join(troubles)}")

    def _try(self, wanted: JobInput, se: str, target: Path) -> tuple[str, bool]:
        """Copy a replica and compare it.

        :returns: what is wrong, empty if nothing is, and whether the storage's bytes are
        """
        result = self._storageElement(se).getFile(wanted.lfn, localPath=str(target.parent))
        if not result["OK"]:
            return str(result["Message"]), False
        if wanted.lfn not in result["Value"]["Successful"]:
            trouble = str(result["Value"]["Failed"].get(wanted.lfn, "no answer"))
            # where the storage element has a ChecksumType, gfal2 compares the copy with what the storage says
            return trouble, "checksum" in trouble.lower()
        try:
            sizeBytes, checksum = target.stat().st_size, adler32(target)
        except OSError as error:
            return f"the copy cannot be read: {error.strerror}", False
        if (sizeBytes, checksum) != (wanted.sizeBytes, wanted.checksum):
            declared = f"{wanted.sizeBytes} bytes with adler32 {wanted.checksum}"
            return f"{sizeBytes} bytes with adler32 {checksum}, not {declared}", True
        return "", False
