"""Alerts of chains: one problem for each step and destination, whatever the number of files, with who acts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from JUNODIRAC.Core.Domain.JobError import JobError
from JUNODIRAC.Core.Domain.TransferErrors import ErrorClass
from JUNODIRAC.Core.Logic.ChainWatch import ChainSign, chainProblems

pytestmark = pytest.mark.unit
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_step_and_each_of_its_destinations_is_one_problem_with_the_worst_error_first():
    signs = [
        ChainSign("rerec-J1-v1", "rawrec", "", {"Lost": 2, "InputCorrupt": 900}, NOW, "/a", "adler32 differs"),
        ChainSign("rerec-J1-v1", "replicate", "JINR-EOS", {"DestinationFull": 3}, NOW, "/b", "no space left"),
        ChainSign("rerec-J1-v1", "replicate", "CNAF-STORM", {"DestinationFull": 3}, NOW, "/b", "no space left"),
    ]
    problems = list(chainProblems(signs))
    assert len({each.key for each in problems}) == 3
    assert problems[0].detail.startswith("900 InputCorrupt, 2 Lost")
    assert JobError.INPUT_CORRUPT.remedy in problems[0].remedy
    assert "dirac-juno-audit rerec-J1-v1" in problems[1].remedy
    assert {each.kind for each in problems} == {"chain"}


@pytest.mark.parametrize("error", [*(each.value for each in JobError), *(each.value for each in ErrorClass), "nobody's"])
def test_every_error_has_somebody_who_acts(error):
    (problem,) = chainProblems([ChainSign("c", "s", "", {error: 1}, NOW, "/a", "")])
    assert problem.remedy.partition(": ")[2]
