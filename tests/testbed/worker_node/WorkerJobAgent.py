"""DIRAC's JobAgent as it has to be on a testbed: quick, and with many processors that are not there."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from DIRAC import S_OK
from DIRAC.WorkloadManagementSystem.Agent.JobAgent import JobAgent

STOP_FILE = "stop_agent"


class WorkerJobAgent(JobAgent):
    """What is different, and why.

    - After a match it asks for the next job at once, after none in ``WaitSeconds``, and while jobs run each second; the stock one
      does one request each ten seconds or more, and each one in vain makes the wait for the next longer.
    - The node says that it has as many processors as the largest job wants, but no more than ``MaxJobs`` jobs run at a time: the
      stock Pool runs as many as it has processors.
    - Only the ``KeptJobs`` last working folders are kept.
    """

    def execute(self) -> dict:
        """Fetch jobs for about a minute."""
        until = time.monotonic() + 60
        result = S_OK()
        while result["OK"] and time.monotonic() < until and not self._isToStop():
            before = self.jobCount
            result = super().execute()
            self._forgetOldJobs()
            if self.jobCount == before:
                time.sleep(1 if self.jobs else self.am_getOption("WaitSeconds", 4))
        return result

    def _isToStop(self) -> bool:
        return os.path.exists(os.path.join(self.am_getControlDirectory(), STOP_FILE))

    def _checkCEAvailability(self, computingElement) -> dict:
        # what has ended in the meantime is only looked at after a match otherwise
        self._checkSubmittedJobs()
        if len(self.jobs) >= self.am_getOption("MaxJobs", 2):
            return S_OK("No place for another job")
        return super()._checkCEAvailability(computingElement)

    def _checkMatchingIssues(self, jobRequest: dict) -> dict:
        result = super()._checkMatchingIssues(jobRequest)
        # the factor of the wait after a request in vain, plus one
        self.matchFailedCount = -1
        return result

    def _updateConfiguration(self, key, value, path="/LocalSite") -> None:
        """The time that is left does not run out, and a job may be reading the file that would be written here."""

    def _forgetOldJobs(self) -> None:
        kept = self.am_getOption("KeptJobs", 200)
        folders = [path for path in Path.cwd().iterdir() if path.name.isdigit()]
        for folder in sorted(folders, key=lambda path: int(path.name))[:-kept]:
            if folder.name not in self.jobs:
                shutil.rmtree(folder, ignore_errors=True)
                Path(f"{folder}.jdl").unlink(missing_ok=True)
