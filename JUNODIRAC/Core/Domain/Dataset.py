"""The content of a dataset: its hash, what is kept of it when it is frozen, and what differs from that."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

#: size in bytes and adler32 of a file
FileFacts = tuple[int, str]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
DYNAMIC, FROZEN = "Dynamic", "Frozen"


@dataclass(frozen=True)
class Dataset:
    """A dataset as the ledger has it.

    :param path: its name in the file catalogue
    :param firstBlock: the first block of its range; names are compared as texts
    :param lastBlock: the last one, which is part of it
    :param contentHash: of the files at frozenTime, see :class:`ContentHash`
    """

    datasetID: int
    name: str
    path: str
    typeName: str
    firstBlock: str
    lastBlock: str
    createdTime: datetime | None
    createdBy: str
    frozenTime: datetime | None = None
    frozenBy: str = ""
    contentHash: str = ""
    files: int | None = None
    sizeBytes: int | None = None

    @property
    def isFrozen(self) -> bool:
        """Whether its content is fixed."""
        return self.frozenTime is not None

    @property
    def query(self) -> dict[str, object]:
        """What selects its directories in the file catalogue."""
        return {"Type": self.typeName, "Block": {">=": self.firstBlock, "<=": self.lastBlock}}


@dataclass(frozen=True)
class DatasetBlock:
    """A block in the range of a dataset.

    :param parent: the block whose late files this one has, or empty. They lie in the parent's directory, and are counted there
    """

    name: str
    state: str
    parent: str
    files: int
    sizeBytes: int


@dataclass(frozen=True)
class Difference:
    """A file that is not as it should be.

    :param where: Ledger, Catalogue, or DatasetList (the catalogue's list of the files of a frozen dataset)
    :param kind: Missing, Added or Changed
    :param wanted: what the dataset says of it, None for an added file
    :param found: what there is, None where nothing is or only the name is known
    """

    lfn: str
    where: str
    kind: str
    wanted: FileFacts | None = None
    found: FileFacts | None = None


class ContentHash:
    """SHA-256 over the lines ``LFN size checksum``, sorted by bytes, each ended by a line feed: ``sort | sha256sum``."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._last = ""
        self.files = 0
        self.sizeBytes = 0

    def add(self, content: Mapping[str, FileFacts]) -> bytes:
        """Take files, all of which come after those that were taken before.

        :returns: their lines, for :func:`pack`
        :raises ValueError: if they do not: the hash would depend on the order of the calls
        """
        lines = sorted(f"{lfn} {sizeBytes} {checksum}\n" for lfn, (sizeBytes, checksum) in content.items())
        if lines:
            if lines[0] <= self._last:
                raise ValueError(f"{lines[0].strip()} does not come after {self._last.strip()}")
            self._last = lines[-1]
        text = "".join(lines).encode("utf-8", "surrogateescape")
        self._sha256.update(text)
        self.files += len(lines)
        self.sizeBytes += sum(sizeBytes for sizeBytes, _ in content.values())
        return text

    @property
    def value(self) -> str:
        """64 hexadecimal digits."""
        return self._sha256.hexdigest()


def isDatasetName(name: str) -> bool:
    """Whether a text can be the name of a dataset: letters, digits, dot, dash and underscore, 128 characters at most."""
    return _NAME.fullmatch(name) is not None


def pack(lines: bytes) -> bytes:
    """Lines as they are kept: some 20 bytes a file."""
    return zlib.compress(lines, 6)


def unpack(packed: bytes) -> dict[str, FileFacts]:
    """What :func:`pack` kept, by LFN."""
    content = {}
    for line in zlib.decompress(packed).decode("utf-8", "surrogateescape").split("\n")[:-1]:
        lfn, size, checksum = line.rsplit(" ", 2)
        content[lfn] = (int(size), checksum)
    return content


def directoryGroups(directories: Iterable[str]) -> Iterator[list[str]]:
    """Directories in the order of their files: all files of a group come before all files of the next.

    A group is a directory with those below it, whose names are mixed with the files of the first. So a dataset can be read
    group by group, in the memory that the largest one takes.
    """
    group: list[str] = []
    for directory in sorted(set(directories), key=lambda name: f"{name}/"):
        if group and not directory.startswith(f"{group[0]}/"):
            yield group
            group = []
        group.append(directory)
    if group:
        yield group


def differences(where: str, wanted: Mapping[str, FileFacts], found: Mapping[str, FileFacts]) -> list[Difference]:
    """What there is against what there should be, by LFN."""
    missing = [Difference(lfn, where, "Missing", facts) for lfn, facts in wanted.items() if lfn not in found]
    added = [Difference(lfn, where, "Added", None, facts) for lfn, facts in found.items() if lfn not in wanted]
    changed = [
        Difference(lfn, where, "Changed", facts, found[lfn])
        for lfn, facts in wanted.items()
        if lfn in found and _comparable(found[lfn]) != _comparable(facts)
    ]
    return sorted(missing + added + changed, key=lambda each: each.lfn)


def namesText(lfns: Sequence[str], most: int = 3) -> str:
    """Some names for a sentence."""
    rest = len(lfns) - most
    return ", ".join(lfns[:most]) + (f" and {rest} more" if rest > 0 else "")


def _comparable(facts: FileFacts) -> FileFacts:
    """The catalogue writes an adler32 as it was given, maybe in capitals or without its leading zeros."""
    return facts[0], facts[1].lower().zfill(8)
