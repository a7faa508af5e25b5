"""How much of an announcement is compared with the source storage."""

from __future__ import annotations

from enum import StrEnum


class StorageCheck(StrEnum):
    """Option StorageCheck: whether the storage is asked for each file. What nobody announced is asked for always."""

    SIZE = "Size"
    NONE = "None"


class ChecksumCheck(StrEnum):
    """Option ChecksumCheck, where the storage is asked at all: for each file, for a share of them, or for none."""

    ASK = "Ask"
    SAMPLE = "Sample"
    TRUST = "Trust"
