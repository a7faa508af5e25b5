"""The truth table of repair: one action for everything, nothing goes on for ever, nothing good is thrown away."""

import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from JUNODIRAC.Core.Domain.RepairTable import (
    ACTIONS_AFTER_ATTEMPTS,
    COPIES,
    NOT_COUNTED,
    RULES,
    CopySeen,
    FileAt,
    Patience,
    RepairAction,
    RequestAt,
    Situation,
    TaskAt,
    TransferAt,
    decide,
    situationOf,
)
from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = 4
BOTH = (True, False)
ALL = [
    Situation(*values)
    for values in product(FileAt, TaskAt, RequestAt, TransferAt, (True, False, None), CopySeen, BOTH, BOTH, BOTH, Patience)
]
BAD = (CopySeen.MISSING, CopySeen.WRONG)


@pytest.fixture(scope="module")
def decided() -> list[tuple[Situation, RepairAction]]:
    """Every combination with its action: that there is one is the first thing shown."""
    return [(situation, decide(situation).action) for situation in ALL]


def test_every_combination_has_exactly_one_action(decided):
    assert len(decided) == len(FileAt) * len(TaskAt) * len(RequestAt) * len(TransferAt) * 3 * len(CopySeen) * 8 * len(Patience)
    assert all(isinstance(action, RepairAction) for _, action in decided)
    assert {action for _, action in decided} == set(RepairAction)


def test_every_rule_decides_something():
    names = {decide(situation).name for situation in ALL}
    assert names == {rule.name for rule in RULES}
    assert len(names) == len(RULES)


def test_nothing_is_deregistered_without_another_good_replica_or_before_the_storage_said_that_it_is_bad(decided):
    for situation, action in decided:
        if action is RepairAction.DEREGISTER:
            assert situation.hasSource
            assert situation.replica is True
            assert situation.copy in BAD


def test_a_registered_bad_copy_goes_unless_it_is_the_last_or_being_rewritten(decided):
    for situation, action in decided:
        if situation.replica is True and situation.copy in BAD and situation.hasSource:
            isRewritten = situation.transfer is TransferAt.WORKING and situation.request is RequestAt.OPEN
            assert action is (RepairAction.WAIT if isRewritten else RepairAction.DEREGISTER)


def test_only_a_copy_that_the_storage_calls_good_is_adopted(decided):
    for situation, action in decided:
        if action is RepairAction.ADOPT:
            assert situation.copy is CopySeen.GOOD
            assert situation.replica is False


def test_no_new_copy_while_fts_works_or_while_a_good_one_is_there_or_without_a_source_or_with_no_attempt_left(decided):
    for situation, action in decided:
        if action in COPIES:
            assert not (situation.transfer is TransferAt.WORKING and situation.request is RequestAt.OPEN)
            assert situation.copy not in (CopySeen.GOOD, CopySeen.NOT_ASKED)
            assert situation.hasSource
            assert situation.patience is Patience.FRESH


def test_a_file_that_the_catalogue_does_not_tell_of_is_left_alone(decided):
    for situation, action in decided:
        if situation.replica is None:
            assert action is RepairAction.WAIT


def test_nobodys_decision_is_overruled(decided):
    for situation, action in decided:
        if situation.file is FileAt.OTHER:
            assert action in (RepairAction.WAIT, RepairAction.DEREGISTER, RepairAction.GIVE_UP)


# ---- what comes of it: the actions' effects, and an environment that does what it likes


