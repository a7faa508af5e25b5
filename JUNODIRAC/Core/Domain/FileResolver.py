"""From the name and the path of an announcement to a file of its Type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from JUNODIRAC.Core.Domain.Announcement import BadAnnouncement
from JUNODIRAC.Core.Domain.NamePattern import NameMismatch
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason

if TYPE_CHECKING:
    from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy

# FC_Files.FileName and FC_Meta_* of the DFC, DataFiles.LFN and TransformationName of the TransformationDB
MAX_FILE_NAME = 128
MAX_METADATA = 128
MAX_LFN = 255
MAX_TRANSFORMATION_NAME = 255

# What every storage, URL, shell and SQL statement on the way takes as it is.
_BAD_CHARACTER = re.compile(r"[^A-Za-z0-9._+=:@,~/-]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*/")
_DAY = re.compile(r"[0-9]{8}")
# directories whose reading is kept; files come in few directories at a time
_MOST_PLACES = 1000
_PLAIN_LFN_RULE = "{Directory}/{FileName}"


@dataclass(frozen=True)
class _Place:
    """A directory that was read: what all files in it have in common.

    :param day: its date, None without a check of dates
    :param dayText: the 8 digits of it
    """

    directory: str
    fields: Mapping[str, str]
    block: str
    day: date | None
    dayText: str


class FileResolver:
    """Reads names and paths by the rules of one Type. What a directory says is read once and kept for its other files."""

    def __init__(self, policy: TypePolicy) -> None:
        self._policy = policy
        self._places: dict[str, _Place] = {}
        self._sharedFields = [field for field in policy.namePattern.fields if field in policy.directoryPattern.fields]
        self._hasPlainLFNs = policy.lfnRule.template == _PLAIN_LFN_RULE
        self._longestDestination = max(policy.destinations, key=len)

    def resolve(self, fileName: str, filePath: str) -> RawFile:
        """See :meth:`TypePolicy.resolve`."""
        if len(fileName) > MAX_FILE_NAME:
            raise BadAnnouncement(
                Reason.NAME_TOO_LONG, f"FileName has {len(fileName)} characters, {MAX_FILE_NAME} are allowed", fileName
            )
        try:
            nameFields = self._policy.namePattern.parse(fileName)
        except NameMismatch as error:
            raise BadAnnouncement(Reason.BAD_NAME, str(error), fileName) from None
        _refuseCharacters(Reason.BAD_NAME, "FileName", fileName, fileName)

        path = filePath.rstrip("/").removesuffix(f"/{fileName}")
        place = self._places.get(path)
        if place is None:
            place = self._readPlace(path, filePath, fileName)
        for field in self._sharedFields:
            if nameFields[field] != place.fields[field]:
                detail = f"{field} is '{nameFields[field]}' in the name and '{place.fields[field]}' in the path"
                raise BadAnnouncement(Reason.BAD_PATH, detail, fileName)
        if place.day is not None:
            self._checkDay(nameFields, place.day, place.dayText, fileName)
        return self._fileOf(fileName, nameFields, place)

    def _fileOf(self, fileName: str, nameFields: dict[str, str], place: _Place) -> RawFile:
        fields = {**nameFields, **place.fields}
        directory, lfnName = place.directory, fileName
        if not self._hasPlainLFNs:
            lfn = self._policy.lfnRule.format({**self._given(fields), "Directory": directory, "FileName": fileName})
            directory, _, lfnName = lfn.rpartition("/")
            _refuseLong("last part of the LFN", lfnName, MAX_FILE_NAME, fileName)
        if len(directory) + 1 + len(lfnName) > MAX_LFN:
            _refuseLong("LFN", f"{directory}/{lfnName}", MAX_LFN, fileName)
        return RawFile(self._policy.typeName, directory, lfnName, place.block, fields)

    def _given(self, fields: Mapping[str, str]) -> dict[str, str]:
        return {**fields, "Type": self._policy.typeName, "Campaign": self._policy.campaign}

    # ---- directories

    def _readPlace(self, path: str, filePath: str, fileName: str) -> _Place:
        directory = self._directoryOf(path, filePath, fileName)
        try:
            fields = self._policy.directoryPattern.parse(directory)
        except NameMismatch as error:
            raise BadAnnouncement(
                Reason.BAD_PATH, f"{error}, and it does not end in the file name '{fileName}' either", fileName
            ) from None
        block = self._policy.blockRule.format(self._given(fields))
        _refuseLong("block name", block, MAX_METADATA, fileName)
        transformationName = self._policy.transformationName(block, self._longestDestination)
        _refuseLong("transformation name", transformationName, MAX_TRANSFORMATION_NAME, fileName)
        day, dayText = None, ""
        if self._policy.directoryDate is not None:
            dayText = self._policy.directoryDate.format(fields)[:8]
            day = _readDay(dayText)
            if day is None:
                raise BadAnnouncement(Reason.WRONG_DATE, f"the directory's date '{dayText}' is no day as YYYYMMDD", fileName)
        place = _Place(directory, fields, block, day, dayText)
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        self._places[path] = place
        return place

    def _directoryOf(self, path: str, filePath: str, fileName: str) -> str:
        url = _URL.match(path)
        if url:
            # root://host//eos/... and root://host/eos/... are the same place for EOS
            path = "/" + path[url.end() :].lstrip("/")
        eosRoot = self._policy.eosRoot
        if not path.startswith(f"{eosRoot}/"):
            raise BadAnnouncement(Reason.BAD_PATH, f"'{_shorten(filePath)}' is not below '{eosRoot or '/'}'", fileName)
        directory = path[len(eosRoot) :]
        if len(directory) > MAX_LFN:
            raise BadAnnouncement(
                Reason.NAME_TOO_LONG, f"the directory has {len(directory)} characters, {MAX_LFN} are allowed", fileName
            )
        _refuseCharacters(Reason.BAD_PATH, "FilePath", directory, fileName)
        if not {"", ".", ".."}.isdisjoint(directory.split("/")[1:]):
            raise BadAnnouncement(Reason.BAD_PATH, f"'{filePath}' holds '//', '.' or '..'", fileName)
        return directory

    # ---- dates

    def _checkDay(self, nameFields: Mapping[str, str], directoryDay: date, directoryText: str, fileName: str) -> None:
        assert self._policy.nameDate is not None  # both or none, by checkPolicy
        text = self._policy.nameDate.format(nameFields)[:8]
        if text == directoryText:
            return
        day = _readDay(text)
        if day is None:
            raise BadAnnouncement(Reason.WRONG_DATE, f"the name's date '{text}' is no day as YYYYMMDD", fileName)
        days = abs((day - directoryDay).days)
        if days > self._policy.dateToleranceDays:
            raise BadAnnouncement(
                Reason.WRONG_DATE,
                f"the name says {day}, the directory {directoryDay}: {days} days apart, {self._policy.dateToleranceDays} allowed",
                fileName,
            )


def _readDay(text: str) -> date | None:
    if not _DAY.fullmatch(text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:  # the 30th of February
        return None


def _refuseCharacters(reason: Reason, what: str, text: str, fileName: str) -> None:
    match = _BAD_CHARACTER.search(text)
    if match:
        raise BadAnnouncement(reason, f"{what} holds {match[0]!a}; letters, digits and ._+=:@,~- can be used", fileName)


def _refuseLong(what: str, text: str, most: int, fileName: str) -> None:
    if len(text) > most:
        raise BadAnnouncement(Reason.NAME_TOO_LONG, f"the {what} has {len(text)} characters, {most} are allowed", fileName)


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_LFN else f"{text[:MAX_LFN]}..."
