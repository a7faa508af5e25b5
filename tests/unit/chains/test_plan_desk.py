"""What the service answers to the agent that makes tasks, beside the plan itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from JUNODIRAC.Core.Domain.ChainDescription import StepKind
from JUNODIRAC.Core.Domain.ChainRecords import ChainScope, ChainState, StartedChain, StepTransformation
from JUNODIRAC.Core.Domain.PlanFacts import PlanBlock, PlanInput
from JUNODIRAC.ProductionSystem.Client.PlanDesk import PlanDesk
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal

pytestmark = pytest.mark.unit
NOW = datetime(2030, 1, 1, tzinfo=UTC)
TEXT = (Path(__file__).parents[3] / "etc/chains/rerec-merge.yaml").read_text()


class Ledger:
    """Knows two inputs of the first step of the shipped chain, /a and /b, and keeps no sites."""

    def __init__(self, text: str = TEXT) -> None:
        scope = ChainScope()
        place = (7, "rerec-merge-J24.1-v1", "rerec-merge", "J24.1", 1, ChainState.ACTIVE, 1, "RTRaw", text)
        self.chain = StartedChain(*place, scope, NOW, "prod", NOW, "prod")
        self.kept: dict[Any, str] = {}

    def chainOfTransformation(self, number: int) -> tuple[StartedChain, StepTransformation]:
        kinds = [StepKind.PROCESS, StepKind.MERGE, StepKind.REPLICATE]
        return self.chain, StepTransformation(7, number, "", "step", kinds[number - 1], number)

    def stepsOfTransformations(self, numbers: Any) -> list[tuple[StartedChain, StepTransformation]]:
        return [self.chainOfTransformation(number) for number in numbers]

    def planStamps(self, chainIDs: Any) -> dict[int, str]:
        return dict.fromkeys(chainIDs, "stamp")

    def planInputs(self, _chain: int, _step: int, _source: Any, lfns: Any) -> list[PlanInput]:
        return [PlanInput(lfn, 1, "ds", 1, 1, 10, NOW) for lfn in lfns if lfn in ("/a", "/b")]

    def planBlocks(self, _blocks: Any) -> dict[int, PlanBlock]:
        return {1: PlanBlock(1, "RTRaw", "b1", False)}

    def streamSites(self, *_key: Any) -> dict[Any, str]:
        return self.kept

    def siteLoads(self, *_key: Any) -> dict[str, int]:
        return {}

    def keepStreamSites(self, _chain: int, _step: int, sites: Any, _now: datetime) -> None:
        self.kept.update(sites)


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, *words: str) -> None:
        self.lines.append(" ".join(words))


def desk(storages: dict[str, list[str]], ledger: Ledger | None = None) -> PlanDesk:
    def storagesOf(site: str) -> list[str]:
        if site not in storages:
            raise ServiceRefusal("Configuration", f"site {site} has no storage element")
        return storages[site]

    made = PlanDesk(ledger or Ledger(), storagesOf)
    made._log = Log()
    return made


BOTH = {"DIRAC.CNAF.it": ["CNAF-DISK", "CNAF-STORM"], "DIRAC.JINR.ru": ["JINR-EOS"]}


def test_files_that_are_no_input_are_named_in_the_log_once_and_again_when_they_are_others():
    made = desk(BOTH)
    for _ in range(3):
        assert made.plan(1, {"/a": ["JINR-EOS"], "/x": ["JINR-EOS"]}, None, 0)["Groups"] == [["JINR-EOS", ["/a"]]]
    (line,) = made._log.lines
    assert all(word in line for word in ("transformation 1", "/x", "by hand"))
    made.plan(1, {"/y": ["JINR-EOS"]}, None, 0)
    assert len(made._log.lines) == 2


def test_the_target_is_the_storage_element_of_the_site_that_has_the_files():
    assert desk(BOTH).plan(1, {"/a": ["CNAF-STORM"]}, None, 0)["Groups"] == [["CNAF-STORM", ["/a"]]]
    assert desk(BOTH).plan(1, {"/a": ["CNAF-DISK"]}, None, 0)["Groups"] == [["CNAF-DISK", ["/a"]]]


def test_a_site_without_storage_gets_no_tasks_and_the_others_do():
    made = desk({"DIRAC.JINR.ru": ["JINR-EOS"]})
    assert made.plan(1, {"/a": ["JINR-EOS"], "/b": ["CNAF-STORM"]}, None, 0)["Groups"] == [["JINR-EOS", ["/a"]]]
    assert "DIRAC.CNAF.it" in made._log.lines[0]
    with pytest.raises(ServiceRefusal, match="none of the sites of step rawrec"):
        desk({}).plan(1, {"/a": ["JINR-EOS"]}, None, 0)


def test_a_step_that_copies_has_no_jobs_to_plan():
    with pytest.raises(ServiceRefusal, match="copies files"):
        desk(BOTH).plan(3, {"/a": ["JINR-EOS"]}, None, 0)


@pytest.mark.parametrize(
    ("group", "seconds"),
    [("files: 1", 60), ("files: 4\n    max-wait: 20", 5), ("files: 4\n    max-wait: 1", 2), ("files: 4\n    max-wait: 1 d", 60)],
)
def test_a_group_that_waits_for_more_files_is_looked_at_several_times_in_its_wait(group, seconds):
    head, _, tail = TEXT.partition("    sites: [")
    files, _, wait = group.partition("\n")
    text = f"{head}    group: {{{files}}}\n{wait}\n    sites: [{tail}"
    turns = desk(BOTH, Ledger(text)).turns([1, 2])
    assert turns["1"] == {"Stamp": "stamp", "LookSeconds": seconds}
    assert turns["2"]["LookSeconds"] == 60
