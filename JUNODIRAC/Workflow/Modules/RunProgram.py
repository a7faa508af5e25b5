"""Module of a chain's job: runs the program of the step."""

from __future__ import annotations

from pathlib import Path

from JUNODIRAC.Workflow.Job.JobState import JobState
from JUNODIRAC.Workflow.Job.ProgramRunner import programCommand, runProgram
from JUNODIRAC.Workflow.Modules.JobModule import JobModule

LOG, SUMMARY = "program.log", "summary.json"


class RunProgram(JobModule):
    """Run the program of the step."""

    def work(self, state: JobState) -> None:
        """Start it by the contract of programs, and wait until it has ended."""
        step = state.theStep
        state.outputFile = Path(state.outputLFN.rpartition("/")[2]).absolute()
        state.summaryFile = Path(SUMMARY).absolute()
        command = programCommand(step, state.inputFiles, state.outputFile, state.summaryFile)
        self.setApplicationStatus(f"Running {Path(command[0]).name} on {len(state.inputFiles)} file(s) of {step.chain}")
        runProgram(command, Path(LOG))
