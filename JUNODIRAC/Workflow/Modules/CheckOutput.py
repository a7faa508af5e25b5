"""Module of a chain's job: compares what was read with what was written."""

from __future__ import annotations

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Workflow.Job.JobState import JobState, adler32
from JUNODIRAC.Workflow.Job.OutputCheck import checkOutput, readSummary
from JUNODIRAC.Workflow.Modules.JobModule import JobModule


class CheckOutput(JobModule):
    """Check that every event of the inputs is in the output, and nothing else."""

    def work(self, state: JobState) -> None:
        """Count events, read all records, measure the file."""
        if state.summaryFile is None:
            raise JobFailure(JobError.NO_SUMMARY, "no program ran")
        summary = readSummary(state.summaryFile, state.inputFiles)
        state.sizeBytes = checkOutput(state.inputs, summary, state.theOutput)
        state.inputEvents = list(summary.inputEvents)
        state.checksum = adler32(state.theOutput)
