"""What the configuration says of one Type: where its files come from, what they are called, where they go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.BlockName import BlockName
from JUNODIRAC.Core.Domain.CheckMode import ChecksumCheck, StorageCheck
from JUNODIRAC.Core.Domain.FileResolver import FileResolver
from JUNODIRAC.Core.Domain.LateFiles import CloseBy, LateFiles
from JUNODIRAC.Core.Domain.NamePattern import NamePattern, fieldsOf
from JUNODIRAC.Core.Domain.OptionReader import OptionReader
from JUNODIRAC.Core.Domain.PolicyCheck import checkPolicy
from JUNODIRAC.Core.Domain.PolicyError import PolicyError
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.Rule import Rule

_GIVEN_FIELDS = frozenset({"Type", "Campaign"})

__all__ = ["PolicyError", "TypePolicy"]

_DEFAULTS = {
    "LFNRule": "{Directory}/{FileName}",
    "TransformationRule": "{Campaign}-{Block}-{SE}",
    "GroupSize": "50",
    "MaxWaitSeconds": "60",
    "SettleSeconds": "3",
    "Plugin": "BlockTransfer",
    "MaxSizeBytes": "10000000000",
    "StorageCheck": "Size",
    "ChecksumCheck": "Ask",
    "ChecksumSampleShare": "0.01",
    "GraceSeconds": "600",
    "DateToleranceDays": "0",
    "SweepSeconds": "3600",
    "SweepMinAgeSeconds": "600",
    "SilenceAlarmSeconds": "0",
    "FTSPriority": "3",
    "CloseBy": "Quiet",
    "QuietSeconds": "21600",
    "LateFiles": "Append",
    "OverdueSeconds": "43200",
    "SecondLookSeconds": "86400",
    "LookAgainSeconds": "2592000",
    "RepairAttempts": "10",
    "TailFiles": "200",
}


@dataclass(frozen=True)
class TypePolicy:
    """The policy of one Type; it cannot be made with values that contradict each other.

    :param statusTopic: Kafka topic that says what became of each announcement
    :param deadLetterTopic: Kafka topic for messages of which no announcement could be read
    :param eosRoot: start of every announced path that is not part of the LFN, without a slash at the end; may be empty
    :param groupSize: files in one transfer task
    :param maxWaitSeconds: a group below ``groupSize`` goes out when its oldest file has waited longer
    :param settleSeconds: or when its youngest file has waited longer
    :param checksumSampleShare: from 0 to 1, for ``ChecksumCheck.SAMPLE``
    :param graceSeconds: how long a file may be missing on the source storage
    :param directoryDate: gives the day of a directory in its first 8 characters; None: dates are not compared
    :param nameDate: the same of a file name
    :param sweepSeconds: time between two comparisons of a directory with the ledger; 0: none
    :param sweepMinAgeSeconds: younger files may still be on their way and are left out of that
    :param silenceAlarmSeconds: people are told if no announcement comes for so long; 0: never
    :param ftsActivity: share of FTS3 that copies belong to; empty: FTS3's own default
    :param ftsPriority: from 1 to 5, which goes first within an activity
    :param quietSeconds: time without an announcement after which a block is closed whose day has passed
    :param overdueSeconds: time without progress after which a block that is not Done is shown as overdue; 0: never
    :param secondLookSeconds: time between a site's first validation and the second, with which it is Done
    :param lookAgainSeconds: time after which a block that is Done is validated again; 0: never
    :param repairAttempts: copies of one file to one site that are tried by themselves before a person is asked
    :param tailFiles: a closed block that lacks at most so many files at a site goes ahead of the others there; 0: none does
    :raises PolicyError: naming option, value, reason and remedy
    """

    typeName: str
    topic: str
    statusTopic: str
    deadLetterTopic: str
    sourceSE: str
    destinations: tuple[str, ...]
    campaign: str
    eosRoot: str
    namePattern: NamePattern
    directoryPattern: NamePattern
    lfnRule: Rule
    blockRule: Rule
    transformationRule: Rule
    directoryDate: Rule | None
    nameDate: Rule | None
    dateToleranceDays: int
    groupSize: int
    maxWaitSeconds: int
    settleSeconds: int
    plugin: str
    maxSizeBytes: int
    storageCheck: StorageCheck
    checksumCheck: ChecksumCheck
    checksumSampleShare: float
    graceSeconds: int
    sweepSeconds: int
    sweepMinAgeSeconds: int
    silenceAlarmSeconds: int
    ftsActivity: str
    ftsPriority: int
    closeBy: CloseBy
    quietSeconds: int
    lateFiles: LateFiles
    overdueSeconds: int
    secondLookSeconds: int
    lookAgainSeconds: int
    repairAttempts: int
    tailFiles: int

    @classmethod
    def fromOptions(cls, typeName: str, options: Mapping[str, str]) -> TypePolicy:
        """Read the options of a Type's section; lists are separated by commas. Options that we do not know are left alone.

        :raises PolicyError: naming option, value, reason and remedy
        """
        read = OptionReader(typeName, options, _DEFAULTS)
        topic = read.needed("Topic")
        return cls(
            typeName=typeName,
            topic=topic,
            statusTopic=read.text("StatusTopic") or f"{topic}.status",
            deadLetterTopic=read.text("DeadLetterTopic") or f"{topic}.dead",
            sourceSE=read.needed("SourceSE"),
            destinations=read.names("Destinations"),
            campaign=read.text("Campaign"),
            eosRoot=read.text("EOSRoot").rstrip("/"),
            namePattern=read.pattern("NamePattern"),
            directoryPattern=read.pattern("DirectoryPattern", directory=True),
            lfnRule=read.rule("LFNRule"),
            blockRule=read.rule("BlockRule"),
            transformationRule=read.rule("TransformationRule"),
            directoryDate=read.ruleOrNone("DirectoryDate"),
            nameDate=read.ruleOrNone("NameDate"),
            dateToleranceDays=read.number("DateToleranceDays"),
            groupSize=read.number("GroupSize"),
            maxWaitSeconds=read.number("MaxWaitSeconds"),
            settleSeconds=read.number("SettleSeconds"),
            plugin=read.text("Plugin"),
            maxSizeBytes=read.number("MaxSizeBytes"),
            storageCheck=read.choice("StorageCheck", StorageCheck),
            checksumCheck=read.choice("ChecksumCheck", ChecksumCheck),
            checksumSampleShare=read.share("ChecksumSampleShare"),
            graceSeconds=read.number("GraceSeconds"),
            sweepSeconds=read.number("SweepSeconds"),
            sweepMinAgeSeconds=read.number("SweepMinAgeSeconds"),
            silenceAlarmSeconds=read.number("SilenceAlarmSeconds"),
            ftsActivity=read.text("FTSActivity"),
            ftsPriority=read.number("FTSPriority"),
            closeBy=read.choice("CloseBy", CloseBy),
            quietSeconds=read.number("QuietSeconds"),
            lateFiles=read.choice("LateFiles", LateFiles),
            overdueSeconds=read.number("OverdueSeconds"),
            secondLookSeconds=read.number("SecondLookSeconds"),
            lookAgainSeconds=read.number("LookAgainSeconds"),
            repairAttempts=read.number("RepairAttempts"),
            tailFiles=read.number("TailFiles"),
        )

    def __post_init__(self) -> None:
        checkPolicy(self)

    # ---- what the policy is asked

    def resolve(self, fileName: str, filePath: str) -> RawFile:
        """The file that an announcement speaks of.

        :param filePath: its directory or the file itself on the source storage; a URL's host is ignored
        :raises BadAnnouncement: BadName, BadPath, WrongDate or NameTooLong
        """
        return self._resolver.resolve(fileName, filePath)

    @cached_property
    def _resolver(self) -> FileResolver:
        return FileResolver(self)

    def blockOf(self, file: RawFile) -> Block:
        """The block of a file, with no transfers known yet."""
        directory = "/".join(file.directory.split("/")[: self.blockDepth])
        return Block(typeName=self.typeName, name=file.block, directory=directory)

    def isBlockName(self, name: str) -> bool:
        """Whether files of the Type can be in a block of this name; follow-up blocks are made by no file's name."""
        return self._blockName.fits(name)

    @cached_property
    def _blockName(self) -> BlockName:
        return BlockName(self.blockRule, self.directoryPattern, {"Type": self.typeName, "Campaign": self.campaign})

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
