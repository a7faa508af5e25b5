"""dirac-juno-audit: what it shows, and with which status it ends; and the ways of files that dirac-juno-why follows."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from DIRAC import S_ERROR, S_OK

from JUNODIRAC.Core.Domain.BlockInChain import BlockInChain
from JUNODIRAC.Core.Domain.ChainAudit import AuditLook, AuditRecord, AuditVerdict, Finding, FoundFile, StepCount
from JUNODIRAC.Core.Domain.ChainWhyFacts import ChainProductFacts
from JUNODIRAC.Core.Domain.Explanation import LinkState
from JUNODIRAC.Core.Logic.ExplainChain import explainFileInChain
from JUNODIRAC.ProductionSystem.Client import ChainCommand
from JUNODIRAC.ProductionSystem.scripts import dirac_juno_audit as command
from JUNODIRAC.RawDataSystem.Client.CommandLine import CommandError
from JUNODIRAC.RawDataSystem.Client.WhyChain import WhyChain
from JUNODIRAC.RawDataSystem.Client.WhySources import WhySources
from JUNODIRAC.RawDataSystem.DB.LedgerChainWhy import ChainStepRow

pytestmark = pytest.mark.unit
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def audit(verdict: AuditVerdict, *findings: FoundFile, more: int = 0) -> dict:
    counts = {each.kind: 1 + more for each in findings}
    steps = [
        StepCount(1, "rawrec", "process", 60, 60, 1, 0, 60, 60, 60, 10**9, None, 600, 600).toDict(),
        StepCount(2, "replicate", "replicate", 4, copies={"JINR-EOS": 3}).toDict(),
    ]
    record = AuditRecord(
        1, 2, AuditLook.ASKED, "zhang", NOW, NOW, verdict, steps, counts, findings, 1, "rerec-J1-v1", "RTRaw", "20230302", 5
    )
    return record.toDict()


LOST = FoundFile(Finding.WITHOUT_DAUGHTER, "rawrec", "/juno/rtraw/1.rtraw", "no output has it")


def test_each_step_is_a_row_and_each_finding_is_named_with_its_detail():
    text = command.auditText(audit(AuditVerdict.OFF, LOST), colour=False)
    assert "JINR-EOS 3/4" in text
    assert "rawrec: /juno/rtraw/1.rtraw  (no output has it)" in text
    assert text.endswith("Off: 1 inputs without daughter")
    assert "... 69 more" in command.auditText(audit(AuditVerdict.OFF, LOST, more=98), colour=False)


class Command(SimpleNamespace):
    """A command line."""

    isTerminal = False

    def switch(self, name, default=""):
        return self.switches.get(name, default)

    @property
    def wantsJSON(self):
        return "json" in self.switches

    def write(self, text):
        self.out.write(f"{text}\n")

    def writeJSON(self, document):
        self.write(json.dumps(document))


def run(monkeypatch, verdicts, **switches) -> tuple[int, str]:
    """The command over blocks with these verdicts."""
    audits = [audit(AuditVerdict(verdict)) if verdict else None for verdict in verdicts]
    targets = [{"Chain": "c", "Type": "T", "Block": str(index), "Last": each} for index, each in enumerate(audits)]
    answers = {
        "findAudits": lambda *_: targets,
        "startAudit": lambda chain, typeName, block: block,
        "getAuditProgress": lambda token: {
            "Phase": "storages", "Done": 1, "Total": 1, "Ended": True, "Failure": "", "Audit": audits[int(token)],
        },
    }  # fmt: skip
    monkeypatch.setattr(ChainCommand, "callChains", lambda method, *args: answers[method](*args))
    line = Command(arguments=["20230302"], switches=switches, out=io.StringIO())
    return command.auditAll(line), line.out.getvalue()


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        (["Exact", "Exact"], 0),
        (["Exact", "Off", "Unanswered"], 1),
        (["Exact", "Unfinished"], 2),
        (["Unanswered"], 2),
    ],
)
@pytest.mark.parametrize("last", [True, False])
def test_the_exit_status_says_whether_anything_is_off(monkeypatch, verdicts, status, last):
    switches = {"last": ""} if last else {}
    assert run(monkeypatch, verdicts, **switches)[0] == status
    found, text = run(monkeypatch, verdicts, json="", **switches)
    assert (found, [each["Verdict"] for each in json.loads(text)["Audits"]]) == (status, verdicts)


def test_a_block_that_was_never_audited_has_no_last_audit(monkeypatch):
    with pytest.raises(CommandError, match="was never audited"):
        run(monkeypatch, [""], last="")


# ---- dirac-juno-why


ROWS = [
    ChainStepRow(1, "rawrec", "process", "", 71, ""),
    ChainStepRow(2, "merge", "merge", "", 72, ""),
    ChainStepRow(3, "replicate", "replicate", "CNAF-STORM", 73, ""),
    ChainStepRow(3, "replicate", "replicate", "JINR-EOS", 74, ""),
]
PART = ChainProductFacts(5, "/part", 1, "Retired", "CNAF-STORM", 10, NOW, NOW, 99, "DIRAC.CNAF.it")
MERGED = ChainProductFacts(6, "/merged", 2, "Registered", "CNAF-STORM", 20, NOW, NOW, 100, "DIRAC.CNAF.it")


class Ledger:
    """A file that was processed, merged, and is on its way to its second destination."""

    def chainFile(self, lfn):
        return (1, 2, "RTRaw", "b1") if lfn == "/in" else None

    def blockChains(self, blockIDs):
        return {2: [BlockInChain("c", "Active", "Running", 2, 3, 1, 1)]}

    def chainIDs(self, blockID):
        return {"c": 9}

    def chainAttachedTimes(self, chainID, fileID):
        return {1: NOW}

    def chainStepRows(self, chainID):
        return ROWS

    def chainDaughter(self, chainID, stepNumber, parentID):
        return {(1, 1): PART, (2, 5): MERGED}.get((stepNumber, parentID))

    def chainAttempt(self, transformationID, taskID):
        return None

    def chainRecovery(self, chainID, stepNumber, se, parentID):
        return None

    def chainOutput(self, lfn):
        return (9, 2, "RTRaw", "b1", MERGED) if lfn == "/merged" else None


def reader(isAway=False) -> WhyChain:
    placed = {"/in": [71], "/part": [72], "/merged": [73, 74]}

    def files(condDict):
        if isAway:
            return S_ERROR("Can't connect to Transformation/TransformationManager")
        (lfn,) = condDict["LFN"]
        status = {74: "Assigned"}
        return S_OK([{"TransformationID": each, "Status": status.get(each, "Processed"), "TaskID": 0} for each in placed[lfn]])

    def replicas(lfns, allStatus):
        return S_OK({"Successful": {"/merged": {"CNAF-STORM": "x"}}, "Failed": {}})

    clients = SimpleNamespace(
        transformations=SimpleNamespace(getTransformationFiles=files), catalogue=SimpleNamespace(getReplicas=replicas)
    )
    return WhyChain(WhySources(Ledger(), None, clients, None, None))


def test_a_file_is_followed_through_what_was_made_of_it_to_each_destination():
    (facts,) = reader().ofFile("/in")
    assert [(step.name, step.lfn, step.se) for step in facts.steps] == [
        ("rawrec", "/in", ""),
        ("merge", "/part", ""),
        ("replicate", "/merged", "CNAF-STORM"),
        ("replicate", "/merged", "JINR-EOS"),
    ]
    verdict = explainFileInChain(facts).verdict
    assert (verdict.state, verdict.link.code) == (LinkState.WAITS, "CopyUnderWay")
    assert "JINR-EOS" in verdict.link.text


def test_an_output_is_followed_from_its_job_on_and_other_names_are_not_known():
    typeName, facts = reader().ofOutput("/merged")
    assert (typeName, facts.made, [step.se for step in facts.steps]) == ("RTRaw", MERGED, ["CNAF-STORM", "JINR-EOS"])
    assert reader().ofOutput("/else") is None
    assert reader().ofFile("/else") == []


def test_without_the_transformation_system_the_ledger_tells_what_it_knows():
    (facts,) = reader(isAway=True).ofFile("/in")
    assert facts.steps[0].product == PART
    assert facts.unavailable
