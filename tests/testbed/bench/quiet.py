"""A testbed that does nothing else meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from junotestbed import components
from junotestbed.observe import Database
from junotestbed.testbed import Testbed

from bench.report import say

# those that would take up the files of the benchmark, or load the machine
_AGENTS = [component for component in components.ALL if component.kind == "agent"]
_SERVICES = {
    "catalogue": "DataManagement_FileCatalog",
    "transformations": "Transformation_TransformationManager",
}


@contextmanager
def quiet(testbed: Testbed) -> Iterator[None]:
    """All agents stopped; started again at the end, those that ran before."""
    running = [agent.link for agent in _AGENTS if testbed.dirac.state(agent.link).state == "run"]
    say(f"stopping {len(running)} agents")
    testbed.dirac.control("force-stop", *running, wait=15)
    try:
        yield
    finally:
        retire(testbed)
        testbed.dirac.control("up", *running)
        say(f"started {len(running)} agents")


def retire(testbed: Testbed) -> None:
    """Stop the benchmark's transformations, so that no agent takes up files that nobody wants anywhere."""
    from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

    client = TransformationClient()
    for (number,) in Database(testbed).rows(
        "TransformationDB",
        "SELECT TransformationID FROM Transformations WHERE TransformationGroup = 'Bench' AND Status IN ('New', 'Active')",
    ):
        client.setTransformationParameter(number, "Status", "Stopped")


def servers(testbed: Testbed) -> Mapping[str, int]:
    """Pids of the servers that a registration uses."""
    pids = {name: testbed.dirac.state(link).pid for name, link in _SERVICES.items()}
    return pids | {"mariadb": testbed.infra.state("mariadb").pid, "kafka": testbed.infra.state("kafka").pid}


def blocksOf(testbed: Testbed, days: Sequence[str]) -> list[int]:
    """Numbers of the transformations of these blocks."""
    rows = Database(testbed).rows(
        "RawDataDB",
        "SELECT t.TransformationID FROM BlockTransfers t JOIN Blocks b ON b.BlockID = t.BlockID"
        " WHERE b.Type = 'Bench' AND b.Block IN %s",
        tuple(days),
    )
    return [number for (number,) in rows]
