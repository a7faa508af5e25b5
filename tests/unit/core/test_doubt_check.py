"""Replicas that a failed copy speaks against: asked for once, then bad or a source again."""

import pytest

from JUNODIRAC.Core.Domain.RepairRecords import DeclaredCopy
from JUNODIRAC.Core.Domain.TransferFacts import CopyState
from JUNODIRAC.Core.Logic.DoubtCheck import DoubtCheck
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure


class Book:
    def __init__(self, doubts):
        self.doubts, self.bad, self.ended, self.journal = doubts, {}, [], []

    def readDoubts(self):
        return self.doubts

    def markBad(self, se, details):
        self.bad |= {(se, fileID): detail for fileID, detail in details.items()}

    def endBad(self, se, fileIDs):
        self.ended += [(se, fileID) for fileID in fileIDs]

    def recordDecisions(self, actor, action, reasons):
        self.journal += [(actor, action, name) for name in reasons]


class Facts:
    def __init__(self, states):
        self.states = states

    def copiesAt(self, se, declared):
        if se not in self.states:
            raise TemporaryFailure(se, "no answer")
        return dict.fromkeys(declared, (self.states[se], "what it said"))


DOUBTS = {"IHEP": {"/a": DeclaredCopy(7, 10, "0000000a")}}


@pytest.mark.parametrize("state", [CopyState.WRONG_CHECKSUM, CopyState.WRONG_SIZE, CopyState.MISSING])
def test_a_doubt_that_the_storage_confirms_makes_the_replica_bad_and_is_in_the_journal(state):
    book = Book(DOUBTS)
    assert DoubtCheck(book, Facts({"IHEP": state})).check() == {}
    assert book.bad == {("IHEP", 7): "what it said"}
    assert book.ended == []
    assert book.journal == [("BlockRepairAgent", "badReplica", "/a IHEP")]


def test_a_replica_that_is_right_is_a_source_again():
    book = Book(DOUBTS)
    DoubtCheck(book, Facts({"IHEP": CopyState.GOOD})).check()
    assert (book.bad, book.ended) == ({}, [("IHEP", 7)])


def test_what_nobody_knows_stays_in_doubt_and_holds_up_no_other_storage():
    book = Book({"CNAF": {"/b": DeclaredCopy(8, 10, "0000000b")}, **DOUBTS, "JINR": {"/c": DeclaredCopy(9, 1, "0000000c")}})
    mute = DoubtCheck(book, Facts({"IHEP": CopyState.GOOD, "JINR": CopyState.UNKNOWN})).check()
    assert list(mute) == ["CNAF"]
    assert (book.bad, book.ended) == ({}, [("IHEP", 7)])
