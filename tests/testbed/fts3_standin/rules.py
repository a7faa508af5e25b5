"""Fault injection. A rule says which attempts (or submissions) are to go wrong, and how.

Rules live in ``rules.json`` in the state directory, a list of objects, read again whenever it changes; ``/standin/rules`` edits
the same file. A rule stays until it is removed, over restarts too. The first rule that matches and is not used up wins.

==================  ===========================================================================================================
field               meaning
==================  ===========================================================================================================
``action``          one of :class:`Action`; needed
``source``          glob for the source host, or ``host:port``; default ``*``
``destination``     the same for the destination
``lfn``             glob for the path, matched at its end, so that an LFN finds its PFN under any prefix; default ``*``
``count``           only the first so many matches; default: all
``delay_seconds``   wait so long, ACTIVE and holding a place, before the action; default 0
``reason``          ``fail``: the text; default ``injected failure``
``phase``           ``fail``: SOURCE, TRANSFER or DESTINATION; default TRANSFER
``code``            ``fail``: errno; default 5
``recoverable``     ``fail``: default true
``http_status``     ``refuse_submission``: default 503
``id``              name of the rule; made up if missing
==================  ===========================================================================================================
"""

import fnmatch
import hashlib
import json
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from .submission import storage_host, url_path


class Action(StrEnum):
    """What is to happen."""

    FAIL = "fail"  #: the attempt fails, no byte is moved
    DELAY = "delay"  #: a right copy, after `delay_seconds`
    HANG = "hang"  #: stays ACTIVE until it is canceled, times out, or the rule is removed (then the copy is made)
    CORRUPT = "corrupt"  #: the destination gets wrong bytes of the right size, FINISHED is reported
    TRUNCATE = "truncate"  #: the destination gets the first half of the bytes, FINISHED is reported
    INSTANT = "instant"  #: FINISHED without moving a byte; needs ``--allow-instant``
    LOSE_JOB = "lose_job"  #: accepted and copied, but the server answers 404 for the job from then on
    FORGET = "forget"  #: accepted, an id is given, nothing is kept and nothing is copied
    REFUSE_SUBMISSION = "refuse_submission"  #: the submission is answered with `http_status`


SUBMISSION_ACTIONS = frozenset({Action.LOSE_JOB, Action.FORGET, Action.REFUSE_SUBMISSION})


class BadRule(Exception):
    """A rule that cannot be used; the message names the field and the remedy."""


@dataclass(frozen=True)
class Rule:
    """One rule, see the table above."""

    id: str
    action: Action
    source: str = "*"
    destination: str = "*"
    lfn: str = "*"
    count: int | None = None
    delay_seconds: float = 0.0
    reason: str = "injected failure"
    phase: str = "TRANSFER"
    code: int = 5
    recoverable: bool = True
    http_status: int = 503

    @classmethod
    def from_dict(cls, values: Any, allow_instant: bool = False) -> "Rule":
        """
        :raises BadRule: for an unknown field or value
        """
        if not isinstance(values, dict):
            raise BadRule(f"A rule is a JSON object, not {values!r}")
        known = {field.name for field in fields(cls)}
        if unknown := set(values) - known:
            raise BadRule(f"Unknown field {sorted(unknown)[0]!r}: use one of {', '.join(sorted(known))}")
        if values.get("action") not in set(Action):
            raise BadRule(f"Unknown action {values.get('action')!r}: use one of {', '.join(Action)}")
        if values["action"] == Action.INSTANT and not allow_instant:
            raise BadRule("Action 'instant' moves no bytes: start the stand-in with --allow-instant to use it")
        if values.get("phase", "TRANSFER") not in ("SOURCE", "TRANSFER", "DESTINATION"):
            raise BadRule(f"Unknown phase {values['phase']!r}: use SOURCE, TRANSFER or DESTINATION")
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
        return cls(**{**values, "action": Action(values["action"]), "id": str(values.get("id") or digest)})

    def matches(self, source: str, destination: str) -> bool:
        """
        :param source: URL
        :param destination: URL
        """
        return (
            _host_matches(self.source, source)
            and _host_matches(self.destination, destination)
            and any(fnmatch.fnmatchcase(url_path(url), "*" + self.lfn) for url in (destination, source))
        )


