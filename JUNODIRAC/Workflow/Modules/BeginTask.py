"""First module of a chain's job: asks the service of chains what to do."""

from __future__ import annotations

import os
import signal
import socket
import uuid
from typing import Any

import DIRAC

from JUNODIRAC.Core.Domain.JobError import JobError, JobFailure
from JUNODIRAC.Core.Domain.JobRecords import CommittedOutput
from JUNODIRAC.Workflow.Job.JobState import JobInput, JobState, JobStep
from JUNODIRAC.Workflow.Modules.JobModule import JobModule


class BeginTask(JobModule):
    """Begin the task."""

    def work(self, state: JobState) -> None:
        """Get step, inputs and the name of the output; from now on there is an attempt."""
        signal.signal(signal.SIGTERM, _stop)
        # a job that DIRAC runs again has the same number: the rest tells its executions apart
        host = f"{socket.getfqdn()[:90]}#{os.getpid()}.{uuid.uuid4().hex[:12]}"
        site = os.environ.get("DIRACSITE") or DIRAC.siteName()
        answer = self.tools.chains.beginTask(self.production_id, self.prod_job_id, self.jobID, site, host)
        state.attemptID = answer["AttemptID"]
        if answer["Error"]:
            raise JobFailure(JobError.named(answer["Error"]), answer["Detail"])
        if answer["Done"]:
            state.isDone = True
            state.registration = [CommittedOutput.fromAnswer(each) for each in answer["Unregistered"]]
            state.said = "Nothing to do: other jobs have done all inputs"
            return
        state.step = JobStep.fromAnswer(answer["Step"])
        state.inputs = [JobInput.fromAnswer(each) for each in answer["Inputs"]]
        state.outputLFN = answer["Output"]["LFN"]
        state.storages = list(answer["Output"]["SEs"])
        state.siteStorages = list(answer["SiteSEs"])
        self.log.notice("Attempt", f"{state.attemptID}: {len(state.inputs)} inputs, output {state.outputLFN}")


def _stop(number: int, frame: Any) -> None:
    # once is enough: what ends the job must not be ended
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise JobFailure(JobError.STOPPED, f"signal {number}")
