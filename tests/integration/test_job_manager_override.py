"""Jobs of a parametric job on the real database: the rows of DIRAC's own handler, and all of them or none."""

from __future__ import annotations

import uuid

import pytest
from DIRAC import S_ERROR, gLogger

pytestmark = pytest.mark.integration

JDL = """[ Executable = "dirac-jobexec"; JobName = "%(Name)s"; JobGroup = "{group}"; JobType = "DataReconstruction";
Site = "DIRAC.CNAF.it"; NumberOfProcessors = 8; CPUTime = 3600; Owner = "prod"; Parameters = 3;
Parameters.Name = {{"{group}_1","{group}_2","{group}_3"}} ]"""
COLUMNS = (
    "JobType, Site, Owner, OwnerGroup, VO, Status, MinorStatus, ApplicationStatus, UserPriority, RescheduleCounter, VerifiedFlag,"
    " AccountedFlag"
)


@pytest.fixture
def handler(testbed):
    """Handlers without a service around them, as the production manager calls them."""
    from DIRAC.WorkloadManagementSystem.DB.JobDB import JobDB
    from DIRAC.WorkloadManagementSystem.DB.JobLoggingDB import JobLoggingDB
    from DIRAC.WorkloadManagementSystem.Service.JobPolicy import JobPolicy

    def made(cls):
        one = cls.__new__(cls)
        one.jobDB, one.jobLoggingDB, one.log = JobDB(), JobLoggingDB(), gLogger
        one.owner, one.ownerGroup, one.peerUsesLimitedProxy, one.maxParametricJobs = "prod", "juno_prod", False, 10
        one.jobPolicy = JobPolicy("prod", "juno_prod", ["NormalUser"])
        one.jobPolicy.jobDB = one.jobDB
        one._JobManagerHandlerMixin__checkIfProxyUploadIsRequired = lambda: False
        return one

    return made


@pytest.fixture
def rowsOf(database):
    def found(group: str) -> list[tuple]:
        sql = f"SELECT JobName, JobID, {COLUMNS} FROM Jobs WHERE JobGroup = %s ORDER BY JobID"
        rows = []
        for name, number, *values in database.rows("JobDB", sql, group):
            ((jdl, original),) = database.rows(
                "JobDB", "SELECT JDL <> '', OriginalJDL <> '' FROM JobJDLs WHERE JobID = %s", number
            )
            logged = database.rows(
                "JobLoggingDB", "SELECT Status, MinorStatus, StatusSource FROM LoggingInfo WHERE JobID = %s", number
            )
            rows.append((name.removeprefix(group), tuple(values), jdl, original, logged))
        return rows

    return found


def classes():
    from DIRAC.WorkloadManagementSystem.Service.JobManagerHandler import JobManagerHandler as Stock

    from JUNODIRAC.WorkloadManagementSystem.Service.JobManagerHandler import JobManagerHandler

    return JobManagerHandler, Stock


def test_the_rows_are_those_of_diracs_handler(handler, rowsOf):
    found = []
    for cls in classes():
        group = uuid.uuid4().hex[:16]
        result = handler(cls).export_submitJob(JDL.format(group=group))
        assert result["OK"], result["Message"]
        assert len(result["Value"]) == 3
        found.append(rowsOf(group))
    assert found[0] == found[1]
    assert [row[0] for row in found[0]] == ["_1", "_2", "_3"]


@pytest.mark.parametrize("how", ["refuses", "raises", "is lost"])
def test_if_one_job_cannot_be_written_there_is_none_and_the_next_submission_is_whole(handler, database, rowsOf, how):
    one, group = handler(classes()[0]), uuid.uuid4().hex[:16]
    insert, jobs = one.jobDB.insertNewJobIntoDB, []

    def failing(*args, **more):
        if len(jobs) == 2 and how == "refuses":
            return S_ERROR("no")
        if len(jobs) == 2 and how == "raises":
            raise RuntimeError("dead")
        if len(jobs) == 2 and how == "is lost":
            ((number,),) = one.jobDB._query("SELECT CONNECTION_ID()")["Value"]
            # the next statement fails
            database.rows("JobDB", f"KILL {number}")
        jobs.append(1)
        return insert(*args, **more)

    one.jobDB.insertNewJobIntoDB = failing
    try:
        assert not one.export_submitJob(JDL.format(group=group))["OK"]
    except RuntimeError:
        assert how == "raises"
    assert rowsOf(group) == []
    del one.jobDB.insertNewJobIntoDB
    assert handler(classes()[0]).export_submitJob(JDL.format(group=group))["OK"]
    assert len(rowsOf(group)) == 3


def test_the_service_of_the_testbed_is_ours_and_checks_descriptions_as_ever(testbed):
    from DIRAC.WorkloadManagementSystem.Client.JobManagerClient import JobManagerClient

    jdl = JDL.format(group=uuid.uuid4().hex[:16]).replace("DIRAC.CNAF.it", "DIRAC.Nowhere.it")
    result = JobManagerClient().submitJob(jdl)
    assert not result["OK"]
    assert "DIRAC.Nowhere.it" in result["Message"]
