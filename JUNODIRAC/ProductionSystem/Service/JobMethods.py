"""Methods of Production/ChainManager that the jobs of chains call, with the production manager's proxy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from DIRAC.ConfigurationSystem.Client.Config import gConfig
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.Core.Domain.JobError import JobFailure
from JUNODIRAC.ProductionSystem.Client.JobDesk import JobDesk
from JUNODIRAC.ProductionSystem.Service.ChainService import ChainService
from JUNODIRAC.RawDataSystem.Service.RawDataService import AGENTS, MANAGERS, answer


class JobMethods(ChainService):
    """All may be repeated: the second time they answer what they answered the first time.

    What a job may not do is no failure of the call: the answer's Error is the name of a JobError then, and nothing was changed.
    """

    auth_beginTask = MANAGERS
    types_beginTask = [int, int, int, str, str]

    @answer
    def export_beginTask(self, transformationID: int, taskID: int, jobID: int, site: str, host: str) -> dict[str, Any]:
        """A job begins with a task.

        :param host: the machine, with something that tells this execution of the job from others
        :returns: AttemptID; Done (all inputs are done already, outputs that nobody registered are in Unregistered); Step; Inputs
            in order: LFN, SizeBytes, Checksum, Run, Sequence, Events; Output: LFN, SEs, best first; SiteSEs: of the
            site; Error, Detail
        """
        self._managerCredentials()
        return self._jobDesk().begin(transformationID, taskID, (jobID, site, host))

    auth_noteUpload = MANAGERS
    types_noteUpload = [int, str]

    @answer
    def export_noteUpload(self, attemptID: int, se: str) -> dict[str, Any]:
        """A job is about to write its output to a storage element.

        :returns: Error, Detail
        """
        self._managerCredentials()
        try:
            self.chains.noteUpload(attemptID, se)
        except JobFailure as failure:
            return {"Error": failure.error.value, "Detail": failure.detail}
        return {"Error": "", "Detail": ""}

    auth_commitOutput = MANAGERS
    types_commitOutput = [int, dict, list]

    @answer
    def export_commitOutput(self, attemptID: int, output: dict[str, Any], inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """A job has uploaded its output, which counts from now on, if none of its inputs is in another one.

        :param output: LFN, GUID, SE, SizeBytes, Checksum
        :param inputs: LFN and Events of each, in order
        :returns: ProductID, Registration (see CommittedOutput), Error, Detail
        """
        self._managerCredentials()
        return self._jobDesk().commit(attemptID, output, inputs)

    auth_endAttempt = MANAGERS
    types_endAttempt = [int, int, str, str]

    @answer
    def export_endAttempt(self, attemptID: int, exitCode: int, error: str, detail: str) -> dict[str, Any]:
        """A job ends without an output that counts.

        :param error: name of a JobError
        :returns: State of the attempt, Error, Detail
        """
        self._managerCredentials()
        return self._jobDesk().end(attemptID, exitCode, error, detail)

    auth_registeredOutput = AGENTS
    types_registeredOutput = [list]

    @answer
    def export_registeredOutput(self, productIDs: Sequence[int]) -> int:
        """These outputs are in the catalogue, with their ancestors, and with the next steps.

        :returns: how many were not before
        """
        return self.chains.recordOutputsRegistered([int(productID) for productID in productIDs])

    auth_listUnregistered = AGENTS
    types_listUnregistered = [[int, float], int]

    @answer
    def export_listUnregistered(self, olderThanSeconds: float, limit: int) -> list[dict[str, Any]]:
        """Outputs that count for so long and are not registered yet, the oldest first: see CommittedOutput."""
        return [each.asAnswer() for each in self._jobDesk().unregistered(olderThanSeconds, limit)]

    def _jobDesk(self) -> JobDesk:
        return JobDesk(self.chains, TransformationClient(), siteStorages)


def siteStorages(site: str) -> list[str]:
    """The storage elements of a site, as the configuration lists them."""
    grid = site.partition(".")[0]
    found: list[str] = gConfig.getValue(f"/Resources/Sites/{grid}/{site}/SE", [])
    return found
