"""DIRAC's FTS3DB, which gives the agent only the jobs and operations that are due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from DIRAC.Core.Utilities.ReturnValues import S_ERROR, S_OK
from DIRAC.Core.Utilities.TimeUtilities import DiracTime
from DIRAC.DataManagementSystem.Client.FTS3File import FTS3File
from DIRAC.DataManagementSystem.Client.FTS3Job import FTS3Job
from DIRAC.DataManagementSystem.Client.FTS3Operation import FTS3Operation
from DIRAC.DataManagementSystem.DB import FTS3DB as diracModule
from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

# between the making of an operation and its first row: the clocks of two hosts
_NEW_SECONDS = 10


@dataclass(frozen=True)
class DueTimes:
    """When jobs and operations are due.

    A job is looked at again after a share of its age, so that a copy of seconds is noticed within seconds, and one of hours costs
    few questions to the FTS3 server.

    :param monitoringDelay: but not sooner, in seconds
    :param maxMonitoringDelay: nor later
    :param ageShare: that share, 0 to 1
    :param treatDelay: seconds between two treatments of an operation for which nothing happened: its request may have been
        cancelled, or a file may have found no source before
    """

    monitoringDelay: float = 2
    maxMonitoringDelay: float = 60
    ageShare: float = 0.1
    treatDelay: float = 10


class FTS3DB(diracModule.FTS3DB):
    """Two queries of DIRAC's with other conditions, which are written into them, and an update in few statements.

    All else is DIRAC's.

    DIRAC gives each unfinished operation to each cycle, those first that were treated longest ago. With thousands of copies
    under way nearly all of that is for nothing, and what is new comes last.
    """

    due = DueTimes()

    def getNonFinishedOperations(self, limit: int = 20, operationAssignmentTag: str | None = "Assigned") -> dict[str, Any]:
        """Operations that are new, of which a job has ended, or that were not treated for ``treatDelay``. Those with the highest
        priority come first, among them those of which a job has ended. Otherwise as DIRAC's, which also says what the tag is for.
        """
        session = self.dbSession(expire_on_commit=False)
        try:
            found = session.execute(self._dueOperations(limit, bool(operationAssignmentTag))).all()
            ids = [row[0] for row in found]
            operations = session.query(FTS3Operation).filter(FTS3Operation.operationID.in_(ids)).all() if ids else []
            if operationAssignmentTag and ids:
                self._assign(session, FTS3Operation, FTS3Operation.operationID, ids, operationAssignmentTag)
            session.commit()
            session.expunge_all()
            order = {number: place for place, number in enumerate(ids)}
            return S_OK(sorted(operations, key=lambda operation: order[operation.operationID]))
        except SQLAlchemyError as error:
            session.rollback()
            return S_ERROR(f"getNonFinishedOperations: {error}")
        finally:
            session.close()

    def _dueOperations(self, limit: int, forUpdate: bool) -> Any:
        """The ids, in the order in which they are to be treated."""
        # a job that has ended is looked at by nobody, though DIRAC leaves the mark on one that the server does not know any more
        isTaken = (
            select(FTS3Job.operationID).where(FTS3Job.assignment.is_not(None)).where(FTS3Job.status.in_(FTS3Job.NON_FINAL_STATES))
        )
        # the agent notes when it looked at a job, after the operation was last written
        hasEndedJob = (
            select(FTS3Job.jobID)
            .where(FTS3Job.operationID == FTS3Operation.operationID)
            .where(FTS3Job.status.in_(FTS3Job.FINAL_STATES))
            .where(FTS3Job.lastMonitor >= FTS3Operation.lastUpdate)
            .exists()
        )
        hasJob = select(FTS3Job.jobID).where(FTS3Job.operationID == FTS3Operation.operationID).exists()
        isNew = ~hasJob & (_secondsBetween(FTS3Operation.creationTime, FTS3Operation.lastUpdate) < _NEW_SECONDS)
        query = (
            select(FTS3Operation.operationID)
            .where(FTS3Operation.status.in_(["Active", "Processed"]))
            .where(FTS3Operation.assignment.is_(None))
            .where(FTS3Operation.operationID.not_in(isTaken))
            .where(or_(isNew, hasEndedJob, _secondsBetween(FTS3Operation.lastUpdate, _now()) >= self.due.treatDelay))
            # what was begun is finished first: else no replica would be registered before the last of a backlog was submitted
            .order_by(func.coalesce(FTS3Operation.priority, 0).desc(), hasEndedJob.desc(), FTS3Operation.lastUpdate.asc())
            .limit(limit)
        )
        return query.with_for_update() if forUpdate else query

    def getActiveJobs(
        self, limit: int = 20, lastMonitor: Any = None, jobAssignmentTag: str | None = "Assigned"
    ) -> dict[str, Any]:
        """Jobs that are due, those first that were looked at longest ago. Otherwise as DIRAC's, which also explains the tag."""
        session = self.dbSession(expire_on_commit=False)
        try:
            query = self._dueJobs(limit)
            if lastMonitor:
                query = query.where(FTS3Job.lastMonitor < lastMonitor)
            jobs = session.scalars(query.with_for_update() if jobAssignmentTag else query).all()
            if jobAssignmentTag and jobs:
                self._assign(session, FTS3Job, FTS3Job.jobID, [job.jobID for job in jobs], jobAssignmentTag)
            session.commit()
            session.expunge_all()
            return S_OK(list(jobs))
        except SQLAlchemyError as error:
            session.rollback()
            return S_ERROR(f"getActiveJobs: {error}")
        finally:
            session.close()

    def _dueJobs(self, limit: int) -> Any:
        due = self.due
        age = _secondsBetween(FTS3Job.submitTime, _now())
        delay = func.least(func.greatest(age * due.ageShare, due.monitoringDelay), due.maxMonitoringDelay)
        return (
            select(FTS3Job)
            .join(FTS3Operation)
            .where(FTS3Job.status.in_(FTS3Job.NON_FINAL_STATES))
            .where(FTS3Operation.status == "Active")
            .where(FTS3Job.assignment.is_(None))
            .where(FTS3Operation.assignment.is_(None))
            .where(_secondsBetween(FTS3Job.lastMonitor, _now()) >= delay)
            .order_by(FTS3Job.lastMonitor.asc())
            .limit(limit)
        )

    def updateFileStatus(self, fileStatusDict: Mapping[int, Mapping[str, Any]], ftsGUID: str | None = None) -> dict[str, Any]:
        """As DIRAC's, in one statement for all files with the same news, where DIRAC makes one and commits it for each file.

        Two thirds of the agent's CPU went there. Where another transaction is in the way, it is done DIRAC's way.
        """
        files: dict[tuple[tuple[str, Any], ...], list[int]] = {}
        for fileID, news in fileStatusDict.items():
            files.setdefault(tuple(sorted(news.items())), []).append(fileID)
        session = self.dbSession()
        try:
            for items, ids in files.items():
                session.execute(_fileUpdate(dict(items), ids, ftsGUID))
                session.commit()
        except SQLAlchemyError as error:
            session.rollback()
            self.log.verbose("Files are updated one by one", repr(error))
            result: dict[str, Any] = super().updateFileStatus(fileStatusDict, ftsGUID=ftsGUID)
            return result
        finally:
            session.close()
        return S_OK()

    @staticmethod
    def _assign(session: Any, table: Any, key: Any, ids: list[int], tag: str) -> None:
        """Keep others away from these rows."""
        statement = update(table).where(key.in_(ids)).values({"assignment": f"{tag}_{DiracTime.utcnow():%Y-%m-%d %H:%M:%S}"})
        # the rows are not read again through this session, see DIRAC's module
        session.execute(statement.execution_options(synchronize_session=False))


def _fileUpdate(news: dict[str, Any], ids: list[int], ftsGUID: str | None) -> Any:
    """:param ftsGUID: only of files that are still this job's"""
    # an empty text means none
    values = {name: news[name] or None for name in ("error", "ftsGUID") if name in news}
    statement = update(FTS3File).where(FTS3File.fileID.in_(sorted(ids))).where(FTS3File.status.not_in(FTS3File.FINAL_STATES))
    if ftsGUID:
        statement = statement.where(FTS3File.ftsGUID == ftsGUID)
    return statement.values({"status": news["status"], **values}).execution_options(synchronize_session=False)


def _now() -> Any:
    return diracModule.utc_timestamp()


def _secondsBetween(earlier: Any, later: Any) -> Any:
    """In SQL; the columns have whole seconds."""
    return func.to_seconds(later) - func.to_seconds(earlier)
