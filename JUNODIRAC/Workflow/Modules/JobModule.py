"""What the modules of a chain's job share: the state of the job, and how it fails."""

from __future__ import annotations

import time
from typing import Any

from DIRAC.Workflow.Modules.ModuleBase import GracefulTermination, ModuleBase

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.Workflow.Job.JobState import JobState
from JUNODIRAC.Workflow.Job.JobTools import JobTools

#: characters of the column ApplicationStatus
_MAX_STATUS_CHARS = 250
_STATE, _TOOLS = "JunoJobState", "JunoJobTools"


class JobModule(ModuleBase):
    """Base of the modules. A module that fails ends the attempt; those after it do nothing, except the last one."""

    #: the last one: it runs even if others failed, and what it says is the job's status
    isLast = False
    #: whether it runs where there was nothing else to do
    evenIfDone = False

    def work(self, state: JobState) -> None:
        """What the module does.

        :raises JobFailure: ends the job
        """
        raise NotImplementedError

    @property
    def state(self) -> JobState:
        """The job's state, which all modules share."""
        found: JobState = self.workflow_commons.setdefault(_STATE, JobState())
        return found

    @property
    def tools(self) -> JobTools:
        """DIRAC's clients, which all modules share."""
        if _TOOLS not in self.workflow_commons:
            self.workflow_commons[_TOOLS] = JobTools.ofProxy(lambda text: self.log.warn(text))
        found: JobTools = self.workflow_commons[_TOOLS]
        return found

    def _execute(self) -> None:
        state = self.state
        isOver = not self._checkWFAndStepStatus(noPrint=True) or (state.isDone and not self.evenIfDone)
        if isOver and not self.isLast:
            raise GracefulTermination(f"{type(self).__name__} is left out")
        started = time.monotonic()
        try:
            self.work(state)
        except JobFailure as failure:
            self._fail(failure)
        except TemporaryFailure as error:
            self._fail(JobFailure(JobError.SERVICE_AWAY, str(error)))
        except Exception as error:
            self.log.exception("Unexpected")
            self._fail(JobFailure(JobError.INTERNAL, f"{type(self).__name__}: {error!r}"))
        finally:
            state.seconds[type(self).__name__] = round(time.monotonic() - started, 3)

    def _fail(self, failure: JobFailure) -> None:
        """End the attempt, and the job with the error's code: DIRAC's base class takes both from this exception."""
        error = failure.error
        if self.state.attemptID:
            calls = self.tools.hastyChains if error is JobError.STOPPED else self.tools.chains
            try:
                calls.endAttempt(self.state.attemptID, error.exitCode, error.value, failure.detail)
            except JobFailure as trouble:
                self.log.error("The recovery has to find out how the job ended", str(trouble))
        raise RuntimeError(str(failure)[:_MAX_STATUS_CHARS], error.exitCode)

    def _finalize(self, status: str = "") -> None:
        super()._finalize((status or self.state.said or f"{type(self).__name__} done")[:_MAX_STATUS_CHARS])

    def setApplicationStatus(self, status: Any, sendFlag: bool = True) -> Any:
        """Only what people want to know is sent: that a module has ended well is not."""
        if isinstance(status, GracefulTermination) and not self.isLast:
            return None
        return super().setApplicationStatus(status, sendFlag)
