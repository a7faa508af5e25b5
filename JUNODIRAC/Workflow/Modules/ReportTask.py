"""Last module of a chain's job: says how it was, and tidies up."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

from JUNODIRAC.Workflow.Job.JobState import JobState
from JUNODIRAC.Workflow.Modules.CheckInputs import INPUTS
from JUNODIRAC.Workflow.Modules.JobModule import JobModule

REPORT = "job.json"


class ReportTask(JobModule):
    """Report and tidy up, also after a failure."""

    isLast = True

    def work(self, state: JobState) -> None:
        """Write how long each module took, and remove the files that are not for the output sandbox."""
        try:
            self._report(state)
        finally:
            self._tidy(state)

    def _report(self, state: JobState) -> None:
        step = state.step.name if state.step else ""
        report = {"Attempt": state.attemptID, "Step": step, "Output": state.outputLFN, "Seconds": state.seconds}
        self.log.notice("Seconds", json.dumps(state.seconds))
        Path(REPORT).write_text(json.dumps(report, indent=1) + "\n")

    def _tidy(self, state: JobState) -> None:
        shutil.rmtree(INPUTS, ignore_errors=True)
        if state.outputFile:
            with suppress(OSError):
                state.outputFile.unlink()
