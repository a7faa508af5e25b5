"""What the configuration says of one Type: where its files come from, what they are called, where they go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from JUNODIRAC.Core.Domain.Announcement import BadAnnouncement
from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.NamePattern import NameMismatch, NamePattern, PatternError, fieldsOf
from JUNODIRAC.Core.Domain.PolicyCheck import checkPolicy
from JUNODIRAC.Core.Domain.PolicyError import PolicyError
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.Rule import Rule

# FC_Files.FileName and FC_Meta_* of the DFC, DataFiles.LFN and TransformationName of the TransformationDB
MAX_FILE_NAME = 128
MAX_METADATA = 128
MAX_LFN = 255
MAX_TRANSFORMATION_NAME = 255

# What every storage, URL, shell and SQL statement on the way takes as it is.
_BAD_CHARACTER = re.compile(r"[^A-Za-z0-9._+=:@,~/-]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*/")
_GIVEN_FIELDS = frozenset({"Type", "Campaign"})

__all__ = ["PolicyError", "TypePolicy"]

_DEFAULTS = {
    "LFNRule": "{Directory}/{FileName}",
    "TransformationRule": "{Campaign}-{Block}-{SE}",
    "GroupSize": "50",
    "MaxWaitSeconds": "60",
    "Plugin": "BlockTransfer",
}


@dataclass(frozen=True)
class TypePolicy:
    """The policy of one Type; it cannot be made with values that contradict each other.

    :param eosRoot: start of every announced path that is not part of the LFN, without a slash at the end; may be empty
    :param groupSize: files in one transfer task
    :param maxWaitSeconds: a group below ``groupSize`` goes out when its oldest file has waited longer
    :raises PolicyError: naming option, value, reason and remedy
    """

    typeName: str
    topic: str
    sourceSE: str
    destinations: tuple[str, ...]
    campaign: str
    eosRoot: str
    namePattern: NamePattern
    directoryPattern: NamePattern
    lfnRule: Rule
    blockRule: Rule
    transformationRule: Rule
    groupSize: int = 50
    maxWaitSeconds: int = 60
    plugin: str = "BlockTransfer"

    @classmethod
    def fromOptions(cls, typeName: str, options: Mapping[str, str]) -> TypePolicy:
        """Read the options of a Type's section; lists are separated by commas. Options that we do not know are left alone.

        :raises PolicyError: naming option, value, reason and remedy
        """
        values = {**_DEFAULTS, **{name: str(value).strip() for name, value in options.items()}}
        for option in ("Topic", "SourceSE", "Destinations", "NamePattern", "DirectoryPattern", "BlockRule"):
            if not values.get(option):
                raise PolicyError(typeName, option, "", "it is missing or empty", f"set it in the section of {typeName}")

        return cls(
            typeName=typeName,
            topic=values["Topic"],
            sourceSE=values["SourceSE"],
            destinations=tuple(se.strip() for se in values["Destinations"].split(",") if se.strip()),
            campaign=values.get("Campaign", ""),
            eosRoot=values.get("EOSRoot", "").rstrip("/"),
            namePattern=_readPattern(typeName, "NamePattern", values["NamePattern"]),
            directoryPattern=_readPattern(typeName, "DirectoryPattern", values["DirectoryPattern"].rstrip("/")),
            lfnRule=_readRule(typeName, "LFNRule", values["LFNRule"]),
            blockRule=_readRule(typeName, "BlockRule", values["BlockRule"]),
            transformationRule=_readRule(typeName, "TransformationRule", values["TransformationRule"]),
            groupSize=_readNumber(typeName, "GroupSize", values["GroupSize"]),
            maxWaitSeconds=_readNumber(typeName, "MaxWaitSeconds", values["MaxWaitSeconds"]),
            plugin=values["Plugin"],
        )

    def __post_init__(self) -> None:
        checkPolicy(self)

    # ---- what the policy is asked

    def resolve(self, fileName: str, filePath: str) -> RawFile:
        """The file that an announcement speaks of.

        :param filePath: its directory or the file itself on the source storage; a URL's host is ignored
        :raises BadAnnouncement: BadName, BadPath or NameTooLong
        """
        if len(fileName) > MAX_FILE_NAME:
            raise BadAnnouncement(
                Reason.NAME_TOO_LONG, f"FileName has {len(fileName)} characters, {MAX_FILE_NAME} are allowed", fileName
            )
        try:
            nameFields = self.namePattern.parse(fileName)
        except NameMismatch as error:
            raise BadAnnouncement(Reason.BAD_NAME, str(error), fileName) from None
        self._refuseCharacters(Reason.BAD_NAME, "FileName", fileName, fileName)

        directory = self._directoryOf(fileName, filePath)
        fields = self._mergeFields(fileName, nameFields, directory)
        values = {**fields, "Type": self.typeName, "Campaign": self.campaign, "Directory": directory, "FileName": fileName}
        lfnDirectory, _, lfnName = self.lfnRule.format(values).rpartition("/")
        file = RawFile(
            typeName=self.typeName,
            directory=lfnDirectory,
            fileName=lfnName,
            block=self.blockRule.format(values),
            fields=fields,
        )
        self._refuseLong(file, fileName)
        return file

    def blockOf(self, file: RawFile) -> Block:
        """The block of a file, with no transfers known yet."""
        directory = "/".join(file.directory.split("/")[: self.blockDepth])
        return Block(typeName=self.typeName, name=file.block, directory=directory)

    def transformationName(self, blockName: str, targetSE: str) -> str:
        """Name of the block's transfer to one destination."""
        return self.transformationRule.format(
            {"Type": self.typeName, "Campaign": self.campaign, "Block": blockName, "SE": targetSE}
        )

    @cached_property
    def lfnComponents(self) -> list[str]:
        """The parts of an LFN between slashes, as templates; the first is empty."""
        return self.lfnRule.template.replace("{Directory}", self.directoryPattern.plainTemplate).split("/")

    @cached_property
    def blockDepth(self) -> int:
        """How many parts of an LFN, the empty one before the first slash included, make the directory of its block.

        The directory is the shortest that determines the block: ``/juno/raw/2023`` for a block a year, even where the
        files lie in a directory for each day. Deeper directories inherit its metadata.
        """
        needed = self.blockRule.fields - _GIVEN_FIELDS
        directories = self.lfnComponents[:-1]
        last = 0
        for depth, component in enumerate(directories):
            fieldsHere = fieldsOf([component])
            if not needed and fieldsHere - _GIVEN_FIELDS:
                break  # a block without fields of the directory: all that is literal
            if not needed or fieldsHere & needed:
                last = depth
        return last + 1

    @cached_property
    def _longestDestination(self) -> str:
        return max(self.destinations, key=len)

    # ---- reading an announced path

    def _directoryOf(self, fileName: str, filePath: str) -> str:
        path = filePath
        url = _URL.match(path)
        if url:
            # root://host//eos/... and root://host/eos/... are the same place for EOS
            path = "/" + path[url.end() :].lstrip("/")
        path = path.rstrip("/").removesuffix(f"/{fileName}")
        if not path.startswith(f"{self.eosRoot}/"):
            raise BadAnnouncement(Reason.BAD_PATH, f"'{_shorten(filePath)}' is not below '{self.eosRoot or '/'}'", fileName)
        directory = path[len(self.eosRoot) :]
        if len(directory) > MAX_LFN:
            raise BadAnnouncement(
                Reason.NAME_TOO_LONG, f"the directory has {len(directory)} characters, {MAX_LFN} are allowed", fileName
            )
        self._refuseCharacters(Reason.BAD_PATH, "FilePath", directory, fileName)
        if not {"", ".", ".."}.isdisjoint(directory.split("/")[1:]):
            raise BadAnnouncement(Reason.BAD_PATH, f"'{filePath}' holds '//', '.' or '..'", fileName)
        return directory

    def _mergeFields(self, fileName: str, nameFields: dict[str, str], directory: str) -> dict[str, str]:
        try:
            directoryFields = self.directoryPattern.parse(directory)
        except NameMismatch as error:
            raise BadAnnouncement(
                Reason.BAD_PATH, f"{error}, and it does not end in the file name '{fileName}' either", fileName
            ) from None
        for field in nameFields.keys() & directoryFields.keys():
            if nameFields[field] != directoryFields[field]:
                raise BadAnnouncement(
                    Reason.BAD_PATH,
                    f"{field} is '{nameFields[field]}' in the name and '{directoryFields[field]}' in the path",
                    fileName,
                )
        return nameFields | directoryFields

    def _refuseCharacters(self, reason: Reason, what: str, text: str, fileName: str) -> None:
        match = _BAD_CHARACTER.search(text)
        if match:
            raise BadAnnouncement(reason, f"{what} holds {match[0]!a}; letters, digits and ._+=:@,~- can be used", fileName)

    def _refuseLong(self, file: RawFile, fileName: str) -> None:
        for what, text, most in (
            ("LFN", file.lfn, MAX_LFN),
            ("last part of the LFN", file.fileName, MAX_FILE_NAME),
            ("block name", file.block, MAX_METADATA),
            ("transformation name", self.transformationName(file.block, self._longestDestination), MAX_TRANSFORMATION_NAME),
        ):
            if len(text) > most:
                raise BadAnnouncement(
                    Reason.NAME_TOO_LONG, f"the {what} has {len(text)} characters, {most} are allowed", fileName
                )


def _readPattern(typeName: str, option: str, template: str) -> NamePattern:
    try:
        return NamePattern(template, directory=option == "DirectoryPattern")
    except PatternError as error:
        raise PolicyError(typeName, option, template, str(error), "write fields as {Name}, {Name:d} or {Name:4}") from None


def _readRule(typeName: str, option: str, template: str) -> Rule:
    try:
        return Rule(template)
    except PatternError as error:
        raise PolicyError(typeName, option, template, str(error), "write fields as {Name}") from None


def _readNumber(typeName: str, option: str, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise PolicyError(typeName, option, text, "it is not a whole number", f"use one, for example {_DEFAULTS[option]}")
    return int(text)


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_LFN else f"{text[:MAX_LFN]}..."
