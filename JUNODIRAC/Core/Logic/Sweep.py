"""A directory of the source storage compared with the ledger: what was never announced, and what is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.NamePattern import NameMismatch, NamePattern, PatternError, fieldsOf, splitTemplate
from JUNODIRAC.Core.Domain.PolicyError import PolicyError
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy

_DATE_DIGITS = 8
# a person declared that the block is complete without these, or that they never were
_GIVEN_UP = frozenset({FileState.WAIVED, FileState.DROPPED})


@dataclass(frozen=True)
class StoredName:
    """A file in a listing of the storage; ``modifiedTime`` is UTC."""

    name: str
    sizeBytes: int
    modifiedTime: datetime


@dataclass(frozen=True)
class SweepResult:
    """The differences between a directory of the storage and the ledger.

    :param onStorage: how many files the storage has in it
    :param inLedger: how many the ledger has
    :param neverAnnounced: files of the Type that lie there long enough and that the ledger does not know
    :param notOnStorage: names that the ledger counts on and that the storage does not have
    :param foreign: names that no file of the Type can have
    :param wrongSize: registered files of another size than the ledger has, with the ledger's in bytes
    """

    directory: str
    onStorage: int
    inLedger: int
    neverAnnounced: tuple[StoredName, ...] = ()
    notOnStorage: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    wrongSize: tuple[tuple[StoredName, int], ...] = ()

    @property
    def hasDifferences(self) -> bool:
        """Whether there is anything that a person should look at."""
        return bool(self.neverAnnounced or self.notOnStorage or self.foreign or self.wrongSize)


def compareDirectory(
    directory: str,
    stored: Mapping[str, StoredName],
    known: Mapping[str, tuple[FileState, int | None]],
    isNameOfType: Callable[[str], bool],
    youngerIsOnItsWay: datetime,
) -> SweepResult:
    """Compare what the storage has in a directory with what the ledger has of it.

    :param stored: the storage's files by name
    :param known: state and size in bytes of the ledger's files by name
    :param youngerIsOnItsWay: a file that was modified later may still be announced in time
    """
    unknown = [stored[name] for name in sorted(stored) if name not in known]
    return SweepResult(
        directory=directory,
        onStorage=len(stored),
        inLedger=len(known),
        neverAnnounced=tuple(file for file in unknown if isNameOfType(file.name) and file.modifiedTime <= youngerIsOnItsWay),
        notOnStorage=tuple(sorted(name for name, (state, _) in known.items() if state not in _GIVEN_UP and name not in stored)),
        foreign=tuple(file.name for file in unknown if not isNameOfType(file.name)),
        wrongSize=tuple(
            (stored[name], sizeBytes)
            for name, (state, sizeBytes) in sorted(known.items())
            if state is FileState.REGISTERED and name in stored and sizeBytes is not None and sizeBytes != stored[name].sizeBytes
        ),
    )


class DirectoryFinder:
    """Which directories, as LFNs, hold the files of some days.

    :param policy: of the Type; its DirectoryDate says the day of a directory
    :param listDirectories: names of the directories in a directory of the storage; none if there is no such directory
    :raises PolicyError: if the policy does not say how a directory's day is read
    """

    def __init__(self, policy: TypePolicy, listDirectories: Callable[[str], list[str]]) -> None:
        self._components = _componentsOf(policy)
        rule = policy.directoryDate
        if rule is None or not rule.fields <= fieldsOf(self._components):
            raise PolicyError(
                policy.typeName,
                "DirectoryDate",
                rule.template if rule else "",
                "the day of a directory is not known, so no day can be swept",
                "set it to fields of the LFN's directory, for example {Year}{MonthDay}, or set SweepSeconds to 0",
            )
        self._dateRule = rule
        self._listDirectories = listDirectories
        self._datePattern = self._patternOfDates()

    def ofDays(self, days: int, today: date) -> list[str]:
        """The directories of today and the days before it, ``days`` in all, oldest first.

        A directory whose path follows from the date alone is named even if the storage does not have it.
        """
        wanted = [today - timedelta(days=back) for back in range(max(0, days))]
        found = {directory for day in wanted for directory in self.ofDay(day)}
        return sorted(found)

    def ofDay(self, day: date) -> list[str]:
        """The directories of one day."""
        text = day.strftime("%Y%m%d")
        known = self._fieldsOfDate(text)
        paths: list[tuple[str, dict[str, str]]] = [("", known)]
        for component in self._components:
            paths = [step for path, fields in paths for step in self._descend(path, fields, component)]
        return sorted(path for path, fields in paths if self._dateRule.format(fields)[:_DATE_DIGITS] == text)

    # ---- details

    def _patternOfDates(self) -> NamePattern | None:
        """Reads the fields that a date determines; None if it does not determine them."""
        kinds = {field: kind for component in self._components for _, field, kind in splitTemplate(component) if field}
        template = self._dateRule.template
        for field, kind in kinds.items():
            template = template.replace(f"{{{field}}}", f"{{{field}:{kind}}}") if kind else template
        try:
            return NamePattern(template, directory=True)
        except PatternError:
            return None

    def _fieldsOfDate(self, text: str) -> dict[str, str]:
        try:
            return self._datePattern.parse(text) if self._datePattern else {}
        except NameMismatch:
            return {}  # for example more digits than a day has: the directories are listed and looked at instead

    def _descend(self, path: str, fields: dict[str, str], component: str) -> list[tuple[str, dict[str, str]]]:
        """The steps from a path into the next directory below it."""
        needed = fieldsOf([component])
        if not needed:
            return [(f"{path}/{component}", fields)]
        pattern = NamePattern(component, directory=True)
        if needed <= fields.keys():
            return [(f"{path}/{pattern.format(fields)}", fields)]
        steps = []
        for name in self._listDirectories(path):
            try:
                read = pattern.parse(name)
            except NameMismatch:
                continue
            if all(fields.get(field, value) == value for field, value in read.items()):
                steps.append((f"{path}/{name}", fields | read))
        return steps


def _componentsOf(policy: TypePolicy) -> list[str]:
    """The parts of the files' directories between slashes, with the kinds of their fields."""
    template = policy.lfnRule.template.rpartition("/")[0].replace("{Directory}", policy.directoryPattern.template)
    template = template.replace("{Type}", policy.typeName).replace("{Campaign}", policy.campaign)
    return template.split("/")[1:]
