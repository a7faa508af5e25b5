"""The checks that a Type's policy passes before anything uses it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from JUNODIRAC.Core.Domain.NamePattern import fieldsOf
from JUNODIRAC.Core.Domain.PolicyError import PolicyError

if TYPE_CHECKING:
    from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
# Type is metadata of the DFC and a column of 64 characters in the ledger; campaign and plugin keep within the same
_MAX_NAME = 64
_ACTIVITY = re.compile(rf"[A-Za-z0-9 ._-]{{0,{_MAX_NAME}}}")
# a year: a longer time is a slip of the pen, and a date that is off by a year is what the check of dates is for
_MAX_SECONDS = 366 * 86400
_MAX_DAYS = 366
_MAX_ATTEMPTS = 1000
LOWEST_FTS_PRIORITY, HIGHEST_FTS_PRIORITY = 1, 5
_GIVEN_FIELDS = frozenset({"Type", "Campaign"})
_RESERVED_FIELDS = _GIVEN_FIELDS | {"Directory", "FileName", "Block", "SE"}


def checkPolicy(policy: TypePolicy) -> None:
    """Look for options that cannot work, alone or together.

    :param policy: its values, whole but not yet trusted
    :raises PolicyError: for the first such option
    """
    _checkNames(policy)
    _checkStorages(policy)
    _checkNumbers(policy)
    _checkFTS(policy)
    _checkPatterns(policy)
    _checkRules(policy)
    _checkDates(policy)
    _checkBlockDirectory(policy)


def _refuse(policy: TypePolicy, option: str, value: str, reason: str, remedy: str) -> NoReturn:
    raise PolicyError(policy.typeName, option, value, reason, remedy)


def _checkNames(policy: TypePolicy) -> None:
    for option, value in (("Type", policy.typeName), ("Campaign", policy.campaign), ("Plugin", policy.plugin)):
        match = re.search(r"[^A-Za-z0-9._-]", value)
        if match or len(value) > _MAX_NAME:
            _refuse(policy, option, value, "it is no plain name", f"use at most {_MAX_NAME} letters, digits and ._-")
    if not policy.typeName:
        _refuse(policy, "Type", "", "the Type has no name", "name the section")
    if not policy.plugin:
        _refuse(policy, "Plugin", "", "it is empty", "leave it out, or name a transformation plugin")
    seen: dict[str, str] = {}
    for option, topic in (
        ("Topic", policy.topic),
        ("StatusTopic", policy.statusTopic),
        ("DeadLetterTopic", policy.deadLetterTopic),
    ):
        if not _TOPIC.fullmatch(topic):
            _refuse(policy, option, topic, "Kafka has no such topic names", "use at most 249 letters, digits and ._-")
        if topic in seen:
            _refuse(policy, option, topic, f"it is the {seen[topic]} too", "give each a topic of its own")
        seen[topic] = option


def _checkStorages(policy: TypePolicy) -> None:
    if not policy.sourceSE or "," in policy.sourceSE:
        _refuse(policy, "SourceSE", policy.sourceSE, "it is not one storage element", "name the one where the files arrive")
    shown = ", ".join(policy.destinations)
    if not policy.destinations:
        _refuse(policy, "Destinations", shown, "it names no storage element", "name those that get a copy, with commas")
    if len(set(policy.destinations)) < len(policy.destinations):
        _refuse(policy, "Destinations", shown, "a storage element stands twice", "name each once")
    if policy.sourceSE in policy.destinations:
        _refuse(policy, "Destinations", shown, f"{policy.sourceSE} is the SourceSE", "take it out: the files are there already")


def _checkNumbers(policy: TypePolicy) -> None:
    if policy.groupSize < 1:
        _refuse(policy, "GroupSize", str(policy.groupSize), "a task needs a file", "use a number from 1")
    if policy.maxSizeBytes < 1:
        _refuse(policy, "MaxSizeBytes", str(policy.maxSizeBytes), "no file would be small enough", "use bytes from 1")
    for option, seconds in (
        ("MaxWaitSeconds", policy.maxWaitSeconds),
        ("SettleSeconds", policy.settleSeconds),
        ("GraceSeconds", policy.graceSeconds),
        ("SweepSeconds", policy.sweepSeconds),
        ("SweepMinAgeSeconds", policy.sweepMinAgeSeconds),
        ("SilenceAlarmSeconds", policy.silenceAlarmSeconds),
        ("QuietSeconds", policy.quietSeconds),
        ("OverdueSeconds", policy.overdueSeconds),
        ("SecondLookSeconds", policy.secondLookSeconds),
        ("LookAgainSeconds", policy.lookAgainSeconds),
    ):
        if not 0 <= seconds <= _MAX_SECONDS:
            _refuse(policy, option, str(seconds), f"it is not from 0 to {_MAX_SECONDS}", "use seconds")
    if not 1 <= policy.repairAttempts <= _MAX_ATTEMPTS:
        _refuse(policy, "RepairAttempts", str(policy.repairAttempts), f"it is not from 1 to {_MAX_ATTEMPTS}", "use a number")
    if policy.tailFiles < 0:
        _refuse(policy, "TailFiles", str(policy.tailFiles), "it is no number of files", "use a number from 0")
    if not 0 <= policy.dateToleranceDays <= _MAX_DAYS:
        _refuse(policy, "DateToleranceDays", str(policy.dateToleranceDays), f"it is not from 0 to {_MAX_DAYS}", "use days")
    if not 0 <= policy.checksumSampleShare <= 1:
        _refuse(policy, "ChecksumSampleShare", str(policy.checksumSampleShare), "it is no share", "use a number from 0 to 1")


def _checkFTS(policy: TypePolicy) -> None:
    if not _ACTIVITY.fullmatch(policy.ftsActivity):
        remedy = f"use at most {_MAX_NAME} letters, digits, blanks and ._-, or leave it empty"
        _refuse(policy, "FTSActivity", policy.ftsActivity, "it is no plain name", remedy)
    if not LOWEST_FTS_PRIORITY <= policy.ftsPriority <= HIGHEST_FTS_PRIORITY:
        _refuse(policy, "FTSPriority", str(policy.ftsPriority), "FTS3 has no such priority", "use a number from 1 to 5")


def _checkPatterns(policy: TypePolicy) -> None:
    for option, pattern in (("NamePattern", policy.namePattern), ("DirectoryPattern", policy.directoryPattern)):
        for field in pattern.fields:
            if field in _RESERVED_FIELDS:
                _refuse(policy, option, pattern.template, f"{{{field}}} has a meaning of its own", "give the field another name")
    if "/" in policy.namePattern.template:
        _refuse(policy, "NamePattern", policy.namePattern.template, "a name has no '/'", "put directories in DirectoryPattern")
    for option, path in (("EOSRoot", policy.eosRoot), ("DirectoryPattern", policy.directoryPattern.template)):
        if path and not _isPlainPath(path):
            _refuse(policy, option, path, "it is no absolute path", "begin with '/', without '//', '.', '..', or '/' at the end")


def _checkRules(policy: TypePolicy) -> None:
    nameFields, directoryFields = set(policy.namePattern.fields), set(policy.directoryPattern.fields)
    finer = sorted((policy.blockRule.fields & (nameFields | {"FileName"})) - directoryFields)
    if finer:
        _refuse(
            policy,
            "BlockRule",
            policy.blockRule.template,
            f"{{{finer[0]}}} comes from the file name, and a block is never finer than a directory",
            "use fields of DirectoryPattern, {Type} and {Campaign}",
        )
    for option, rule, known in (
        ("LFNRule", policy.lfnRule, nameFields | directoryFields | _GIVEN_FIELDS | {"Directory", "FileName"}),
        ("BlockRule", policy.blockRule, directoryFields | _GIVEN_FIELDS),
        ("TransformationRule", policy.transformationRule, _GIVEN_FIELDS | {"Block", "SE"}),
    ):
        unknown = sorted(rule.fields - known)
        if unknown:
            _refuse(policy, option, rule.template, f"{{{unknown[0]}}} is unknown here", f"use {_listFields(known)}")
        if "Campaign" in rule.fields and not policy.campaign:
            _refuse(policy, "Campaign", "", f"{option} uses it and it is empty", f"set it, or take it out of {option}")
    if not {"Block", "SE"} <= policy.transformationRule.fields:
        _refuse(
            policy,
            "TransformationRule",
            policy.transformationRule.template,
            "transfers would share a name",
            "use {Block} and {SE}",
        )
    for option, rule in (("BlockRule", policy.blockRule), ("TransformationRule", policy.transformationRule)):
        if "/" in rule.template:
            _refuse(policy, option, rule.template, "a name has no '/'", "separate fields with '-'")
    if "FileName" not in policy.lfnRule.fields and not nameFields <= policy.lfnRule.fields:
        _refuse(policy, "LFNRule", policy.lfnRule.template, "files would share an LFN", "use {FileName}")


def _checkDates(policy: TypePolicy) -> None:
    """The date of a name is compared with that of its directory where both are given."""
    sides = (
        ("DirectoryDate", policy.directoryDate, "DirectoryPattern", policy.directoryPattern, "NameDate", policy.nameDate),
        ("NameDate", policy.nameDate, "NamePattern", policy.namePattern, "DirectoryDate", policy.directoryDate),
    )
    for option, rule, patternOption, pattern, otherOption, other in sides:
        if rule is None:
            continue
        unknown = sorted(rule.fields - set(pattern.fields))
        if unknown:
            _refuse(
                policy, option, rule.template, f"{{{unknown[0]}}} is unknown here",
                f"use fields of {patternOption}: {_listFields(list(pattern.fields))}",
            )  # fmt: skip
        if other is None:
            _refuse(policy, option, rule.template, f"{otherOption} is empty: there is nothing to compare", "set both or none")


def _checkBlockDirectory(policy: TypePolicy) -> None:
    """Block and Type are metadata of one directory: each block needs one, and no two blocks may share it."""
    template = policy.lfnRule.template
    components = policy.lfnComponents
    if not _isPlainPath("/".join(components)) or len(components) < 3:
        _refuse(
            policy, "LFNRule", template, "it gives no absolute path", "begin with {Directory} or '/' and end in '/{FileName}'"
        )
    if not template.rpartition("/")[2] or "{Directory}" in template.rpartition("/")[2]:
        _refuse(policy, "LFNRule", template, "it does not end in a file name", "end in '/{FileName}'")
    above = fieldsOf(components[: policy.blockDepth])
    missing = sorted(policy.blockRule.fields - _GIVEN_FIELDS - above)
    if missing:
        _refuse(
            policy,
            "LFNRule",
            template,
            "it puts several blocks in one directory",
            f"keep {{Directory}} or {_listFields(missing)}",
        )
    spread = sorted(above - _GIVEN_FIELDS - policy.blockRule.fields)
    fromName = [field for field in spread if field not in policy.directoryPattern.fields]
    if fromName:
        remedy = f"put {{{fromName[0]}}} below the fields of BlockRule"
        _refuse(policy, "LFNRule", template, f"one block would have several directories, one for each {{{fromName[0]}}}", remedy)
    if spread:
        _refuse(
            policy,
            "BlockRule",
            policy.blockRule.template,
            f"one block would have several directories, one for each {{{spread[0]}}}",
            f"add {{{spread[0]}}}",
        )


def _isPlainPath(path: str) -> bool:
    parts = path.split("/")
    return len(parts) > 1 and parts[0] == "" and {"", ".", ".."}.isdisjoint(parts[1:])


def _listFields(names: set[str] | frozenset[str] | list[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))
