"""What the ledger and the announcement alone say of each candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.BatchState import BatchState, Position, Round
from JUNODIRAC.Core.Logic.Candidate import Candidate
from JUNODIRAC.Core.Logic.Ports import Ledger
from JUNODIRAC.Core.Logic.StorageCheck import StorageCheck


class Judgement:
    """Chooses for each file the announcement that is carried through, and settles those that need nothing more."""

    def __init__(self, ledger: Ledger, storageCheck: StorageCheck) -> None:
        self._ledger = ledger
        self._storageCheck = storageCheck

    def lookUp(self, candidates: list[Candidate], state: BatchState) -> Mapping[Position, tuple[Reason, str]]:
        """Add what the ledger knows of each file.

        :returns: reason and detail of those messages that were quarantined before
        """
        known = self._ledger.findFiles(list({candidate.lfn: candidate.file for candidate in candidates}.values()))
        doubtful: list[Position] = []
        for candidate in candidates:
            entry = known.get(candidate.lfn)
            candidate.meet(entry)
            if entry is None:
                continue
            if entry.state == FileState.WAITING:
                state.mayWait.add(candidate.message.position)
            # the row's own message, if it is on its way or went through, has no earlier end but that
            if not (candidate.isOwnRow and entry.state in (FileState.ANNOUNCED, FileState.REGISTERED)):
                doubtful.append(candidate.message.position)
        return self._ledger.findQuarantined(doubtful) if doubtful else {}

    def judge(
        self, candidates: Sequence[Candidate], quarantinedBefore: Mapping[Position, tuple[Reason, str]], state: BatchState
    ) -> Round:
        """Leaders are new files, files left over from a crash, and those that were given up and are announced again.

        A message that had its end before, and comes again after a crash, has it again: those who follow the status topic
        may not have heard of it.
        """
        current = Round()
        # files that a crash left behind, and whose own message is in the batch: it goes before those that came before it
        unfinished = {each.key for each in candidates if each.isOwnRow and each.isUnfinished}
        for candidate in candidates:
            before = quarantinedBefore.get(candidate.message.position) if quarantinedBefore else None
            if before is not None:
                state.addQuarantinedBefore(candidate, *before)
            elif candidate.key in current.leaders:
                current.followers.append(candidate)
            elif (unfinished or current.settled) and _mustAskAgain(candidate, current, unfinished):
                current.postponed.setdefault(candidate.key, []).append(candidate)
            else:
                unfinished.discard(candidate.key)
                if self._isSettled(candidate, state):
                    current.settled[candidate.key] = candidate.lfn
                else:
                    current.leaders[candidate.key] = candidate
        return current

    def _isSettled(self, candidate: Candidate, state: BatchState) -> bool:
        """Whether the matter is decided without asking anybody else."""
        conflict = _conflictWithRow(candidate)
        if conflict:
            state.addQuarantined(candidate.quarantined(Reason.CONFLICT, conflict))
            return True
        if candidate.known is not None and candidate.known.state == FileState.REGISTERED:
            if candidate.isOwnRow:
                state.addRepeated(candidate)
            else:
                state.addDuplicate(candidate)
            return True
        if candidate.sizeBytes is not None and not candidate.isLeftOver:
            wrongSize = self._storageCheck.checkSize(candidate.sizeBytes, candidate.lfn, "the announcement")
            if wrongSize:
                state.addQuarantined(candidate.quarantined(*wrongSize))
                return True
        return False


def _mustAskAgain(candidate: Candidate, current: Round, unfinished: set[str]) -> bool:
    """Whether the ledger will know more of the file after this round, by a message that goes before this one.

    Either a crash left the file of that message behind; or the names differ in case alone, and the other one gets the row.
    """
    if candidate.key in unfinished:
        return not (candidate.isOwnRow and candidate.isUnfinished)
    return candidate.key in current.postponed or current.settled.get(candidate.key, candidate.lfn) != candidate.lfn


def _conflictWithRow(candidate: Candidate) -> str:
    """A row that was given up, or that waits, claims nothing but its name."""
    entry = candidate.known
    if entry is None:
        return ""
    if candidate.isNew:
        return candidate.conflictWith(entry.file.lfn, candidate.announcement.checksum, None)
    return candidate.conflictWith(entry.file.lfn, entry.checksum, entry.sizeBytes)
