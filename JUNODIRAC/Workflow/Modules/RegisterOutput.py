"""Module of a chain's job: registers the output."""

from __future__ import annotations

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Logic.Ports import BulkResult
from JUNODIRAC.Workflow.Job.JobState import JobState
from JUNODIRAC.Workflow.Modules.JobModule import JobModule


class RegisterOutput(JobModule):
    """Register the output with metadata and ancestors, and give it to the next steps."""

    evenIfDone = True

    def work(self, state: JobState) -> None:
        """What cannot be registered now is registered by the recovery, so this is no failure of the job."""
        if not state.registration:
            return
        try:
            result: BulkResult = self.tools.patience.ask(lambda: self.tools.registrar.register(state.registration))
            trouble = "; ".join(f"{lfn}: {reason}" for lfn, reason in result.failed.items())
        except JobFailure as failure:
            trouble = failure.detail or str(failure.error)
        except Exception as error:  # noqa: BLE001 the output counts, whatever this is
            trouble = repr(error)
        if trouble:
            self.log.warn("The registration is left to the recovery", trouble)
            state.said = f"{state.said}; {JobError.REGISTRATION_LEFT}: {trouble}"