class World:
    """One file. What its environment does is chance, and not always kind; but whatever works ends some time."""

    def __init__(self, start: Situation, seed: int) -> None:
        self.it = replace(start, patience=Patience.FRESH)
        self.chance = random.Random(seed)
        self.truth = start.copy if start.copy in (*BAD, CopySeen.GOOD) else self.chance.choice([*BAD, CopySeen.GOOD])
        self.attempts = 0

    def run(self, maxSteps: int = 300) -> RepairAction:
        for _ in range(maxSteps):
            left = LIMIT - self.attempts
            patience = Patience.FRESH if left > 0 else Patience.EXHAUSTED if left > -ACTIONS_AFTER_ATTEMPTS else Patience.CIRCLING
            self.it = replace(self.it, patience=patience)
            action = decide(self.it).action
            self.attempts += action not in NOT_COUNTED
            if action is RepairAction.GIVE_UP or (self.it.file is FileAt.OTHER and action is RepairAction.WAIT):
                return action
            if action is RepairAction.SETTLED:
                if self.truth is CopySeen.GOOD:
                    return action
                self.change(isSuspected=True, copy=CopySeen.NOT_ASKED)  # the validation names it
                continue
            getattr(self, action.name)()
        raise AssertionError(f"no end: {self.it}")

    def change(self, **values) -> None:
        self.it = replace(self.it, **values)

    def ASK(self) -> None:
        answers = [CopySeen.NO_ANSWER] if self.chance.random() < 0.2 else [self.truth]
        self.change(copy=answers[0])

    def ASK_AGAIN(self) -> None:
        self.change(copy=CopySeen.NOT_ASKED)

    def ATTACH(self) -> None:
        self.change(file=FileAt.UNUSED, copy=CopySeen.NOT_ASKED)

    def SET_PROCESSED(self) -> None:
        self.change(file=FileAt.PROCESSED, isSuspected=False)

    def ADOPT(self) -> None:
        works = self.chance.random() < 0.9
        self.change(replica=works, file=FileAt.PROCESSED if works else self.it.file, copy=CopySeen.NOT_ASKED)

    def DEREGISTER(self) -> None:
        self.truth = CopySeen.MISSING
        self.change(replica=False, copy=CopySeen.MISSING, isSuspected=False)

    def RETRY(self) -> None:
        self.change(
            file=FileAt.UNUSED, task=TaskAt.NONE, request=RequestAt.NONE, transfer=TransferAt.NONE, isOld=False,
            isSuspected=False, copy=CopySeen.NOT_ASKED,
        )  # fmt: skip

    RESET_TASK = RETRY

    def WAIT(self) -> None:
        """The environment's turn."""
        it = self.it
        if it.replica is None:
            self.change(replica=self.chance.random() < 0.5)
        elif it.transfer is TransferAt.WORKING and it.request is RequestAt.OPEN:
            self.end()
        elif it.file is FileAt.UNUSED and it.replica is True:
            self.change(file=FileAt.PROCESSED, copy=CopySeen.NOT_ASKED)
        elif it.file is FileAt.UNUSED:
            self.change(file=FileAt.ASSIGNED, task=TaskAt.CREATED, request=RequestAt.NONE, transfer=TransferAt.NONE, isOld=False,
                        copy=CopySeen.NOT_ASKED)  # fmt: skip
        elif it.task is TaskAt.CREATED:
            transfer = self.chance.choice([TransferAt.NONE, TransferAt.TRYING, TransferAt.WORKING])
            self.change(task=TaskAt.SUBMITTED, request=RequestAt.OPEN, transfer=transfer, isOld=False)
        elif self.chance.random() < 0.3:
            self.change(isOld=True)
        else:
            self.end()

    def end(self) -> None:
        """A request ends: well, badly, badly though it seems well, or nobody knows how."""
        what = self.chance.choice(["good", "wrong", "failed", "unregistered", "lost"])
        self.change(isOld=False, copy=CopySeen.NOT_ASKED)
        if what == "lost":
            self.change(request=RequestAt.LOST, transfer=TransferAt.NONE)
        elif what in ("good", "wrong"):
            self.truth = CopySeen.GOOD if what == "good" else CopySeen.WRONG
            self.change(replica=True, file=FileAt.PROCESSED, request=RequestAt.DONE, transfer=TransferAt.FINISHED)
        else:
            self.truth = CopySeen.GOOD if what == "unregistered" else self.chance.choice(BAD)
            self.change(file=FileAt.STUCK, request=RequestAt.FAILED, transfer=TransferAt.DEFUNCT)


STARTS = [situation for situation in ALL if situation.patience is Patience.FRESH]


