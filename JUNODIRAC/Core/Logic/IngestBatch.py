"""One batch of announcements: from Kafka messages to files that are catalogued and on their way.

Every step may be repeated. The caller commits the offsets only after :meth:`IngestBatch.run` returned, so whatever stops it
in between costs a repetition of the batch, never a file and never a duplicate. What becomes of a message does not depend on
where the batches are cut: a batch ends as if its messages had come one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from JUNODIRAC.Core.Domain.Announcement import Announcement, BadAnnouncement, decodeAnnouncement
from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Candidate import Candidate
from JUNODIRAC.Core.Logic.IngestSummary import IngestSummary
from JUNODIRAC.Core.Logic.OpenBlock import BlockMismatch, OpenBlock
from JUNODIRAC.Core.Logic.Ports import (
    Catalogue,
    Ledger,
    Message,
    QuarantinedMessage,
    Storage,
    TemporaryFailure,
    Transformations,
)


@dataclass
class _Outcome:
    """What was decided so far. Nothing of it lives longer than the batch."""

    registered: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    quarantined: list[QuarantinedMessage] = field(default_factory=list)
    recordedQuarantines: int = 0
    openedBlocks: list[Block] = field(default_factory=list)


@dataclass
class _Round:
    """The first usable announcement of each file, the later ones of the same file, and what went wrong with the first."""

    leaders: dict[str, Candidate] = field(default_factory=dict)
    followers: list[Candidate] = field(default_factory=list)
    refused: dict[str, tuple[Reason, str]] = field(default_factory=dict)


class IngestBatch:
    """Brings batches of announcements of one Type into ledger, catalogue and transfers.

    :param policy: of the Type whose topic the messages are from
    """

    def __init__(
        self, policy: TypePolicy, ledger: Ledger, catalogue: Catalogue, transformations: Transformations, storage: Storage
    ) -> None:
        self._policy = policy
        self._ledger = ledger
        self._catalogue = catalogue
        self._transformations = transformations
        self._storage = storage
        self._openBlock = OpenBlock(policy, ledger, catalogue, transformations)

    def run(self, messages: Sequence[Message]) -> IngestSummary:
        """Bring every message of the batch to its end: registered, duplicate or quarantined.

        :raises TemporaryFailure: somebody did not answer; commit nothing and run the same messages again later
        """
        outcome = _Outcome()
        candidates = self._decode(messages, outcome)
        while candidates:
            candidates = self._runRound(candidates, outcome)
        self._recordQuarantines(outcome)
        return IngestSummary(
            messages=len(messages),
            registeredFiles=tuple(outcome.registered),
            duplicateFiles=tuple(outcome.duplicates),
            quarantinedMessages=tuple(outcome.quarantined),
            openedBlocks=tuple(outcome.openedBlocks),
        )

    def _runRound(self, candidates: list[Candidate], outcome: _Outcome) -> list[Candidate]:
        """Bring one announcement of each file to its end, and with it those that repeat or contradict it.

        :returns: announcements that say something else than one which was refused: they deserve a try of their own
        """
        candidates = self._lookUp(candidates)
        current = self._judge(candidates, outcome)
        # Before the rows of the leaders: a bad announcement takes its file's row away, a good one after it takes it back.
        self._recordQuarantines(outcome)
        self._recordAnnounced(current.leaders.values())
        registered: list[str] = []
        for block, members in self._byBlock(current.leaders.values()).items():
            registered += self._ingestBlock(Block(self._policy.typeName, *block), members, current, outcome)
        if registered:
            self._ledger.recordRegistered(registered)
        outcome.registered += registered
        deferred = self._settleOthers(current, outcome)
        self._recordQuarantines(outcome)
        return deferred

    def _decode(self, messages: Sequence[Message], outcome: _Outcome) -> list[Candidate]:
        candidates = []
        for message in messages:
            announcement: Announcement | None = None
            try:
                announcement = decodeAnnouncement(message.payload)
                file = self._policy.resolve(announcement.fileName, announcement.filePath)
            except BadAnnouncement as error:
                item = QuarantinedMessage(
                    message=message,
                    typeName=self._policy.typeName,
                    reason=error.reason,
                    detail=error.detail,
                    fileName=error.fileName,
                    checksum=announcement.checksum if announcement else "",
                    sizeBytes=announcement.fileSize if announcement else None,
                )
                outcome.quarantined.append(item)
            else:
                candidates.append(Candidate(message, announcement, file, announcement.fileSize))
        return candidates

    def _lookUp(self, candidates: list[Candidate]) -> list[Candidate]:
        """Add what the ledger knows of each file, and from the storage the sizes that nobody said."""
        known = self._ledger.findFiles(list({candidate.lfn: candidate.file for candidate in candidates}.values()))
        found = []
        for candidate in candidates:
            entry = known.get(candidate.lfn)
            size = candidate.announcement.fileSize
            if size is None and entry is not None and entry.state != FileState.QUARANTINED:
                size = entry.sizeBytes
            found.append(replace(candidate, known=entry, sizeBytes=size))
        missing = list(dict.fromkeys(each.lfn for each in found if each.sizeBytes is None and not each.isReplayOfQuarantined))
        if not missing:
            return found
        sizesBytes = self._storage.fileSizes(missing)
        return [each if each.sizeBytes is not None else replace(each, sizeBytes=sizesBytes.get(each.lfn)) for each in found]

    def _judge(self, candidates: list[Candidate], outcome: _Outcome) -> _Round:
        """Choose for each file the announcement that is carried through.

        These are new files, files left over from a crash, and quarantined ones that are announced again.
        """
        current = _Round()
        for candidate in candidates:
            entry = candidate.known
            conflict = "" if entry is None or candidate.isNew else candidate.conflictWith(entry.checksum, entry.sizeBytes)
            if candidate.lfn in current.leaders:
                current.followers.append(candidate)
            elif candidate.isReplayOfQuarantined:
                outcome.duplicates.append(candidate.lfn)
            elif conflict:
                outcome.quarantined.append(candidate.quarantined(Reason.CONFLICT, conflict))
            elif entry is not None and entry.state == FileState.REGISTERED:
                outcome.duplicates.append(candidate.lfn)
            elif candidate.sizeBytes is None:
                detail = f"{self._policy.sourceSE} has no {candidate.lfn}"
                outcome.quarantined.append(candidate.quarantined(Reason.NOT_ON_STORAGE, detail))
            elif candidate.sizeBytes == 0:
                said = self._policy.sourceSE if candidate.announcement.fileSize is None else "the announcement"
                detail = f"{said} says that {candidate.lfn} has 0 bytes"
                outcome.quarantined.append(candidate.quarantined(Reason.ZERO_SIZE, detail))
            else:
                current.leaders[candidate.lfn] = candidate
        return current

    def _recordAnnounced(self, leaders: Iterable[Candidate]) -> None:
        """From here on the ledger knows of the files. Rows left over from a crash stand already; they may lack a size."""
        entries, sizesBytes = [], {}
        for candidate in leaders:
            if candidate.known is None or candidate.isNew:
                entries.append(candidate.announcedEntry())
            elif candidate.known.sizeBytes is None and candidate.sizeBytes is not None:
                sizesBytes[candidate.lfn] = candidate.sizeBytes
        if entries:
            self._ledger.recordAnnounced(entries)
        if sizesBytes:
            self._ledger.recordSizes(sizesBytes)

    def _byBlock(self, candidates: Iterable[Candidate]) -> dict[tuple[str, str], list[Candidate]]:
        groups: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
        for candidate in candidates:
            block = self._policy.blockOf(candidate.file)
            groups[block.name, block.directory].append(candidate)
        return groups

    def _ingestBlock(self, block: Block, members: list[Candidate], current: _Round, outcome: _Outcome) -> list[str]:
        """Open the block where needed, register its files, attach them to its transfers.

        :returns: LFNs of the files for which all that is done
        """
        try:
            block, isOpened = self._openBlock.run(block)
        except BlockMismatch as error:
            current.refused |= {candidate.lfn: (Reason.BAD_PATH, str(error)) for candidate in members}
            return []
        if isOpened:
            outcome.openedBlocks.append(block)
        registered = self._register(members, current)
        if registered:
            # All transfers of the block, also one whose SE left the configuration: its metadata query takes the files anyway.
            for transformationID in block.transfers.values():
                self._transformations.attachFiles(transformationID, registered)
        return registered

    def _register(self, members: list[Candidate], current: _Round) -> list[str]:
        result = self._catalogue.registerFiles([candidate.catalogueFile() for candidate in members], self._policy.sourceSE)
        successful = set(result.successful)
        registered = []
        for candidate in members:
            if candidate.lfn in result.failed:
                current.refused[candidate.lfn] = (Reason.CATALOGUE_REFUSED, str(result.failed[candidate.lfn]))
            elif candidate.lfn in successful:
                registered.append(candidate.lfn)
            else:
                raise TemporaryFailure("file catalogue", f"it did not say whether it registered {candidate.lfn}")
        return registered

    def _settleOthers(self, current: _Round, outcome: _Outcome) -> list[Candidate]:
        """Quarantine what was refused, and compare the later announcements of a file with the one carried through."""
        for lfn, (reason, detail) in current.refused.items():
            outcome.quarantined.append(current.leaders[lfn].quarantined(reason, detail))
        deferred: list[Candidate] = []
        retried: set[str] = set()
        for follower in current.followers:
            leader = current.leaders[follower.lfn]
            conflict = follower.conflictWith(leader.announcement.checksum, leader.sizeBytes)
            if follower.lfn in current.refused:
                # refused with it without asking again, unless one in between may get in and settle the matter
                if follower.saysTheSameAs(leader) and follower.lfn not in retried:
                    outcome.quarantined.append(follower.quarantined(*current.refused[follower.lfn]))
                else:
                    retried.add(follower.lfn)
                    deferred.append(follower)
            elif conflict:
                outcome.quarantined.append(follower.quarantined(Reason.CONFLICT, conflict))
            else:
                outcome.duplicates.append(follower.lfn)
        return deferred

    def _recordQuarantines(self, outcome: _Outcome) -> None:
        items = outcome.quarantined[outcome.recordedQuarantines :]
        if items:
            self._ledger.recordQuarantined(items)
            outcome.recordedQuarantines = len(outcome.quarantined)
