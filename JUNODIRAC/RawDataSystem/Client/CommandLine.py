"""What the dirac-juno-* commands share: their output, their calls to the service, their failures."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TextIO

from DIRAC.Core.Base.Script import Script
from DIRAC.Core.Utilities.DErrno import ENOAUTH

from JUNODIRAC.Core.Utilities.Moment import BadMoment, momentText, readMoment
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import isUnavailable

SERVICE = "RawData/RawDataManager"
_CALL_SECONDS = 300


class CommandError(Exception):
    """Ends a command with this message on stderr and a non-zero exit status."""


class ServiceDown(CommandError):
    """The service, or something that it needs, does not answer."""


class CommandLine:
    """One run of a command.

    :param out: where its result is written; nothing else writes there
    """

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.switches = dict(Script.getUnprocessedSwitches())
        self.arguments: list[str] = list(Script.getPositionalArgs())

    @property
    def isTerminal(self) -> bool:
        """Whether a person watches the result."""
        return self.out.isatty()

    @property
    def wantsJSON(self) -> bool:
        """Whether ``--json`` was given."""
        return "json" in self.switches

    def switch(self, name: str, default: str = "") -> str:
        """The value of ``--name=value``."""
        return str(self.switches.get(name, default)).strip()

    def needed(self, name: str) -> str:
        """The value of ``--name=value``.

        :raises CommandError: if it was not given
        """
        value = self.switch(name)
        if not value:
            raise CommandError(f"--{name} is needed; see -h")
        return value

    def number(self, name: str, default: int) -> int:
        """The value of ``--name=value``, a whole number above 0.

        :raises CommandError: for anything else
        """
        value = self.switch(name, str(default))
        if not (value.isascii() and value.isdigit() and 0 < int(value) < 10**9):
            raise CommandError(f"--{name} is a whole number above 0, not '{value}'")
        return int(value)

    def write(self, text: str) -> None:
        """Show a piece of the result at once."""
        self.out.write(f"{text}\n")
        self.out.flush()

    def writeJSON(self, document: Any) -> None:
        """Write the result as one JSON document."""
        self.write(json.dumps(document, indent=2, default=str))

    def warn(self, text: str) -> None:
        """Tell a person something beside the result."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def confirm(self, question: str) -> None:
        """Go on only with ``--yes`` or a person's yes.

        :raises CommandError: otherwise
        """
        if "yes" in self.switches:
            return
        if not sys.stdin.isatty():
            raise CommandError("nothing was changed: add --yes to confirm")
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CommandError("nothing was changed")

    def call(self, method: str, *args: Any) -> Any:
        """Call the service.

        :raises CommandError: with what it answered instead
        """
        from JUNODIRAC.RawDataSystem.Client.RawDataManagerClient import RawDataManagerClient

        result = getattr(RawDataManagerClient(timeout=_CALL_SECONDS), method)(*args)
        if result["OK"]:
            return result["Value"]
        raise failureOf(str(result["Message"]), int(result.get("Errno") or 0))


def momentOf(text: str) -> str:
    """A time or an age that a person typed, as an ISO text in UTC, the form in which the service takes it.

    :raises CommandError: if it is neither
    """
    try:
        return str(momentText(readMoment(text, datetime.now(UTC))))
    except BadMoment as error:
        raise CommandError(str(error)) from error


def failureOf(message: str, errno: int, service: str = SERVICE) -> CommandError:
    """What a refused call of a service means to the person who typed the command."""
    if errno == ENOAUTH or "Unauthorized" in message:
        return CommandError(
            f"not authorised by {service}: your certificate or the group of your proxy may not do this ({message});"
            " look with dirac-proxy-info, and take another group with dirac-proxy-init -g GROUP"
        )
    if isUnavailable(message, errno):
        return ServiceDown(f"{service}, or something that it needs, does not answer: {message}")
    return CommandError(message)


def runCommand(action: Callable[[CommandLine], int]) -> int:
    """Parse the command line and do the action; DIRAC's log lines go to stderr.

    :param action: returns the exit status
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        Script.parseCommandLine()  # writes the help through the log, and exits
    with _reservedOutput() as out:
        try:
            Script.parseCommandLine()
            return action(CommandLine(out))
        except CommandError as error:
            sys.stderr.write(f"ERROR: {error}\n")
            return 1
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # the reader, for example head, has seen enough
            return 0


@contextmanager
def _reservedOutput() -> Iterator[TextIO]:
    """Stdout for the result alone: DIRAC logs to the stdout that it found when it was imported, so the descriptor moves."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    out = os.fdopen(os.dup(saved), "w")
    try:
        yield out
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
        with suppress(BrokenPipeError):
            out.close()
