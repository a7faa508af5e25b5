"""The last files of a block go ahead, by what the service said last."""

import pytest
from DIRAC.RequestManagementSystem.Client.Request import Request

from JUNODIRAC.DataManagementSystem.private.FTS3Plugins import JUNOFTS3Plugin as pluginModule
from JUNODIRAC.DataManagementSystem.private.Tails import Tails
from JUNODIRAC.RawDataSystem.Client.CachedAnswer import CachedAnswer

LFN = "/juno/raw/2023/0302/Daq.1.Phy.main.tag.20230302101010.0001.dat"


def request(name):
    made = Request()
    made.RequestName = name
    return made


def test_a_request_of_a_task_of_a_tail_is_recognized():
    tails = Tails(lambda: frozenset({7, 12}))
    assert tails.has(request("00000007_00000123"))
    assert tails.has(request("00000012_00000001"))
    assert not tails.has(request("00000008_00000007"))


@pytest.mark.parametrize("name", ["", "by hand", "7_1", "00000007_00000001_again", None])
def test_a_request_that_is_of_no_task_is_never_a_tail(name):
    class Other:
        RequestName = name

    assert not Tails(lambda: frozenset({7})).has(Other())
    assert not Tails(lambda: frozenset({7})).has(object())


class Service:
    def __init__(self):
        self.time, self.asked, self.answer = 0.0, 0, frozenset({1})

    def __call__(self):
        self.asked += 1
        if self.answer is None:
            raise RuntimeError("connection refused")
        return self.answer


def test_an_answer_is_kept_for_some_seconds():
    service = Service()
    answer = CachedAnswer(service, frozenset(), lambda _: None, validSeconds=10, clock=lambda: service.time)
    for service.time in (0, 5, 9.9):
        assert answer.get() == {1}
    assert service.asked == 1
    service.answer, service.time = frozenset({2}), 10
    assert answer.get() == {2}


def test_while_the_service_is_away_the_last_answer_holds_and_it_is_said_once():
    service, said = Service(), []
    answer = CachedAnswer(service, frozenset(), said.append, validSeconds=10, clock=lambda: service.time)
    answer.get()
    service.answer = None
    for service.time in range(10, 200, 5):
        assert answer.get() == {1}
    assert said == ["connection refused"]
    # not asked in each of them: a service that does not answer takes its time to do so
    assert service.asked < 10
    service.answer = frozenset({3})
    service.time += 40
    assert answer.get() == {3}
    service.answer, service.time = None, service.time + 40
    answer.get()
    assert len(said) == 2


def test_a_service_that_never_answered_has_no_tails():
    def ask():
        raise RuntimeError("away")

    assert not Tails(ask).has(request("00000007_00000001"))


@pytest.mark.parametrize(("priority", "isTail", "wanted"), [(3, False, 3), (3, True, 4), (5, True, 5), (1, True, 2)])
def test_the_tail_of_a_closed_block_goes_one_ahead_of_its_type(configuration, monkeypatch, priority, isTail, wanted):
    from pathlib import Path

    from DIRAC.DataManagementSystem.Client.FTS3File import FTS3File
    from DIRAC.DataManagementSystem.Client.FTS3Operation import FTS3TransferOperation
    from DIRAC.DataManagementSystem.private import FTS3Utilities

    fragment = (Path(__file__).parents[3] / "etc/rawdata-operations.cfg").read_text()
    configuration(fragment.replace("FTSPriority = 3", f"FTSPriority = {priority}"))
    monkeypatch.setattr(pluginModule, "tails", Tails(lambda: frozenset({7} if isTail else {8})))
    file = FTS3File()
    file.lfn = LFN
    operation = FTS3TransferOperation(ftsFiles=[file])
    plugin = FTS3Utilities.getFTS3Plugin()
    plugin.inferFTSActivity(operation, request("00000007_00000001"), None)
    assert operation.priority == wanted
    # what the request has brought stays
    operation.priority = 2
    plugin.inferFTSActivity(operation, request("00000007_00000001"), None)
    assert operation.priority == 2
