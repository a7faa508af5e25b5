"""Why copies fail: classes of errors, how their texts are recognised, and what is done about each, in one table.

FTS3's reasons begin with a phase and an errno, ``DESTINATION [28] No space left on device``; older ones the other way round. What
follows is whatever gfal2, XRootD or a web storage said. DIRAC's own reasons have no phase.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class ErrorClass(StrEnum):
    """What is wrong, as far as the text tells."""

    DESTINATION_FULL = "DestinationFull"
    DESTINATION_DOWN = "DestinationDown"
    DESTINATION_DENIED = "DestinationDenied"
    DESTINATION_EXISTS = "DestinationExists"
    SOURCE_MISSING = "SourceMissing"
    SOURCE_CORRUPT = "SourceCorrupt"
    SOURCE_DENIED = "SourceDenied"
    SOURCE_DOWN = "SourceDown"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    TIMEOUT = "Timeout"
    LOST = "Lost"
    COPY_LOST = "CopyLost"
    MASS_LOSS = "MassLoss"
    PROXY = "Proxy"
    CATALOGUE = "Catalogue"
    BANNED = "Banned"
    UNKNOWN = "Unknown"


class Blame(StrEnum):
    """What a failure says of the source."""

    NONE = "None"  #: it lies with the destination, with FTS3 or with ourselves
    FAILED = "Failed"  #: it may lie with the source or the link
    BAD = "Bad"  #: the bytes were wrong, or the replica is not there


@dataclass(frozen=True)
class ErrorPolicy:
    """What is done about an error of one class. People are told of each pause, and when attempts end.

    :param meaning: in a sentence
    :param blame: what it says of the source
    :param pauseFiles: the site is paused when so many of its files have this error in one look; 0: never
    :param pauseSeconds: for how long at first; doubled each time that it comes again soon after
    :param asksSources: the bytes of the other replicas are asked for; one that is wrong is never a source again
    :param againSeconds: how long FTS3's next attempt of the same request waits; doubled with each attempt
    :param firstSeconds: back-off before the repair's first new copy
    :param factor: and how it grows with each
    :param maxSeconds: and up to what
    :param who: has to act
    :param remedy: what to do
    """

    meaning: str
    blame: Blame
    pauseFiles: int
    pauseSeconds: int
    asksSources: bool
    againSeconds: int
    firstSeconds: int
    factor: float
    maxSeconds: int
    who: str
    remedy: str

    def backOffSeconds(self, attempts: int) -> float:
        """How long to wait after so many attempts of the repair, one at least."""
        return min(self.firstSeconds * self.factor ** min(max(attempts, 1) - 1, 30), self.maxSeconds)

    def secondsToNextSubmission(self, attempts: int) -> float:
        """How long FTS3Agent waits after so many failed attempts of one request."""
        return min(self.againSeconds * 2.0 ** min(max(attempts, 1) - 1, 10), MAX_AGAIN_SECONDS)


SITE, SOURCE_SITE, MANAGER, OPERATOR = "the destination site", "the source site", "the data manager", "the operator of DIRAC"
MAX_AGAIN_SECONDS = 600
MAX_PAUSE_SECONDS = 6 * 3600
_HOURS = 3600

# fmt: off
POLICIES: dict[ErrorClass, ErrorPolicy] = {
    # meaning, blame, pause (files, seconds), asks sources, again, back-off (first, factor, max), who, remedy
    ErrorClass.DESTINATION_FULL: ErrorPolicy(
        "the destination has no room, or no quota", Blame.NONE, 1, 1800, False, 60, 900, 2, 6 * _HOURS,
        SITE, "ask the site for space; then dirac-juno-block resume --site SE"),
    ErrorClass.DESTINATION_DOWN: ErrorPolicy(
        "the destination's storage does not work", Blame.NONE, 3, 600, False, 60, 300, 2, 6 * _HOURS,
        SITE, "tell the site; copies go on by themselves when it works again"),
    ErrorClass.DESTINATION_DENIED: ErrorPolicy(
        "the destination does not let us write", Blame.NONE, 3, 1800, False, 60, 900, 2, 6 * _HOURS,
        SITE, "ask the site to let the production manager write there; then dirac-juno-block resume --site SE"),
    ErrorClass.DESTINATION_EXISTS: ErrorPolicy(
        "a file is there already and is not overwritten", Blame.NONE, 0, 0, False, 60, 300, 2, 6 * _HOURS,
        SITE, "find out what the file is; if it is in the way, ask the site to remove it, then dirac-juno-block retransfer"),
    ErrorClass.SOURCE_MISSING: ErrorPolicy(
        "the source does not have the file", Blame.BAD, 0, 0, True, 10, 60, 2, 6 * _HOURS,
        SOURCE_SITE, "bring the file back to the source, then dirac-juno-block retransfer"),
    ErrorClass.SOURCE_CORRUPT: ErrorPolicy(
        "the source's bytes are wrong", Blame.BAD, 0, 0, True, 10, 60, 2, 6 * _HOURS,
        SOURCE_SITE, "write the file at the source again as it was announced, then dirac-juno-block retransfer"),
    ErrorClass.SOURCE_DENIED: ErrorPolicy(
        "the source does not let us read", Blame.FAILED, 0, 0, False, 60, 900, 2, 6 * _HOURS,
        SOURCE_SITE, "ask the source site to let the production manager read there"),
    ErrorClass.SOURCE_DOWN: ErrorPolicy(
        "the source's storage does not work", Blame.FAILED, 0, 0, False, 60, 300, 2, 6 * _HOURS,
        SOURCE_SITE, "tell the source site; copies go on by themselves when it works again"),
    ErrorClass.CHECKSUM_MISMATCH: ErrorPolicy(
        "the bytes were wrong after the copy", Blame.BAD, 0, 0, True, 10, 60, 2, 6 * _HOURS,
        SITE, "find out whether source, link or destination damages files"),
    ErrorClass.TIMEOUT: ErrorPolicy(
        "the copy took too long, or broke off", Blame.FAILED, 0, 0, False, 30, 120, 2, 6 * _HOURS,
        SITE, "look at the link and both storages"),
    ErrorClass.LOST: ErrorPolicy(
        "FTS3 lost or canceled the copy", Blame.NONE, 0, 0, False, 10, 60, 2, 2 * _HOURS,
        OPERATOR, "look at the FTS3 server"),
    ErrorClass.COPY_LOST: ErrorPolicy(
        "a registered copy is no longer on its storage", Blame.NONE, 0, 0, False, 10, 60, 2, 6 * _HOURS,
        SITE, "find out what deletes files there"),
    ErrorClass.MASS_LOSS: ErrorPolicy(
        "many registered copies are missing or wrong at once", Blame.NONE, 0, 0, False, 60, 300, 2, 6 * _HOURS,
        SITE, "find out whether the storage is mounted; then dirac-juno-block resume --site SE: what is right then stays, and"
        " what is really gone is copied again"),
    ErrorClass.PROXY: ErrorPolicy(
        "our proxy or certificate is not accepted", Blame.NONE, 0, 0, False, 120, 600, 2, 6 * _HOURS,
        OPERATOR, "renew the production manager's proxy (dirac-proxy-init) and look at the certificates; then dirac-juno-block"
        " retransfer --only-failed"),
    ErrorClass.CATALOGUE: ErrorPolicy(
        "the copy was made, but not registered", Blame.NONE, 0, 0, False, 30, 60, 2, 2 * _HOURS,
        OPERATOR, "look at DataManagement/FileCatalog; a good copy is registered when it works again"),
    ErrorClass.BANNED: ErrorPolicy(
        "a storage element is banned in DIRAC", Blame.NONE, 0, 0, False, 60, 900, 2, 6 * _HOURS,
        MANAGER, "allow it again when it works: dirac-admin-allow-se SE"),
    ErrorClass.UNKNOWN: ErrorPolicy(
        "the text is not known", Blame.FAILED, 0, 0, False, 30, 300, 2, 6 * _HOURS,
        MANAGER, "read the text; then dirac-juno-block retransfer"),
}
# fmt: on


def _pattern(*texts: str) -> re.Pattern[str]:
    return re.compile("|".join(texts), re.IGNORECASE | re.DOTALL)


_DOWN = (
    r"could not (connect|open connection)|unable to connect|failed to (connect|contact)|error in connect|no route to host"
    r"|connection (refused|reset|limit|closed|seems)|unreachable|service unavailable|curl error|\bHTTP 50[0-9]\b"
    r"|unexpected server error|internal server error|stream (error|closed)|end of file|broken pipe|no servers? (is|are) available"
    r"|no such device|name or service not known|couldn.t get metadata|site busy|socket error|tls error|system error in"
    r"|input/output error|login failed|auth failed"
)
_TIMED_OUT = r"time.?d? ?out\b|timeout|\[110\]|operation expired|forcefully killed|took too long|abruptly|operation was aborted"

#: the first that is found decides
_PATTERNS: tuple[tuple[ErrorClass, re.Pattern[str]], ...] = (
    (ErrorClass.LOST, _pattern(
        r"^job \S+ not found", r"job (has been |was )?cance", r"stayed in the queue", r"no fts server has updated",
        r"^request (gone|canceled)", r"operation canceled")),
    (ErrorClass.COPY_LOST, _pattern(r"^there is no such file$", r"registered copy .{0,40}(missing|not there)")),
    (ErrorClass.MASS_LOSS, _pattern(r"^\d+ of \d+ registered copies are missing or wrong")),
    (ErrorClass.PROXY, _pattern(
        r"(proxy|certificate|credentials?|token)\b.{0,60}(expired|not (be )?found|not valid|invalid|missing)",
        r"(expired|invalid|no|valid) (proxy|credentials?|certificate)", r"could not process the proxy", r"no mapping defined",
        r"(failed|unable|cannot|can't) .{0,40}proxy", r"login incorrect")),
    (ErrorClass.DESTINATION_FULL, _pattern(
        r"no space left", r"quota", r"insufficient storage", r"(HTTP|code) 507\b", r"not have enough (free )?space",
        r"no.?free.?space", r"pools are full", r"free physical space", r"^(DESTINATION|TRANSFER) \[(28|122)\]")),
    (ErrorClass.SOURCE_CORRUPT, _pattern(
        r"SOURCE.{0,12}CHECKSUM MISMATCH", r"^SOURCE .{0,200}checksums?\b.{0,80}(mismatch|differ|do not match)",
        r"USER_DEFINE and SRC checksums", r"source and user-defined.{0,20}checksum", r"all replicas have a bad checksum")),
    (ErrorClass.CHECKSUM_MISMATCH, _pattern(
        r"checksums?\b.{0,80}(mismatch|differ|do not match)", r"checksum error", r"(wrong|bad) checksum", r"size mismatch")),
    (ErrorClass.DESTINATION_EXISTS, _pattern(r"file exists", r"overwrite is not enabled", r"exists and is on tape")),
    (ErrorClass.CATALOGUE, _pattern(r"catalog", r"failed to register", r"replicas failed to register", r"^register")),
    (ErrorClass.BANNED, _pattern(r"\bbanned\b")),
    (ErrorClass.SOURCE_MISSING, _pattern(
        r"SOURCE\b.{0,300}(no such file|not found|HTTP 404\b|does not exist)", r"^SOURCE \[2\]", r"^no replicas found",
        r"^no valid replicas", r"no replica is left")),
    (ErrorClass.SOURCE_DENIED, _pattern(
        r"\bSOURCE\b.{0,300}(denied|permission refused|HTTP 40[13]\b|not authori)", r"^SOURCE \[(1|13)\]")),
    (ErrorClass.DESTINATION_DENIED, _pattern(
        r"permission denied", r"permission.?refused", r"permission_denied", r"access denied", r"commands denied", r"not authori",
        r"authorization_failure", r"HTTP 40[13]\b", r"^(DESTINATION|TRANSFER) \[(1|13)\]", r"read-only file system")),
    (ErrorClass.SOURCE_DOWN, _pattern(rf"\bSOURCE\b.{{0,500}}({_DOWN}|{_TIMED_OUT})", r"couldn.t get metadata")),
    (ErrorClass.DESTINATION_DOWN, _pattern(rf"\bDESTINATION\b.{{0,500}}({_DOWN}|{_TIMED_OUT})", r"^(\[\d+\] )?DESTINATION\b")),
    (ErrorClass.TIMEOUT, _pattern(_TIMED_OUT, _DOWN, r"tpc authorization expired", r"already opened by \d+ writer")),
)  # fmt: skip


def classify(error: str) -> ErrorClass:
    """The class of a reason that FTS3, gfal2, XRootD or DIRAC gave."""
    text = error.strip()
    return next((found for found, pattern in _PATTERNS if pattern.search(text)), ErrorClass.UNKNOWN)


def policyOf(error: str) -> ErrorPolicy:
    """What is done about a reason."""
    return POLICIES[classify(error)]


def blameOf(error: str) -> Blame:
    """What a reason says of the source."""
    return policyOf(error).blame
