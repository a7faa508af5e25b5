"""Module of a chain's job: makes the output count."""

from __future__ import annotations

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Domain.JobRecords import CommittedOutput, outputGUID
from JUNODIRAC.Workflow.Job.JobState import JobState
from JUNODIRAC.Workflow.Job.OutputUploader import OutputUploader
from JUNODIRAC.Workflow.Modules.JobModule import JobModule


class CommitOutput(JobModule):
    """Make the output the one that counts."""

    def work(self, state: JobState) -> None:
        """Commit it: from now on the job has done well, whatever comes."""
        output = {
            "LFN": state.outputLFN,
            "GUID": outputGUID(state.outputLFN),
            "SE": state.storage,
            "SizeBytes": state.sizeBytes,
            "Checksum": state.checksum,
        }
        inputs = [{"LFN": each.lfn, "Events": events} for each, events in zip(state.inputs, state.inputEvents, strict=True)]
        try:
            answer = self.tools.chains.commitOutput(state.attemptID, output, inputs)
        except JobFailure as failure:
            self._takeBack(state, failure)
            raise
        state.said = f"{sum(state.inputEvents):,} events of {len(inputs)} file(s) at {state.storage}"
        if answer["Registration"]:
            state.registration = [CommittedOutput.fromAnswer(answer["Registration"])]

    def _takeBack(self, state: JobState, failure: JobFailure) -> None:
        """Remove an output that the service has refused. Where it did not answer, the output may count."""
        if failure.error in (JobError.SERVICE_AWAY, JobError.INTERNAL, JobError.STOPPED):
            return
        tools = self.tools
        uploader = OutputUploader(tools.storageElement, lambda se: None, tools.sleep, lambda text: self.log.warn(text))
        uploader.remove(state.outputLFN, state.storage)
