"""Why an announcement is quarantined: code, sentence for people, remedy."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Stable codes; ``sentence`` and ``remedy`` are what a person reads."""

    sentence: str
    remedy: str

    def __new__(cls, code: str, sentence: str, remedy: str) -> Reason:
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        member.remedy = remedy
        return member

    UNDECODABLE = ("Undecodable", "the message is not a JSON object in UTF-8", "correct the producer and announce the file again")
    BAD_FIELD = (
        "BadField",
        "a field of the announcement is missing or has a wrong value",
        "announce the file again with this field corrected",
    )
    BAD_CHECKSUM = ("BadChecksum", "the checksum is not an adler32 of 8 hex digits", "announce the file again with its adler32")
    BAD_NAME = (
        "BadName",
        "the file name does not follow the name pattern of its Type",
        "rename the file or correct NamePattern of the Type",
    )
    BAD_PATH = (
        "BadPath",
        "the path is not where files of its Type live, or does not end in the file name",
        "move the file, or correct EOSRoot or DirectoryPattern of the Type",
    )
    WRONG_DATE = (
        "WrongDate",
        "the date in the file name is not that of its directory",
        "move the file to the directory of its day, or correct DirectoryDate, NameDate or DateToleranceDays of the Type",
    )
    NAME_TOO_LONG = ("NameTooLong", "the name is longer than the catalogue takes", "rename the file")
    ZERO_SIZE = ("ZeroSize", "the file is empty", "write the file again and announce it again")
    TOO_LARGE = (
        "TooLarge",
        "the file is larger than its Type allows",
        "split the file, or raise MaxSizeBytes of the Type and replay the message",
    )
    NOT_ON_STORAGE = (
        "NotOnStorage",
        "the file is not on its source storage",
        "bring the file to the storage and announce it again",
    )
    NO_ANSWER = (
        "NoAnswer",
        "the source storage gave no answer for this file, while it answered for others",
        "find out why the storage cannot read it, then replay the message",
    )
    SIZE_MISMATCH = (
        "SizeMismatch",
        "the file on the source storage has another size than announced",
        "find out whether the file or the announcement is wrong; write the file again, or announce it as it is",
    )
    CHECKSUM_MISMATCH = (
        "ChecksumMismatch",
        "the file on the source storage has another checksum than announced",
        "find out whether the file or the announcement is wrong; write the file again, or announce it as it is",
    )
    CONFLICT = (
        "Conflict",
        "something else is known already: the file with another size or checksum, or the block with another number of files",
        "find out which of the two is right; nothing was overwritten",
    )
    CATALOGUE_REFUSED = (
        "CatalogueRefused",
        "the file catalogue refused the file",
        "compare the catalogue's entry with the announcement",
    )
    LATE_FILE = (
        "LateFile",
        "the file came after its block was closed, and its Type does not take late files",
        "reopen the block (dirac-juno-block reopen) and replay the message, or waive or drop the file",
    )
    INTERNAL_ERROR = (
        "InternalError",
        "the receiver failed on this message alone",
        "report the error in the receiver's log; replay the message after a fix",
    )
