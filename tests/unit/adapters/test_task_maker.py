"""Tasks that a plugin planned are made in a few calls, and each of the agent's own calls gets its answer."""

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.TransformationSystem.Agent.TransformationPlugin import TransformationPlugin
from JUNODIRAC.TransformationSystem.Client.TaskMaker import TaskMaker


class FakeManager:
    """Numbers tasks; ``bulk`` says what becomes of a call for many."""

    def __init__(self, bulk=lambda tasks: None):
        self.bulkCalls, self.singleCalls, self.bulk, self.number = [], [], bulk, 0

    def _next(self):
        self.number += 1
        return S_OK(self.number)

    def addTasksForTransformation(self, transformationID, tasks):
        self.bulkCalls.append(tasks)
        return self.bulk(tasks) or S_OK([self._next() for _ in tasks])

    def addTaskForTransformation(self, transformationID, lfns, se):
        self.singleCalls.append(lfns)
        return self._next()

    def getTransformationFiles(self):
        return "the real one"


def groups(count, size=1):
    return [("A", [f"/f{place}.{number}" for number in range(size)]) for place in range(count)]


def answers(maker, tasks):
    return [maker.addTaskForTransformation(7, lfns, se) for se, lfns in tasks]


@pytest.mark.parametrize(("count", "size", "calls"), [(1, 1, 1), (1000, 1, 1), (1001, 1, 2), (60, 100, 2)])
def test_tasks_are_made_in_few_calls_and_each_is_answered_with_its_own_number(count, size, calls):
    manager, tasks = FakeManager(), groups(count, size)
    maker = TaskMaker(manager)
    maker.makeTasks(7, tasks)
    assert [answer["Value"] for answer in answers(maker, tasks)] == list(range(1, count + 1))
    assert len(manager.bulkCalls) == calls
    assert manager.singleCalls == []


def test_a_task_that_was_refused_is_refused_and_not_asked_for_again():
    manager = FakeManager(lambda tasks: S_OK([S_ERROR("taken"), S_OK(1)]))
    maker, tasks = TaskMaker(manager), groups(2)
    maker.makeTasks(7, tasks)
    assert [answer["OK"] for answer in answers(maker, tasks)] == [False, True]
    assert manager.singleCalls == []


def test_where_the_service_knows_no_bulk_tasks_are_made_one_by_one():
    manager = FakeManager(lambda tasks: S_ERROR("Unknown method addTasksForTransformation"))
    maker, tasks = TaskMaker(manager), groups(3)
    maker.makeTasks(7, tasks)
    assert [answer["Value"] for answer in answers(maker, tasks)] == [1, 2, 3]
    assert len(manager.bulkCalls) == 1


def test_an_answer_is_given_once_so_that_the_same_group_of_a_later_plan_is_a_new_task():
    maker, tasks = TaskMaker(FakeManager()), groups(1)
    maker.makeTasks(7, tasks)
    assert [answer["Value"] for answer in answers(maker, [*tasks, *tasks])] == [1, 2]


def test_all_else_goes_to_the_real_client():
    assert TaskMaker(FakeManager()).getTransformationFiles() == "the real one"


@pytest.mark.parametrize("isBulk", [True, False])
def test_whatever_plugin_runs_shows_its_plan_to_the_maker_if_there_is_one(isBulk):
    class Planning(TransformationPlugin):
        def _Planned(self):
            return S_OK(groups(3))

    manager = FakeManager()
    plugin = Planning("Planned", transClient=TaskMaker(manager) if isBulk else manager, dataManager=object(), fc=object())
    plugin.setParameters({"TransformationID": 7})
    assert plugin.run()["Value"] == groups(3)
    assert len(manager.bulkCalls) == isBulk
