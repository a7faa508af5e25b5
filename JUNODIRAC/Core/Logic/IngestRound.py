"""One announcement of each file of a batch, and with it those that repeat or contradict it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Logic.BatchState import BatchState, Round
from JUNODIRAC.Core.Logic.BlockIngest import BlockIngest
from JUNODIRAC.Core.Logic.Candidate import Candidate
from JUNODIRAC.Core.Logic.Judgement import Judgement
from JUNODIRAC.Core.Logic.LateArrivals import LateArrivals
from JUNODIRAC.Core.Logic.OpenBlock import BlockMismatch
from JUNODIRAC.Core.Logic.Ports import DirectoryTaken, Ledger, WaitingMessage
from JUNODIRAC.Core.Logic.Stopwatch import Stopwatch
from JUNODIRAC.Core.Logic.StorageCheck import Finding, StorageCheck

# so few that both services have work while a batch is carried, so many that a call costs little beside its files
_FILES_AT_A_TIME = 1000


class IngestRound:
    """Most batches have one round. A file whose first announcement was refused gets another for the next one.

    :param watch: of the batch
    """

    def __init__(
        self, ledger: Ledger, storageCheck: StorageCheck, lateArrivals: LateArrivals, blocks: BlockIngest, watch: Stopwatch
    ) -> None:
        self._ledger = ledger
        self._lateArrivals = lateArrivals
        self._storageCheck = storageCheck
        self._judgement = Judgement(ledger, storageCheck)
        self._blocks = blocks
        self._watch = watch

    def run(self, candidates: list[Candidate], state: BatchState, now: datetime) -> list[Candidate]:
        """Bring one announcement of each file to its end.

        :returns: announcements that say something else than one which was refused: they deserve a try of their own
        """
        with self._watch.stage("ledger"):
            quarantinedBefore = self._judgement.lookUp(candidates, state)
        with self._watch.stage("decode"):
            current = self._judgement.judge(candidates, quarantinedBefore, state)
        with self._watch.stage("storage"):
            self._storageCheck.run(current)
        with self._watch.stage("ledger"):
            # Before the rows of the leaders: a bad announcement takes its file's row away, a good one after it takes it back.
            self._recordQuarantines(state)
            self._lateArrivals.run(current)
            self._recordAnnounced(current)
        registered = self._carry(current, state)
        with self._watch.stage("ledger"):
            if registered:
                self._ledger.recordRegistered([candidate.lfn for candidate in registered])
        for candidate in registered:
            state.addRegistered(candidate)
        return self._settleOthers(current, state, now)

    # ---- rows of the leaders

    def _recordAnnounced(self, current: Round) -> None:
        """From here on the ledger knows of the files. Rows left over from a crash stand already; they may lack a size."""
        leaders = current.carried()
        sizesBytes = {
            leader.lfn: leader.sizeBytes
            for leader in leaders
            if leader.sizeBytes is not None and not leader.isNew and leader.known is not None and leader.known.sizeBytes is None
        }
        new = [leader for leader in leaders if leader.isNew]
        while new:
            try:
                self._ledger.recordAnnounced([leader.announcedEntry() for leader in new])
            except DirectoryTaken as error:
                taken = _takenFrom(error, new)
                current.refused |= {leader.key: finding for leader, finding in taken.items()}
                new = [leader for leader in new if leader not in taken]
            else:
                break
        if sizesBytes:
            self._ledger.recordSizes(sizesBytes)

    # ---- catalogue and transfers

    def _carry(self, current: Round, state: BatchState) -> list[Candidate]:
        """Open blocks, register their files and attach them to the transfers, some files at a time.

        While some are attached, the next ones are registered: catalogue and Transformation System are two services. Neither
        outcome is recorded before both are durable.

        :returns: files for which all that is done
        """
        with ThreadPoolExecutor(1, thread_name_prefix="attach") as worker:
            attaching = [
                (members, worker.submit(self._attach, block, members)) for block, members in self._register(current, state)
            ]
        done: list[Candidate] = []
        for members, outcome in attaching:
            attached, refused = outcome.result()
            said = {
                lfn: f"it is in the catalogue, but the Transformation System refused it: {text}" for lfn, text in refused.items()
            }
            _refuse(current, members, Reason.CATALOGUE_REFUSED, said)
            done += attached
        return done

    def _register(self, current: Round, state: BatchState) -> Iterator[tuple[Block, list[Candidate]]]:
        """Open each block where needed and register its files.

        :returns: some files that are in the catalogue now, and their block, as soon as they are
        """
        for block, members in self._blocks.group(current.carried()):
            try:
                with self._watch.stage("blocks"):
                    opened, isOpened = self._blocks.open(block, current.blocks.get(block.name))
            except (BlockMismatch, DirectoryTaken) as error:
                _refuse(current, members, Reason.BAD_PATH, dict.fromkeys((each.lfn for each in members), str(error)))
                continue
            if isOpened:
                state.openedBlocks.append(opened)
            for start in range(0, len(members), _FILES_AT_A_TIME):
                some = members[start : start + _FILES_AT_A_TIME]
                with self._watch.stage("catalogue"):
                    accepted, refused = self._blocks.register(some)
                _refuse(current, some, Reason.CATALOGUE_REFUSED, refused)
                yield opened, accepted

    def _attach(self, block: Block, members: Sequence[Candidate]) -> tuple[list[Candidate], Mapping[str, str]]:
        """In a thread of its own; no other one counts for this stage."""
        with self._watch.stage("transfers"):
            return self._blocks.attach(block, members)

    # ---- the others

    def _settleOthers(self, current: Round, state: BatchState, now: datetime) -> list[Candidate]:
        """Quarantine what was refused, and compare the later announcements of a file with the one carried through."""
        missing = [(current.leaders[key], finding) for key, finding in current.missing.items()]
        for key, finding in current.refused.items():
            state.addQuarantined(current.leaders[key].quarantined(*finding))
        deferred = [candidate for candidates in current.postponed.values() for candidate in candidates]
        retried: set[str] = set()
        for follower in current.followers:
            key, leader = follower.key, current.leaders[follower.key]
            if key in current.refused or key in current.missing:
                # the same end without asking again, unless one in between may get in and settle the matter
                if key in retried or not follower.saysTheSameAs(leader):
                    retried.add(key)
                    deferred.append(follower)
                elif key in current.refused:
                    state.addQuarantined(follower.quarantined(*current.refused[key]))
                else:
                    missing.append((follower, current.missing[key]))
                continue
            conflict = follower.conflictWith(leader.lfn, leader.announcement.checksum, leader.sizeBytes)
            if conflict:
                state.addQuarantined(follower.quarantined(Reason.CONFLICT, conflict))
            else:
                follower.followUp = leader.followUp
                state.addDuplicate(follower)
        with self._watch.stage("ledger"):
            self._recordMissing(missing, current.unasked, state, now)
        return deferred

    def _recordMissing(
        self, missing: list[tuple[Candidate, Finding]], unasked: set[str], state: BatchState, now: datetime
    ) -> None:
        """Let those wait whose time is not over, and quarantine the others with all that was refused."""
        waiting: dict[Candidate, WaitingMessage] = {}
        for candidate, finding in missing:
            ending = self._storageCheck.waitOrGiveUp(candidate, finding, now, candidate.key not in unasked)
            if isinstance(ending, WaitingMessage):
                waiting[candidate] = ending
            else:
                state.addQuarantined(ending)
        # The younger announcement, which waits, has the last word on the row.
        self._recordQuarantines(state)
        while waiting:
            try:
                self._ledger.recordWaiting(list(waiting.values()))
            except DirectoryTaken as error:
                for candidate, finding in _takenFrom(error, waiting).items():
                    state.addQuarantined(candidate.quarantined(*finding))
                    del waiting[candidate]
            else:
                break
        state.waiting += waiting.values()
        self._recordQuarantines(state)

    def _recordQuarantines(self, state: BatchState) -> None:
        items = state.takeQuarantines()
        if items:
            self._ledger.recordQuarantined(items)


def _takenFrom(error: DirectoryTaken, candidates: Iterable[Candidate]) -> dict[Candidate, Finding]:
    """Those whose directory the ledger has under another block.

    :raises DirectoryTaken: if there is none, so that asking again would not end
    """
    taken = {
        candidate: (
            Reason.BAD_PATH,
            f"{candidate.file.directory} belongs to {error.blocks[candidate.file.directory]} in the ledger",
        )
        for candidate in candidates
        if candidate.file.directory in error.blocks
    }
    if not taken:
        raise error
    return taken


def _refuse(current: Round, members: Iterable[Candidate], reason: Reason, said: Mapping[str, str]) -> None:
    if said:
        current.refused |= {each.key: (reason, said[each.lfn]) for each in members if each.lfn in said}
