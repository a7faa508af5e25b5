"""The repair of some files of a block at one site: judged by the truth table, acted on, written down. No clock is read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from JUNODIRAC.Core.Domain.RepairRecords import RepairRecord, RepairState
from JUNODIRAC.Core.Domain.RepairTable import COPIES, RepairAction
from JUNODIRAC.Core.Domain.TransferErrors import POLICIES, ErrorClass
from JUNODIRAC.Core.Domain.TransferFacts import CopyState
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.Core.Logic.RepairFile import FORGET_SECONDS, GIVEN_UP_SECONDS, LOOK_SECONDS, WRONG, FileUnderRepair, RepairOptions
from JUNODIRAC.Core.Logic.RepairPorts import BlockAtSite, RepairBook, RepairFacts, RepairHands

ACTOR = "BlockRepairAgent"
_NOT_TOLD = frozenset({RepairAction.WAIT, RepairAction.SETTLED})


@dataclass(frozen=True)
class Failure:
    """A copy that failed: of what class, when, and what was said."""

    lfn: str
    errorClass: ErrorClass
    time: datetime
    text: str


@dataclass
class RepairOutcome:
    """What a look came to.

    :param actions: how often each was taken
    :param failures: copies that failed
    :param repaired: files that are well again
    :param quiet: files of which nothing is written down: something else is at work
    """

    actions: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    repaired: int = 0
    quiet: list[str] = field(default_factory=list)

    def add(self, other: RepairOutcome) -> None:
        """Sum up."""
        self.actions += other.actions
        self.failures += other.failures
        self.repaired += other.repaired
        self.quiet += other.quiet

    def __str__(self) -> str:
        told = [f"{count} {action}" for action, count in sorted(self.actions.items()) if count]
        return ", ".join([*told, f"{self.repaired} repaired"])


class RepairCycle:
    """Looks at files of one site, a block after the other."""

    def __init__(self, book: RepairBook, facts: RepairFacts, hands: RepairHands, options: RepairOptions) -> None:
        self._book, self._facts, self._hands, self._options = book, facts, hands, options
        self._blockedTime: datetime | None = None

    def repair(
        self,
        at: BlockAtSite,
        named: Mapping[str, datetime | None],
        now: datetime,
        isPaused: bool = False,
        blockedTime: datetime | None = None,
    ) -> RepairOutcome:
        """Look at files and do what is to be done.

        :param named: the files, each with the time of the bad validation that named it, or None
        :param isPaused: whether nothing may be copied there now
        :param blockedTime: when that was so last
        """
        self._blockedTime = blockedTime
        if at.se == at.sourceSE:
            return RepairOutcome()  # nothing is ever changed at the source
        files = self._files(at, named, now)
        self._decide(files, now)
        self._askStorage([each for each in files if each.action is RepairAction.ASK], now)
        self._deregister([each for each in files if each.action is RepairAction.DEREGISTER], at, now)
        self._askSources(files, now)
        for each in files:
            isEarly = isPaused or now < each.dueTime(now, self._options.timeScale)
            each.isWaiting = each.action in COPIES and isEarly
        told = [each for each in files if not each.isWaiting and each.action not in _NOT_TOLD and self._isNews(each)]
        self._journal(told, at)
        self._act([each for each in files if not each.isWaiting], at)
        self._write(files, at, now)
        return self._outcome(files)

    # ---- judging

    def _files(self, at: BlockAtSite, named: Mapping[str, datetime | None], now: datetime) -> list[FileUnderRepair]:
        declared = self._book.declaredCopies(list(named))
        records = self._book.readRepairs(at.blockID, at.se, list(declared))
        bad = self._book.readBadReplicas(list(declared))
        found = []
        for lfn, facts in self._facts.read(at.transformationID, at.se, list(declared)).items():
            record, since = records.get(lfn), named[lfn]
            isSuspected = since is not None and (record is None or record.lastTime < since)
            attempts = record.attempts if record and not self._isForgotten(record, now) else 0
            badSEs = set(bad.get(lfn, ()))
            found.append(FileUnderRepair(lfn, facts, declared[lfn], record, isSuspected, attempts, at.maxAttempts, badSEs))
        return found

    def _isForgotten(self, record: RepairRecord, now: datetime) -> bool:
        forgetSeconds = FORGET_SECONDS * self._options.timeScale
        return record.state is RepairState.REPAIRED and (now - record.lastTime).total_seconds() > forgetSeconds

    def _decide(self, files: Iterable[FileUnderRepair], now: datetime) -> None:
        for each in files:
            each.decide(now, self._options.stuckSeconds, self._blockedTime)

    def _askStorage(self, files: Sequence[FileUnderRepair], now: datetime) -> None:
        """Where the table needs to know what lies there."""
        if not files:
            return
        try:
            found = self._facts.withCopies([each.facts for each in files], {each.lfn: each.expected for each in files})
        except TemporaryFailure as error:
            found = {each.lfn: replace(each.facts, copyDetail=str(error)) for each in files}
        for each in files:
            answer = found[each.lfn]
            isMute = answer.copy is CopyState.UNKNOWN and not answer.copyDetail
            each.facts = replace(answer, copyDetail="no answer") if isMute else answer
        self._decide(files, now)

    def _deregister(self, files: Sequence[FileUnderRepair], at: BlockAtSite, now: datetime) -> None:
        """A registered copy that is not right goes at once. Wrong bytes are never a source again, until a good copy is there."""
        if not files:
            return
        self._journal(files, at)
        wrong = {each.declared.fileID: each.facts.copyDetail for each in files if each.facts.copy in WRONG}
        self._book.markBad(at.se, wrong)
        failed = self._hands.deregister(at.se, [each.lfn for each in files])
        gone = [each for each in files if each.lfn not in failed]
        present = [each.lfn for each in gone if each.facts.copy in WRONG]
        if present:
            self._hands.delete(at.se, present)  # what stays is overwritten by the next copy
        for each in files:
            each.failure = failed.get(each.lfn, "")
        for each in gone:
            each.isDeregistered = True
            each.facts = replace(each.facts, hasReplica=False)
        self._decide(gone, now)

    def _askSources(self, files: Sequence[FileUnderRepair], now: datetime) -> None:
        """Whether the other replicas are right: where a failure speaks against them, or where all are known to be bad."""
        doubtful = [
            each
            for each in files
            if (each.action in COPIES and POLICIES[each.errorClass].asksSources)
            or (each.action is RepairAction.GIVE_UP and each.facts.hasReplica is False and each.isUnsourced)
        ]
        bySE: dict[str, list[FileUnderRepair]] = defaultdict(list)
        for each in doubtful:
            for se in each.facts.otherSEs:
                bySE[se].append(each)
        for se, members in bySE.items():
            try:
                found = self._facts.copiesAt(se, {each.lfn: each.expected for each in members})
            except TemporaryFailure:
                continue  # nobody knows, and the next attempt tells more
            self._judgeSources(se, members, found)
        self._decide(doubtful, now)

    def _judgeSources(self, se: str, members: Sequence[FileUnderRepair], found: Mapping[str, tuple[CopyState, str]]) -> None:
        bad = [each for each in members if found[each.lfn][0] in (*WRONG, CopyState.MISSING)]
        good = [each for each in members if found[each.lfn][0] is CopyState.GOOD]
        self._book.markBad(se, {each.declared.fileID: found[each.lfn][1] for each in bad})
        self._book.endBad(se, [each.declared.fileID for each in good if se in each.badSEs])
        for each in bad:
            each.badSEs.add(se)
            each.failure = f"{se}: {found[each.lfn][1]}"
        for each in good:
            each.badSEs.discard(se)

    # ---- acting

    def _act(self, files: Sequence[FileUnderRepair], at: BlockAtSite) -> None:
        for action in RepairAction:
            members = [each for each in files if each.action is action]
            if members:
                failed = self._do(action, members, at)
                for each in members:
                    each.failure = failed.get(each.lfn, each.failure)

    def _do(self, action: RepairAction, files: Sequence[FileUnderRepair], at: BlockAtSite) -> Mapping[str, str]:
        """Do one thing to all of them.

        :returns: why it did not work, by LFN
        """
        hands, lfns = self._hands, [each.lfn for each in files]
        if action is RepairAction.ATTACH:
            return hands.attach(at.transformationID, lfns)
        if action is RepairAction.SET_PROCESSED:
            return hands.setProcessed(at.transformationID, lfns)
        if action is RepairAction.ADOPT:
            failed = dict(hands.register(at.se, lfns))
            return failed | dict(hands.setProcessed(at.transformationID, [lfn for lfn in lfns if lfn not in failed]))
        if action is RepairAction.RESET_TASK:
            kept = (each.facts.requestID for each in files if each.facts.requestStatus not in ("Canceled", "Gone"))
            hands.cancelRequests({requestID for requestID in kept if requestID})
        if action in COPIES:
            return hands.setUnused(at.transformationID, lfns)
        if action is RepairAction.SETTLED:
            self._book.endBad(at.se, [each.declared.fileID for each in files if at.se in each.badSEs])
        return {}

    # ---- writing down

    @staticmethod
    def _isNews(each: FileUnderRepair) -> bool:
        """Whether this was not said before."""
        isKnown = each.record is not None and each.record.state is RepairState.GIVEN_UP
        return each.action is not RepairAction.DEREGISTER and not (isKnown and each.action is RepairAction.GIVE_UP)

    def _journal(self, files: Sequence[FileUnderRepair], at: BlockAtSite) -> None:
        """Before anything is changed, so that what was cut short is there too."""
        byAction: dict[RepairAction, dict[str, str]] = defaultdict(dict)
        for each in files:
            count = f"attempt {each.attempts + 1} of {each.maxAttempts}" if each.isCounted else f"{each.attempts} attempts"
            why = f"{each.errorClass}: {each.errorText}" if each.errorText else each.errorClass.value
            byAction[each.action][f"{each.lfn} {at.se}"] = f"{each.rule.name if each.rule else ''}; {why}; {count}"
        for action, reasons in byAction.items():
            self._book.recordDecisions(ACTOR, f"repair{action.value}", reasons)

    def _write(self, files: Sequence[FileUnderRepair], at: BlockAtSite, now: datetime) -> None:
        scale = self._options.timeScale
        records = []
        for each in files:
            seconds = GIVEN_UP_SECONDS if each.action is RepairAction.GIVE_UP else LOOK_SECONDS
            nextTime = now + timedelta(seconds=seconds * scale)
            if each.isWaiting:
                nextTime = max(nextTime, each.dueTime(now, scale))
            elif each.action is RepairAction.ASK_AGAIN:
                nextTime = now + timedelta(seconds=POLICIES[each.errorClass].backOffSeconds(each.attempts + 1) * scale)
            record = each.newRecord(at.blockID, now, nextTime)
            if record is not None:
                records.append(record)
        self._book.recordRepairs(records)

    @staticmethod
    def _outcome(files: Sequence[FileUnderRepair]) -> RepairOutcome:
        actions = Counter((RepairAction.WAIT if each.isWaiting else each.action).value for each in files)
        actions[RepairAction.DEREGISTER.value] += sum(each.isDeregistered for each in files)
        failures = [
            Failure(each.lfn, each.errorClass, each.failedTime, each.errorText)
            for each in files
            if each.facts.error and each.failedTime and each.action in (*COPIES, RepairAction.GIVE_UP)
        ]
        isOpen = [each for each in files if each.record is not None and each.record.state is not RepairState.REPAIRED]
        quiet = [each.lfn for each in files if each.action is RepairAction.WAIT and each not in isOpen]
        return RepairOutcome(actions, failures, sum(each.action is RepairAction.SETTLED for each in isOpen), quiet)
