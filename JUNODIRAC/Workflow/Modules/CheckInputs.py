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
        try:
            state.inputFiles = fetcher.fetch(state.inputs, directory)
        finally:
            if fetcher.corrupt:
                self._tell({se: dict(files) for se, files in fetcher.corrupt.items()})

    def _tell(self, corrupt: dict[str, dict[str, str]]) -> None:
        """The repair asks the storage and brings a good copy; until then nobody copies from there."""
        result = self.tools.doubt(corrupt)
        if not result["OK"]:
            self.log.warn("The repair has to find these replicas by itself", f"{corrupt}: {result['Message']}")
