"""Module of a chain's job: brings the output to a storage element."""

from __future__ import annotations

from JUNODIRAC.Workflow.Job.JobState import JobState
from JUNODIRAC.Workflow.Job.OutputUploader import OutputUploader
from JUNODIRAC.Workflow.Modules.JobModule import JobModule


class UploadOutput(JobModule):
    """Upload the output to the site's own storage, else to the next one."""

    def work(self, state: JobState) -> None:
        """Copy and compare; the service knows beforehand where."""
        tools = self.tools
        uploader = OutputUploader(
            tools.storageElement,
            lambda se: tools.chains.noteUpload(state.attemptID, se),
            tools.sleep,
            lambda text: self.log.warn(text),
        )
        state.storage = uploader.upload(state.theOutput, state.outputLFN, state.sizeBytes, state.checksum, state.storages)