def test_from_everywhere_a_file_ends_well_or_at_a_person_and_never_with_a_registered_corrupt_copy():
    for number, start in enumerate(STARTS[::5]):
        world = World(start, number)
        end = world.run()
        if end is RepairAction.SETTLED:
            assert world.truth is CopySeen.GOOD
            assert (world.it.replica, world.it.file) == (True, FileAt.PROCESSED)
        if world.it.replica is True and world.truth is CopySeen.WRONG and world.it.file is not FileAt.OTHER:
            # the one that is the last may not go, and of one that the storage never tells of nobody knows
            assert not world.it.hasSource or world.it.copy is CopySeen.NO_ANSWER, str(world.it)
        assert world.attempts <= LIMIT + ACTIONS_AFTER_ATTEMPTS


def test_a_kind_world_ends_well_from_every_usual_failure():
    for number, request in enumerate((RequestAt.FAILED, RequestAt.LOST, RequestAt.DONE)):
        start = Situation(
            FileAt.STUCK, TaskAt.SUBMITTED, request, TransferAt.DEFUNCT, False, CopySeen.NOT_ASKED, True, False, True
        )
        ends = {World(start, 100 * number + seed).run() for seed in range(50)}
        assert RepairAction.SETTLED in ends


# ---- from facts to situations

FACTS = TransferFacts("/juno/raw/1", "CNAF-EOS", 1, "Problematic", NOW, 0, 1, "Failed", NOW, 5, "Failed", hasReplica=False)


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ({"fileStatus": None}, "file", FileAt.NOT_ATTACHED),
        ({"fileStatus": "MaxReset"}, "file", FileAt.STUCK),
        ({"fileStatus": "Removed"}, "file", FileAt.OTHER),
        ({"requestID": None, "requestStatus": None, "taskStatus": "Created"}, "task", TaskAt.CREATED),
        ({"requestStatus": "Gone"}, "request", RequestAt.LOST),
        ({"requestStatus": "Scheduled"}, "request", RequestAt.OPEN),
        ({"ftsStatus": "Active"}, "transfer", TransferAt.WORKING),
        ({"ftsStatus": "Failed"}, "transfer", TransferAt.TRYING),
        ({"copy": CopyState.WRONG_SIZE, "copyDetail": "3 bytes"}, "copy", CopySeen.WRONG),
        ({"copyDetail": "no answer"}, "copy", CopySeen.NO_ANSWER),
        ({}, "copy", CopySeen.NOT_ASKED),
        ({}, "hasSource", False),
        ({"otherSEs": ("IHEP-EOS",)}, "hasSource", True),
    ],
)
def test_facts_are_read_as_what_they_mean(change, name, value):
    assert getattr(situationOf(replace(FACTS, **change), NOW, 60), name) == value


def test_a_replica_that_is_known_to_be_bad_is_no_source():
    facts = replace(FACTS, otherSEs=("IHEP-EOS", "JINR-EOS"))
    assert situationOf(facts, NOW, 60, badSEs={"IHEP-EOS"}).hasSource
    assert not situationOf(facts, NOW, 60, badSEs={"IHEP-EOS", "JINR-EOS"}).hasSource


def test_the_newest_change_says_how_old_it_is():
    facts = replace(FACTS, ftsTime=NOW + timedelta(seconds=100))
    assert not situationOf(facts, NOW + timedelta(seconds=150), 60).isOld
    assert situationOf(facts, NOW + timedelta(seconds=161), 60).isOld


@pytest.mark.parametrize(
    ("attempts", "patience"),
    [(0, Patience.FRESH), (9, Patience.FRESH), (10, Patience.EXHAUSTED), (14, Patience.EXHAUSTED), (15, Patience.CIRCLING)],
)
def test_attempts_are_bounded(attempts, patience):
    assert situationOf(FACTS, NOW, 60, attempts=attempts, maxAttempts=10).patience is patience


def test_the_documentation_has_the_rules_in_their_order():
    text = (Path(__file__).parents[3] / "docs/repair.rst").read_text()
    rows = re.findall(r"   \* - \d+\n     - ([^\n]+)\n     - ``(\w+)``\n", text)
    assert rows == [(rule.name[0].upper() + rule.name[1:], rule.action.value) for rule in RULES]