def _host_matches(pattern: str, url: str) -> bool:
    # DIRAC's URLs have a user before the host
    host_and_port = urlsplit(url).netloc.rpartition("@")[2]
    return any(fnmatch.fnmatchcase(name, pattern) for name in (storage_host(url), host_and_port))


class MatchCounter(Protocol):
    """Where the number of matches of each rule is kept (the store)."""

    def rule_matches(self) -> dict[str, int]: ...

    def save_rule_matches(self, rule_id: str, matched: int | None) -> None: ...


class RuleBook:
    """The rules in force.

    :param path: ``rules.json``
    :param counter: keeps the numbers of matches, so that `count` holds over a restart
    """

    def __init__(self, path: Path, counter: MatchCounter, allow_instant: bool = False) -> None:
        self.path = path
        self.allow_instant = allow_instant
        self.error: str | None = None
        self._counter = counter
        self._lock = threading.RLock()
        self._matched = counter.rule_matches()
        self._stamp: tuple[int, int, int] | None = None
        self._rules: list[Rule] = []

    def rules(self) -> list[Rule]:
        """The rules as the file has them now. A file that cannot be read keeps the rules of before and sets `error`."""
        with self._lock:
            stamp = self._file_stamp()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    entries = json.loads(self.path.read_text()) if stamp else []
                    self._rules = [Rule.from_dict(entry, self.allow_instant) for entry in entries]
                    self.error = None
                except (ValueError, TypeError, BadRule) as error:
                    self.error = f"{self.path.name}: {error}"
            return list(self._rules)

    def _file_stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def matched(self, rule_id: str) -> int:
        return self._matched.get(rule_id, 0)

    def take_for_attempt(self, source: str, destination: str) -> Rule | None:
        """The rule for an attempt that begins now; counts the match."""
        return self._take([(source, destination)], for_submission=False)

    def take_for_submission(self, pairs: Iterable[tuple[str, str]]) -> Rule | None:
        """The rule for a job that is being submitted, found if any of its (source, destination) pairs matches."""
        return self._take(list(pairs), for_submission=True)

    def _take(self, pairs: list[tuple[str, str]], for_submission: bool) -> Rule | None:
        with self._lock:
            for rule in self.rules():
                if (rule.action in SUBMISSION_ACTIONS) is not for_submission:
                    continue
                if rule.count is not None and self.matched(rule.id) >= rule.count:
                    continue
                if any(rule.matches(source, destination) for source, destination in pairs):
                    self._matched[rule.id] = self.matched(rule.id) + 1
                    self._counter.save_rule_matches(rule.id, self._matched[rule.id])
                    return rule
        return None

    def add(self, values: Any) -> Rule:
        """Add a rule at the end, or put it in the place of the one with the same id; its count begins anew.

        :raises BadRule: if it cannot be used; nothing is changed then
        """
        with self._lock:
            rule = Rule.from_dict(values, self.allow_instant)
            self._write([old for old in self.rules() if old.id != rule.id] + [rule])
            self._forget(rule.id)
            return rule

    def remove(self, rule_id: str | None = None) -> int:
        """
        :param rule_id: None removes all
        :returns: number of rules removed
        """
        with self._lock:
            before = self.rules()
            gone = [rule for rule in before if rule_id in (None, rule.id)]
            self._write([rule for rule in before if rule not in gone])
            for rule in gone:
                self._forget(rule.id)
            return len(gone)

    def _forget(self, rule_id: str) -> None:
        self._matched.pop(rule_id, None)
        self._counter.save_rule_matches(rule_id, None)

    def _write(self, rules: list[Rule]) -> None:
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps([asdict(rule) for rule in rules], indent=2) + "\n")
        os.replace(temporary, self.path)
        self._rules, self._stamp, self.error = rules, self._file_stamp(), None

    def describe(self) -> list[dict[str, Any]]:
        """The rules with their numbers of matches, for ``GET /standin/rules``."""
        with self._lock:
            return [{**asdict(rule), "matched": self.matched(rule.id)} for rule in self.rules()]
