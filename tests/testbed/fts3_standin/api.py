"""What each request of the REST interface does: the part of FTS3's that DIRAC's client uses, and ``/standin/...`` for tests.

Job requests need a client certificate; a job is seen and canceled by its owner only. ``/standin`` answers the loopback and
holders of the server's own certificate.
"""

import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from . import API_VERSION, NAME
from .credentials import BadProxy, accept_proxy, delegation_id, make_request
from .rules import Action, BadRule, RuleBook
from .scheduler import Scheduler
from .store import Store
from .submission import BadSubmission, parse_submission
from .views import attempt_view, file_view, job_view, timestamp

LOG = logging.getLogger("fts3_standin.api")

AUTHENTICATION_TIMEOUT = 419  # FTS3's own code: the client must delegate


def status_text(status: int) -> str:
    """`404 Not Found`"""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Authentication Timeout"


class HttpError(Exception):
    """An answer other than success; `message` goes into the JSON body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Services:
    """What the handlers work with.

    :param host_dn: subject of the server's certificate
    :param min_delegation_seconds: a submission is refused if the delegated proxy lives shorter; FTS3 has one hour
    """

    store: Store
    rules: RuleBook
    scheduler: Scheduler
    vo: str
    host_dn: str
    min_delegation_seconds: int = 3600


@dataclass(frozen=True)
class Request:
    """One request, decoded."""

    dn: str
    is_local: bool
    query: dict[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body or b"null")
        except ValueError as error:
            raise HttpError(400, f"Badly formatted JSON request: {error}") from error


@dataclass(frozen=True)
class Answer:
    """A str body is sent as plain text, anything else as JSON."""

    body: Any
    status: int = 200


class Api:
    """Each public method answers one kind of request; the paths are in :mod:`fts3_standin.rest`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store, self._rules, self._scheduler = services.store, services.rules, services.scheduler

    # ---- identity and delegation ----------------------------------------------------------------------------------------------

    def root(self, request: Request) -> Answer:
        instant = sum(rule.action == Action.INSTANT for rule in self._rules.rules())
        standin = {
            "name": NAME,
            "instant_allowed": self._rules.allow_instant,
            "instant_rules": instant,
            "rules": len(self._rules.rules()),
            "rules_error": self._rules.error,
            "files": self._store.counts(),
            **self._scheduler.status(),
        }
        delegation = {"major": 1, "minor": 0, "patch": 0}
        return Answer({"api": API_VERSION, "core": API_VERSION, "delegation": delegation, "_links": {}, "standin": standin})

    def whoami(self, request: Request) -> Answer:
        return Answer(
            {
                "delegation_id": delegation_id(request.dn),
                "user_dn": request.dn,
                "dn": [request.dn],
                "vos": [self._services.vo],
                "voms_cred": [],
                "roles": [],
                "level": {"transfer": "private", "deleg": "private"},
                "method": "certificate",
                "is_root": False,
            }
        )

    def delegation(self, request: Request, dlg_id: str) -> Answer:
        self._check_own(request, dlg_id)
        credential = self._store.credential(dlg_id)
        if credential is None:
            return Answer(None)
        return Answer({"termination_time": timestamp(credential["termination"]), "voms_attrs": []})

    def delegation_request(self, request: Request, dlg_id: str) -> Answer:
        self._check_own(request, dlg_id)
        if self._store.proxy_request(dlg_id) is None:
            self._store.save_proxy_request(dlg_id, *make_request())
        saved = self._store.proxy_request(dlg_id)
        assert saved is not None
        return Answer(saved["csr_pem"])

    def delegation_credential(self, request: Request, dlg_id: str) -> Answer:
        self._check_own(request, dlg_id)
        saved = self._store.proxy_request(dlg_id)
        if saved is None:
            raise HttpError(400, "No credential cache found: ask for a request first")
        try:
            proxy, termination = accept_proxy(request.body, saved["key_pem"], request.dn)
        except BadProxy as error:
            raise HttpError(400, f"Could not process the proxy: {error}") from error
        self._store.save_credential(dlg_id, request.dn, proxy, termination.timestamp())
        LOG.info("delegation %s of %s until %s", dlg_id, request.dn, f"{termination:%Y-%m-%dT%H:%M:%SZ}")
        return Answer("", 201)

    def delegation_delete(self, request: Request, dlg_id: str) -> Answer:
        self._check_own(request, dlg_id)
        if not self._store.delete_credential(dlg_id):
            raise HttpError(404, "Delegated credentials not found")
        return Answer("", 204)

    @staticmethod
    def _check_own(request: Request, dlg_id: str) -> None:
        if dlg_id != delegation_id(request.dn):
            raise HttpError(403, "The requested ID and the credentials ID do not match")

    # ---- jobs -----------------------------------------------------------------------------------------------------------------

    def submit(self, request: Request) -> Answer:
        body = request.json()
        self._check_delegation(request.dn)
        try:
            submission = parse_submission(body)
        except BadSubmission as error:
            raise HttpError(400, str(error)) from error
        rule = self._rules.take_for_submission((entry.source, entry.destination) for entry in submission.files)
        action = rule.action if rule else None
        if rule and action == Action.REFUSE_SUBMISSION:
            raise HttpError(rule.http_status, f"Submission refused by rule {rule.id}")
        cred_id = delegation_id(request.dn)
        if action == Action.FORGET:
            # The id looks like any other; nothing is behind it.
            return Answer({"job_id": str(uuid.uuid1())})
        job_id = self._store.add_job(submission, request.dn, cred_id, self._services.vo, hidden=action == Action.LOSE_JOB)
        LOG.info("job %s of %s: %d file entries", job_id, request.dn, len(submission.files))
        self._scheduler.wake()
        return Answer({"job_id": job_id})

    def _check_delegation(self, dn: str) -> None:
        credential = self._store.credential(delegation_id(dn))
        if credential is None:
            raise HttpError(AUTHENTICATION_TIMEOUT, f'No delegation found for "{dn}"')
        left = credential["termination"] - self._store.clock()
        if left <= 0:
            raise HttpError(AUTHENTICATION_TIMEOUT, f"The delegated credentials expired {-left:.0f} seconds ago")
        if left < self._services.min_delegation_seconds:
            raise HttpError(
                AUTHENTICATION_TIMEOUT,
                f"The delegated credentials have {left:.0f} s left, less than {self._services.min_delegation_seconds} s",
            )

    def jobs(self, request: Request) -> Answer:
        if request.query.get("user_dn", request.dn) != request.dn:
            raise HttpError(400, "The provided DN and delegation id do not correspond to the same user")
        if request.query.get("dlg_id", delegation_id(request.dn)) != delegation_id(request.dn):
            raise HttpError(403, "The provided delegation id does not match your delegation id")
        states = [state for state in request.query.get("state_in", "").split(",") if state]
        rows = self._store.jobs(request.dn, states)
        for key in ("source_se", "dest_se", "vo_name"):
            rows = [row for row in rows if request.query.get(key) in (None, "", row[key])]
        return Answer([job_view(row) for row in rows])

    def job(self, request: Request, job_ids: str) -> Answer:
        fields = [field for field in request.query.get("files", "").split(",") if field]

        def one(job_id: str) -> dict[str, Any]:
            view = job_view(self._own_job(request, job_id))
            if fields:
                files = [file_view(row) for row in self._store.files(job_id)]
                view["files"] = [{field: entry[field] for field in fields if field in entry} for entry in files]
            return {**view, "http_status": "200 Ok"}

        return self._for_each(job_ids, one)

    def job_files(self, request: Request, job_id: str) -> Answer:
        self._own_job(request, job_id)
        return Answer([file_view(row) for row in self._store.files(job_id)])

    def job_dm(self, request: Request, job_id: str) -> Answer:
        self._own_job(request, job_id)
        return Answer([])

    def file_retries(self, request: Request, job_id: str, file_id: str) -> Answer:
        self._own_job(request, job_id)
        rows = [row for row in self._store.attempts(file_id=int(file_id)) if row["job_id"] == job_id and row["state"] == "RETRY"]
        return Answer(
            [{"attempt": n, "datetime": timestamp(row["finished"]), "reason": row["reason"]} for n, row in enumerate(rows, 1)]
        )

    def cancel(self, request: Request, job_ids: str) -> Answer:
        def one(job_id: str) -> dict[str, Any]:
            self._own_job(request, job_id)
            canceled = self._store.cancel(job_id)
            self._scheduler.cancel(canceled)
            status = "200 Ok" if canceled else "304 Not Modified"
            return {**job_view(self._own_job(request, job_id)), "http_status": status}

        return self._for_each(job_ids, one)

    def cancel_files(self, request: Request, job_id: str, file_ids: str) -> Answer:
        self._own_job(request, job_id)
        wanted = [int(file_id) for file_id in file_ids.split(",") if file_id]
        self._scheduler.cancel(self._store.cancel(job_id, wanted))
        states = {row["file_id"]: row["state"] for row in self._store.files(job_id)}
        answers = [states.get(file_id, "File does not belong to the job") for file_id in wanted]
        return Answer(answers if len(answers) > 1 else answers[0])

    def _own_job(self, request: Request, job_id: str) -> Any:
        row = self._store.job(job_id)
        if row is None:
            raise HttpError(404, f'No job with the id "{job_id}" has been found')
        if row["user_dn"] != request.dn:
            raise HttpError(403, f'Not enough permissions to check the job "{job_id}"')
        return row

    @staticmethod
    def _for_each(job_ids: str, work: Callable[[str], dict[str, Any]]) -> Answer:
        """One id: its answer or error. Several: a list, with status 207 if one of them failed, as FTS3 does."""
        ids = [job_id for job_id in job_ids.split(",") if job_id]
        if len(ids) == 1:
            return Answer(work(ids[0]))
        answers, status = [], 200
        for job_id in ids:
            try:
                answers.append(work(job_id))
            except HttpError as error:
                status = 207
                answers.append({"job_id": job_id, "http_status": status_text(error.status), "http_message": error.message})
        return Answer(answers, status)

    # ---- for tests ------------------------------------------------------------------------------------------------------------

    def rules(self, request: Request) -> Answer:
        self._check_admin(request)
        return Answer(self._rules.describe())

    def add_rules(self, request: Request) -> Answer:
        self._check_admin(request)
        body = request.json()
        try:
            added = [self._rules.add(values) for values in (body if isinstance(body, list) else [body])]
        except (BadRule, TypeError) as error:
            raise HttpError(400, str(error)) from error
        self._scheduler.wake()
        return Answer([rule.id for rule in added], 201)

    def remove_rules(self, request: Request, rule_id: str | None = None) -> Answer:
        self._check_admin(request)
        removed = self._rules.remove(rule_id)
        if rule_id is not None and not removed:
            raise HttpError(404, f'No rule with the id "{rule_id}" has been found')
        self._scheduler.wake()
        return Answer({"removed": removed})

    def transfers(self, request: Request) -> Answer:
        self._check_admin(request)
        return Answer([attempt_view(row) for row in self._store.attempts(after=int(request.query.get("after", 0)))])

    def _check_admin(self, request: Request) -> None:
        if not (request.is_local or request.dn == self._services.host_dn):
            raise HttpError(403, "/standin answers the loopback and the server's own certificate only")
