"""DIRAC's JobManager, which writes the jobs of a parametric job in one transaction.

DIRAC writes each job by three statements with a commit of their own, which wait for the disk, and it reads the configuration some
twenty times for each job while it checks the description. That is most of the time of a submission; and a service that dies in
the middle leaves a part of the jobs behind.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from DIRAC import S_ERROR
from DIRAC.Core.Utilities.DErrno import EWMSSUBM
from DIRAC.Core.Utilities.ReturnValues import SErrorException, returnValueOrRaise
from DIRAC.WorkloadManagementSystem.Service.JobManagerHandler import JobManagerHandler as DiracJobManagerHandler
from DIRAC.WorkloadManagementSystem.Utilities.JobModel import BaseJobDescriptionModel, JobDescriptionModel

# so long a change of the configuration may be unknown: much less than DIRAC's services need to hear of it
_CONFIGURATION_SECONDS = 5.0


class JobManagerHandler(DiracJobManagerHandler):
    """DIRAC's, with another way of writing many jobs."""

    @classmethod
    def initializeHandler(cls, serviceInfoDict: dict[str, Any]) -> dict[str, Any]:
        """Initialize as DIRAC does, and have the checks of descriptions remember the configuration."""
        for model in (BaseJobDescriptionModel, JobDescriptionModel):
            if not isinstance(model.__dict__["_config_builder"], staticmethod):
                model._config_builder = staticmethod(_remembered(model._config_builder))
        result: dict[str, Any] = super().initializeHandler(serviceInfoDict)
        return result

    def export_submitJob(self, jobDesc: str) -> dict[str, Any]:
        """Submit a job, or the jobs of a parametric one: all of them or none.

        Those of a parametric job are given to the optimizers only when their submitter confirms them, so that nobody asks for
        them before they are committed. A single job is DIRAC's matter.
        """
        if "Parameters" not in jobDesc:
            return self._submit(jobDesc)
        try:
            # the one that all statements of this thread use, those of JobLoggingDB on the same server too
            connection = returnValueOrRaise(self.jobDB._getConnection())
            returnValueOrRaise(self.jobDB._update("START TRANSACTION", conn=connection))
        except SErrorException as error:
            return S_ERROR(EWMSSUBM, f"No job was written: {error}")
        isWritten = False
        try:
            result = self._submit(jobDesc)
            if result["OK"] and self.jobDB._getConnection().get("Value") is not connection:
                # the server forgets what was written on a connection that is lost, and DIRAC goes on with another
                result = S_ERROR(EWMSSUBM, "The connection to the database was lost: not all jobs were written")
            isWritten = result["OK"] and self.jobDB._update("COMMIT", conn=connection)["OK"]
        finally:
            if not isWritten:
                self.jobDB._update("ROLLBACK", conn=connection, debug=False)
        if result["OK"] and not isWritten:
            return S_ERROR(EWMSSUBM, "The jobs could not be committed")
        return result

    def _submit(self, jobDesc: str) -> dict[str, Any]:
        result: dict[str, Any] = super().export_submitJob(jobDesc)
        return result


def _remembered(read: Callable[[], Any]) -> Callable[[], Any]:
    """What is read counts for a while."""
    known: dict[str, Any] = {}

    def remembered() -> Any:
        if monotonic() - known.get("time", float("-inf")) > _CONFIGURATION_SECONDS:
            # the value first: another thread may look at the time now
            known["value"] = read()
            known["time"] = monotonic()
        return known["value"]

    return remembered
