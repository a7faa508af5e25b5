"""Module of a chain's job: brings the inputs onto the machine."""

from __future__ import annotations

from pathlib import Path

from JUNODIRAC.Workflow.Job.InputFetcher import InputFetcher
from JUNODIRAC.Workflow.Job.JobState import JobState
from JUNODIRAC.Workflow.Modules.JobModule import JobModule

INPUTS = "inputs"


class CheckInputs(JobModule):
    """Get the inputs, each byte as the ledger has it."""

    def work(self, state: JobState) -> None:
        """Copy from the site's own storage, else from another one."""
        directory = Path(INPUTS).absolute()
        directory.mkdir(exist_ok=True)
        tools = self.tools
        fetcher = InputFetcher(
            tools.catalogue, tools.storageElement, state.siteStorages, tools.patience, lambda text: self.log.warn(text)
        )
        state.inputFiles = fetcher.fetch(state.inputs, directory)
