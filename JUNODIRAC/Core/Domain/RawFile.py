"""One file under its DIRAC name, with what its name says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha1
from uuid import UUID

# Namespace of the GUIDs that we give to files: DFC entries need a valid UUID, and the same LFN must always get the same one.
_GUID_NAMESPACE = UUID("5f0d7b42-3c0e-5c7e-9a36-1d2f0f6a7c11").bytes


@dataclass(frozen=True)
class RawFile:
    """A file of a block.

    :param typeName: its Type, for example ``Raw``
    :param directory: LFN of its directory, without a slash at the end
    :param fileName: its name, the last part of the LFN
    :param block: name of its block
    :param fields: the parsed parts of name and directory, as strings
    """

    typeName: str
    directory: str
    fileName: str
    block: str
    fields: Mapping[str, str] = field(default_factory=dict, compare=False)

    @cached_property
    def lfn(self) -> str:
        """Logical file name."""
        return f"{self.directory}/{self.fileName}"

    @cached_property
    def guid(self) -> str:
        """A UUID that depends on the LFN alone, so that a repeated registration is identical.

        It is what ``uuid.uuid5`` makes (RFC 9562, version 5), written out because of the thousands of files a second.
        """
        digest = sha1(_GUID_NAMESPACE + self.lfn.encode(), usedforsecurity=False).hexdigest()
        variant = "89ab"[int(digest[16], 16) & 3]
        return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
