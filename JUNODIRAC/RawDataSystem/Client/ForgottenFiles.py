"""Announces files that lie on the source storage and that nobody announced."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from JUNODIRAC.Core.Domain.Announcement import BadAnnouncement
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Ports import LedgerEntry, Storage, StoredFile
from JUNODIRAC.RawDataSystem.Client.TopicWriter import OutgoingMessage, TopicWriter


class KnownFiles(Protocol):
    """What is asked of the ledger."""

    def findFiles(self, files: Sequence[RawFile]) -> Mapping[str, LedgerEntry]: ...


class ForgottenFiles:
    """Speaks for the producer of one Type: size and checksum are those that the storage tells.

    :param policy: of the Type
    """

    def __init__(self, policy: TypePolicy, ledger: KnownFiles, storage: Storage, writer: TopicWriter) -> None:
        self._policy = policy
        self._ledger = ledger
        self._storage = storage
        self._writer = writer

    def announce(self, lfns: Sequence[str], actor: str, journal: Callable[[str], None]) -> dict[str, list[dict[str, str]]]:
        """Announce files of the Type that the ledger does not know.

        An empty file is announced too: it ends in quarantine with its reason, instead of staying unseen.

        :param journal: is told each LFN before it is announced: what was cut short must be in the journal too
        :returns: Done (LFN and its place in Kafka), Refused (LFN, Why)
        :raises TemporaryFailure: if storage or ledger do not answer; nothing was announced
        """
        refused: dict[str, str] = {}
        files = self._resolve(lfns, refused)
        known = self._ledger.findFiles(list(files.values()))
        refused |= {lfn: f"the ledger has it already, {known[lfn].state}" for lfn in files if lfn in known}
        wanted = [lfn for lfn in files if lfn not in known]
        found = self._storage.look(wanted, withChecksum=wanted) if wanted else {}
        messages = []
        for lfn in wanted:
            stored = found.get(lfn, StoredFile(None, failure="the storage said nothing of it"))
            why = _whyNot(stored)
            if why:
                refused[lfn] = why
            else:
                messages.append(self._message(files[lfn], stored, actor))
        for message in messages:
            journal(message.name)
        written = self._writer.write(self._policy.topic, messages) if messages else None
        if written is not None:
            refused |= written.failed
        return {
            "Done": [{"LFN": lfn, "Position": place} for lfn, place in written.confirmed.items()] if written else [],
            "Refused": [{"LFN": lfn, "Why": refused[lfn]} for lfn in lfns if lfn in refused],
        }

    def _resolve(self, lfns: Sequence[str], refused: dict[str, str]) -> dict[str, RawFile]:
        """The files, as their announcement will be read by the receiver."""
        files = {}
        for lfn in dict.fromkeys(lfns):
            try:
                file = self._policy.resolve(lfn.rpartition("/")[2], self._pathOf(lfn))
            except BadAnnouncement as error:
                refused[lfn] = f"{error.reason}: {error.detail}"
                continue
            if file.lfn == lfn:
                files[lfn] = file
            else:
                refused[lfn] = f"its announcement would be read as {file.lfn}: LFNRule does not keep the path"
        return files

    def _pathOf(self, lfn: str) -> str:
        return f"{self._policy.eosRoot}{lfn}"

    def _message(self, file: RawFile, stored: StoredFile, actor: str) -> OutgoingMessage:
        content = {
            "FileName": file.lfn.rpartition("/")[2],
            "FilePath": self._pathOf(file.lfn),
            "Checksum": stored.checksum,
            "FileSize": stored.sizeBytes,
        }
        # keyed by block, as a producer does it: a block's files stay in one partition
        return OutgoingMessage(file.lfn, json.dumps(content).encode(), file.block.encode(), {"announced-by": actor})


def _whyNot(stored: StoredFile) -> str:
    if stored.failure:
        return f"the storage gave no answer: {stored.failure}"
    if stored.sizeBytes is None:
        return "it is not on the source storage"
    return "" if stored.checksum else "the storage does not tell its adler32"
