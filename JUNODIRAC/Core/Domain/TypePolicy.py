"""What the configuration says of one Type: where its files come from, what they are called, where they go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from JUNODIRAC.Core.Domain.Announcement import BadAnnouncement
from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.NamePattern import NameMismatch, NamePattern, PatternError, splitTemplate
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
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_GIVEN_FIELDS = frozenset({"Type", "Campaign"})
_RESERVED_FIELDS = _GIVEN_FIELDS | {"Directory", "FileName", "Block", "SE"}

_DEFAULTS = {
    "LFNRule": "{Directory}/{FileName}",
    "TransformationRule": "{Campaign}-{Block}-{SE}",
    "GroupSize": "50",
    "MaxWaitSeconds": "60",
    "Plugin": "BlockTransfer",
}


class PolicyError(ValueError):
    """An option of a Type that cannot be used.

    :param reason: what is wrong with the value
    :param remedy: what to write instead
    """

    def __init__(self, typeName: str, option: str, value: str, reason: str, remedy: str) -> None:
        self.typeName, self.option, self.value, self.reason, self.remedy = typeName, option, value, reason, remedy
        super().__init__(f"RawData/Types/{typeName}/{option} = '{value}': {reason}; {remedy}")


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
        self._checkNames()
        self._checkStorages()
        self._checkNumbers()
        self._checkPatterns()
        self._checkRules()
        self._checkBlockDirectory()

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
        directory = "/".join(file.directory.split("/")[: self._blockDepth])
        return Block(typeName=self.typeName, name=file.block, directory=directory)

    def transformationName(self, blockName: str, targetSE: str) -> str:
        """Name of the block's transfer to one destination."""
        return self.transformationRule.format(
            {"Type": self.typeName, "Campaign": self.campaign, "Block": blockName, "SE": targetSE}
        )

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
            raise BadAnnouncement(
                reason, f"{what} holds {ascii(match[0])}; letters, digits and ._+=:@,~- can be used", fileName
            )

    def _refuseLong(self, file: RawFile, fileName: str) -> None:
        for what, text, most in (
            ("LFN", file.lfn, MAX_LFN),
            ("last part of the LFN", file.fileName, MAX_FILE_NAME),
            ("block name", file.block, MAX_METADATA),
        ):
            if len(text) > most:
                raise BadAnnouncement(Reason.NAME_TOO_LONG, f"the {what} has {len(text)} characters, {most} are allowed", fileName)

    # ---- checks of the options

    def _refuse(self, option: str, value: str, reason: str, remedy: str) -> NoReturn:
        raise PolicyError(self.typeName, option, value, reason, remedy)

    def _checkNames(self) -> None:
        for option, value in (("Type", self.typeName), ("Campaign", self.campaign), ("Plugin", self.plugin)):
            match = re.search(r"[^A-Za-z0-9._-]", value)
            if match or len(value) > MAX_METADATA:
                self._refuse(option, value, "it is no plain name", f"use at most {MAX_METADATA} letters, digits and ._-")
        if not self.typeName:
            self._refuse("Type", "", "the Type has no name", "name the section")
        if not self.plugin:
            self._refuse("Plugin", "", "it is empty", "leave it out, or name a transformation plugin")
        if not _TOPIC.fullmatch(self.topic):
            self._refuse("Topic", self.topic, "Kafka has no such topic names", "use at most 249 letters, digits and ._-")

    def _checkStorages(self) -> None:
        if not self.sourceSE or "," in self.sourceSE:
            self._refuse("SourceSE", self.sourceSE, "it is not one storage element", "name the one where the files arrive")
        shown = ", ".join(self.destinations)
        if not self.destinations:
            self._refuse("Destinations", shown, "it names no storage element", "name those that get a copy, with commas")
        if len(set(self.destinations)) < len(self.destinations):
            self._refuse("Destinations", shown, "a storage element stands twice", "name each once")
        if self.sourceSE in self.destinations:
            self._refuse("Destinations", shown, f"{self.sourceSE} is the SourceSE", "take it out: the files are there already")

    def _checkNumbers(self) -> None:
        if self.groupSize < 1:
            self._refuse("GroupSize", str(self.groupSize), "a task needs a file", "use a number from 1")
        if self.maxWaitSeconds < 0:
            self._refuse("MaxWaitSeconds", str(self.maxWaitSeconds), "it is below 0", "use seconds from 0")

    def _checkPatterns(self) -> None:
        for option, pattern in (("NamePattern", self.namePattern), ("DirectoryPattern", self.directoryPattern)):
            for field in pattern.fields:
                if field in _RESERVED_FIELDS:
                    self._refuse(option, pattern.template, f"{{{field}}} has a meaning of its own", "give the field another name")
        if "/" in self.namePattern.template:
            self._refuse("NamePattern", self.namePattern.template, "a name has no '/'", "put directories in DirectoryPattern")
        for option, path in (("EOSRoot", self.eosRoot), ("DirectoryPattern", self.directoryPattern.template)):
            if path and not _isPlainPath(path):
                self._refuse(option, path, "it is no absolute path", "begin with '/', without '//', '.', '..', or '/' at the end")

    def _checkRules(self) -> None:
        nameFields, directoryFields = set(self.namePattern.fields), set(self.directoryPattern.fields)
        finer = sorted((self.blockRule.fields & (nameFields | {"FileName"})) - directoryFields)
        if finer:
            self._refuse(
                "BlockRule",
                self.blockRule.template,
                f"{{{finer[0]}}} comes from the file name, and a block is never finer than a directory",
                "use fields of DirectoryPattern, {Type} and {Campaign}",
            )
        for option, rule, known in (
            ("LFNRule", self.lfnRule, nameFields | directoryFields | _GIVEN_FIELDS | {"Directory", "FileName"}),
            ("BlockRule", self.blockRule, directoryFields | _GIVEN_FIELDS),
            ("TransformationRule", self.transformationRule, _GIVEN_FIELDS | {"Block", "SE"}),
        ):
            unknown = sorted(rule.fields - known)
            if unknown:
                self._refuse(option, rule.template, f"{{{unknown[0]}}} is unknown here", f"use {_listFields(known)}")
            if "Campaign" in rule.fields and not self.campaign:
                self._refuse("Campaign", "", f"{option} uses it and it is empty", f"set it, or take it out of {option}")
        if not {"Block", "SE"} <= self.transformationRule.fields:
            self._refuse(
                "TransformationRule", self.transformationRule.template, "transfers would share a name", "use {Block} and {SE}"
            )
        for option, rule in (("BlockRule", self.blockRule), ("TransformationRule", self.transformationRule)):
            if "/" in rule.template:
                self._refuse(option, rule.template, "a name has no '/'", "separate fields with '-'")
        if "FileName" not in self.lfnRule.fields and not nameFields <= self.lfnRule.fields:
            self._refuse("LFNRule", self.lfnRule.template, "files would share an LFN", "use {FileName}")

    def _checkBlockDirectory(self) -> None:
        """Block and Type are metadata of one directory: each block needs one, and no two blocks may share it."""
        template = self.lfnRule.template
        components = self._lfnComponents
        if not _isPlainPath("/".join(components)) or len(components) < 3:
            self._refuse("LFNRule", template, "it gives no absolute path", "begin with {Directory} or '/' and end in '/{FileName}'")
        if not template.rpartition("/")[2] or "{Directory}" in template.rpartition("/")[2]:
            self._refuse("LFNRule", template, "it does not end in a file name", "end in '/{FileName}'")
        above = _fieldsOf(components[: self._blockDepth])
        missing = sorted(self.blockRule.fields - _GIVEN_FIELDS - above)
        if missing:
            self._refuse("LFNRule", template, "it puts several blocks in one directory", f"keep {{Directory}} or {_listFields(missing)}")
        spread = sorted(above - _GIVEN_FIELDS - self.blockRule.fields)
        if spread:
            self._refuse(
                "BlockRule",
                self.blockRule.template,
                f"one block would have several directories, one for each {{{spread[0]}}}",
                f"add {{{spread[0]}}}",
            )

    @cached_property
    def _lfnComponents(self) -> list[str]:
        """The parts of an LFN between slashes, as templates; the first is empty."""
        return self.lfnRule.template.replace("{Directory}", self.directoryPattern.plainTemplate).split("/")

    @cached_property
    def _blockDepth(self) -> int:
        """How many parts of an LFN, the empty one before the first slash included, make the directory of its block.

        The directory is the shortest that determines the block: ``/juno/raw/2023`` for a block a year, even where the
        files lie in a directory for each day. Deeper directories inherit its metadata.
        """
        needed = self.blockRule.fields - _GIVEN_FIELDS
        directories = self._lfnComponents[:-1]
        last = 0
        for depth, component in enumerate(directories):
            fieldsHere = _fieldsOf([component])
            if not needed and fieldsHere - _GIVEN_FIELDS:
                break  # a block without fields of the directory: all that is literal
            if not needed or fieldsHere & needed:
                last = depth
        return last + 1


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


def _fieldsOf(components: list[str]) -> set[str]:
    return {field for component in components for _, field, _ in splitTemplate(component) if field}


def _isPlainPath(path: str) -> bool:
    parts = path.split("/")
    return len(parts) > 1 and parts[0] == "" and {"", ".", ".."}.isdisjoint(parts[1:])


def _listFields(names: set[str] | frozenset[str] | list[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_LFN else f"{text[:MAX_LFN]}..."
