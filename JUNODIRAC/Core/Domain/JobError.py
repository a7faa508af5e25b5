"""How a job of a chain can fail: name, exit code, sentence, remedy, who acts, and what the recovery does about its inputs."""

from __future__ import annotations

from enum import StrEnum


class NextTry(StrEnum):
    """What the recovery does with the inputs of a job that failed."""

    #: another job, anywhere, after a wait
    AGAIN = "again"
    #: another job, at another site where one has the inputs
    ELSEWHERE = "elsewhere"
    #: none: a person has to act
    GIVE_UP = "give up"
    #: nothing: the output is safe, or other jobs have the inputs
    NOTHING = "nothing"


class WhoActs(StrEnum):
    """Who has to act if it does not go away by itself."""

    NOBODY = "nobody"
    SITE = "site"
    DATA_MANAGER = "data manager"
    PRODUCTION_MANAGER = "production manager"
    DEVELOPER = "developer"


class JobError(StrEnum):
    """Stable names. Exit codes are 200 to 221: shells use up to 192 for signals, and DIRAC runs a job again that ends with 222.

    :param exitCode: of the job; 0 where the job could not end by itself, or did well
    :param counts: whether it is one of the attempts after which the recovery gives up
    """

    exitCode: int
    sentence: str
    remedy: str
    actor: WhoActs
    nextTry: NextTry
    counts: bool

    def __new__(
        cls, name: str, exitCode: int, sentence: str, remedy: str, actor: WhoActs, nextTry: NextTry, counts: bool = True
    ) -> JobError:
        member = str.__new__(cls, name)
        member._value_ = name
        member.exitCode, member.sentence, member.remedy = exitCode, sentence, remedy
        member.actor, member.nextTry, member.counts = actor, nextTry, counts
        return member

    @classmethod
    def named(cls, name: str) -> JobError:
        """The one of this name; Internal if there is none, as when a newer service says it."""
        return next((error for error in cls if error.value == name), cls.INTERNAL)

    SERVICE_AWAY = (
        "ServiceAway", 200,
        "the service of chains, or a service that it needs, did not answer for a long time",
        "see that Production/ChainManager, the Transformation System, the file catalogue and their database run",
        WhoActs.DATA_MANAGER, NextTry.AGAIN, False,
    )  # fmt: skip
    REFUSED = (
        "Refused", 201,
        "the service refused: the inputs are done, or belong to another job by now",
        "nothing: the other job's output counts, this one's was removed",
        WhoActs.NOBODY, NextTry.NOTHING, False,
    )  # fmt: skip
    DECLARED_DEAD = (
        "DeclaredDead", 202,
        "the recovery had declared this job dead and given its inputs to another one before it came back",
        "nothing: what it wrote is removed; if it happens often, look at why jobs lose contact, or raise the recovery's waits",
        WhoActs.NOBODY, NextTry.NOTHING, False,
    )  # fmt: skip
    BAD_TASK = (
        "BadTask", 203,
        "the task, its step or the description of its chain does not make sense",
        "read the detail; correct the chain and start it anew, or report it",
        WhoActs.PRODUCTION_MANAGER, NextTry.GIVE_UP,
    )  # fmt: skip
    INPUT_GONE = (
        "InputGone", 204,
        "the file catalogue has no replica of an input",
        "find out who removed it; copy it back, then retry it, or waive it",
        WhoActs.DATA_MANAGER, NextTry.AGAIN,
    )  # fmt: skip
    INPUT_UNREADABLE = (
        "InputUnreadable", 205,
        "no replica of an input could be read, and at least one storage gave no answer",
        "see that the storages with replicas answer from the worker nodes of the site",
        WhoActs.SITE, NextTry.ELSEWHERE,
    )  # fmt: skip
    INPUT_CORRUPT = (
        "InputCorrupt", 206,
        "every replica of an input has another size or checksum than the ledger says",
        "write the file to its storage again from where it came from, then retry it, or waive it",
        WhoActs.DATA_MANAGER, NextTry.GIVE_UP,
    )  # fmt: skip
    NO_ROOM = (
        "NoRoom", 207,
        "the worker node has no room for the inputs or the output",
        "make room on the worker nodes of the site, or make the groups of the step smaller",
        WhoActs.SITE, NextTry.ELSEWHERE,
    )  # fmt: skip
    PROGRAM_MISSING = (
        "ProgramMissing", 208,
        "the program of the step is not on the worker node, or cannot be started there",
        "install it at the site, or correct the executable of the step",
        WhoActs.SITE, NextTry.ELSEWHERE,
    )  # fmt: skip
    PROGRAM_FAILED = (
        "ProgramFailed", 209,
        "the program ended with an exit code other than 0",
        "read the end of its log in the output sandbox, and the program's own list of exit codes",
        WhoActs.PRODUCTION_MANAGER, NextTry.AGAIN,
    )  # fmt: skip
    PROGRAM_KILLED = (
        "ProgramKilled", 210,
        "the program was ended by a signal; 9 is mostly too much memory",
        "see whether it needs more memory or time than the step says",
        WhoActs.PRODUCTION_MANAGER, NextTry.ELSEWHERE,
    )  # fmt: skip
    NO_SUMMARY = (
        "NoSummary", 211,
        "the program ended well but wrote no summary, or one that does not follow the contract",
        "correct the program, or what wraps it",
        WhoActs.DEVELOPER, NextTry.AGAIN,
    )  # fmt: skip
    EVENTS_DIFFER = (
        "EventsDiffer", 212,
        "the events of the output are not those of the inputs, or an input has other events than it was announced with",
        "find out which count is right; correct the announcement or the program, then retry it",
        WhoActs.PRODUCTION_MANAGER, NextTry.AGAIN,
    )  # fmt: skip
    NO_OUTPUT = (
        "NoOutput", 213,
        "the program ended well but wrote no output, or an empty file",
        "read its log; correct the program",
        WhoActs.DEVELOPER, NextTry.AGAIN,
    )  # fmt: skip
    BAD_RECORDS = (
        "BadRecords", 214,
        "the output has a record that is cut, damaged or out of order",
        "look at the disks and the memory of the worker node; if it is every one, correct the program",
        WhoActs.SITE, NextTry.ELSEWHERE,
    )  # fmt: skip
    UPLOAD_FAILED = (
        "UploadFailed", 215,
        "no storage element took the output whole",
        "see that the site's own storage and those of failover have room and answer from the worker nodes",
        WhoActs.SITE, NextTry.ELSEWHERE,
    )  # fmt: skip
    STOPPED = (
        "Stopped", 216,
        "the job was told to stop: by a person, by its time limit, or because the site drains",
        "nothing; if it is the time limit, raise the CPU time of the step",
        WhoActs.NOBODY, NextTry.AGAIN, False,
    )  # fmt: skip
    INTERNAL = (
        "Internal", 219,
        "the job failed in a way that nobody thought of",
        "report the error in the job's log",
        WhoActs.DEVELOPER, NextTry.AGAIN,
    )  # fmt: skip
    LOST = (
        "Lost", 0,
        "the job ended without a word: it was killed, its node died, or it never began",
        "if it happens often, look at the job's last status and at the worker nodes",
        WhoActs.NOBODY, NextTry.AGAIN,
    )  # fmt: skip
    REGISTRATION_LEFT = (
        "RegistrationLeft", 0,
        "the output is on the storage and counts; the job could not register it and left this to the recovery",
        "nothing: it is registered by itself",
        WhoActs.NOBODY, NextTry.NOTHING, False,
    )  # fmt: skip


class JobFailure(Exception):
    """Ends a job.

    :param error: which way
    :param detail: of this job: which file, which storage, which numbers
    """

    def __init__(self, error: JobError, detail: str) -> None:
        self.error, self.detail = error, detail
        super().__init__(f"{error}: {error.sentence}: {detail}" if detail else f"{error}: {error.sentence}")
