"""The DIRAC File Catalog, written to in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from DIRAC import gLogger
from DIRAC.Core.Utilities.List import breakListIntoChunks

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Logic.Ports import BulkResult, CatalogueFile, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, isUnavailable, valueOrRaise

COMPONENT = "DataManagement/FileCatalog"
# The Production System accepts only this string type in the queries that link the steps of a chain.
_FIELD_TYPE = "VARCHAR(128)"
# Answers of FileManagerBase._checkExistingMetadata.
_OTHER_METADATA = "File already registered with alternative metadata"
_OTHER_REPLICAS = ("File already registered with no replicas", "File already registered with alternative replicas")


class DFCCatalogue:
    """Registers files and opens blocks in the file catalogue alone.

    DIRAC's catalogue aggregator would forward each file to the Transformation System too (TSCatalog), which costs
    0.15 s a file; the receiver attaches files itself.

    :param client: DIRAC's FileCatalogClient, acting for the production manager
    :param fileURLs: gives the PFN of each LFN at an SE; see :func:`registrationURLs`
    :param filesPerCall: size of a bulk registration
    """

    def __init__(
        self, client: Any, fileURLs: Callable[[str, Sequence[str]], Mapping[str, str]], filesPerCall: int = 1000
    ) -> None:
        self._client = client
        self._fileURLs = fileURLs
        self._filesPerCall = max(1, filesPerCall)
        self._fieldsKnown: set[str] = set()
        self._log = gLogger.getSubLogger("DFCCatalogue")

    # ------------------------------------------------------------------ blocks

    def openBlock(self, block: Block) -> None:
        """Make the block's directory and set its Block and Type metadata; nothing changes if they are there.

        :raises ServiceRefusal: if the directory belongs to another block or Type already
        """
        self.openDirectory(
            block.directory,
            block.metadata,
            f"correct BlockRule or DirectoryPattern of Type {block.typeName}, or remove the metadata",
        )

    def openDirectory(self, directory: str, metadata: Mapping[str, str], remedy: str) -> None:
        """Make a directory and set its metadata; nothing changes if they are there.

        :param remedy: what to do if it has others
        :raises ServiceRefusal: if it has others
        """
        self.ensureFields(metadata)
        created = valueOrRaise(self._client.createDirectory({directory: True}), COMPONENT)
        _raiseFailures(created["Failed"], f"cannot create directory {directory}")
        present = valueOrRaise(self._client.getDirectoryUserMetadata(directory), COMPONENT)
        others = {key: present[key] for key, value in metadata.items() if present.get(key, value) != value}
        if others:
            raise ServiceRefusal(
                COMPONENT,
                f"{directory} carries {others} and cannot become {dict(metadata)} as well; {remedy} if they were set by mistake",
            )
        missing = {key: value for key, value in metadata.items() if key not in present}
        if missing:
            valueOrRaise(self._client.setMetadata(directory, missing), COMPONENT)

    def ensureFields(self, names: Iterable[str]) -> None:
        """Define the metadata fields as directory fields; without this the values would be stored without an index."""
        if self._fieldsKnown.issuperset(names):
            return
        defined = valueOrRaise(self._client.getMetadataFields(), COMPONENT)
        for name in names:
            if name in defined["FileMetaFields"]:
                raise ServiceRefusal(
                    COMPONENT,
                    f"the metadata field {name} is defined for files, but blocks need it for directories; "
                    "delete it (dirac-dms-filecatalog-cli: meta remove) if nothing uses it",
                )
            if name not in defined["DirectoryMetaFields"]:
                valueOrRaise(self._client.addMetadataField(name, _FIELD_TYPE, "-d"), COMPONENT)
        self._fieldsKnown.update(names)

    # ------------------------------------------------------------------- files

    def registerFiles(self, files: Sequence[CatalogueFile], sourceSE: str) -> BulkResult:
        """Register files with their replica at the source SE.

        A file that is there already with the same size and checksum is a success, and gets the replica if it lacks it.
        """
        urls = self._fileURLs(sourceSE, [file.lfn for file in files])
        byLFN = {file.lfn: file for file in files}
        successful: dict[str, None] = {}
        failed: dict[str, str] = {}
        for lfns in breakListIntoChunks(list(byLFN), self._filesPerCall):
            entries = {lfn: _catalogueEntry(byLFN[lfn], urls[lfn], sourceSE) for lfn in lfns}
            refused = self._addOrBisect(entries)
            refused = self._settleExisting(entries, refused)
            failed.update(refused)
            successful.update(dict.fromkeys(lfn for lfn in lfns if lfn not in refused))
        return BulkResult(tuple(successful), failed)

    def _addOrBisect(self, entries: dict[str, dict[str, Any]]) -> dict[str, str]:
        """Add the files; one bad file makes the catalogue fail all of its batch, so a failed batch is halved.

        :returns: the reason for each file that was refused
        """
        # the service's handler changes the dictionaries that it gets, and a test's fake may be in this process
        result = self._client.addFile({lfn: dict(entry) for lfn, entry in entries.items()})
        if not result["OK"]:
            refusedAll = str(result["Message"])
            if "Unauthorized" in refusedAll:
                raise ServiceRefusal(COMPONENT, refusedAll)
            refused = dict.fromkeys(entries, refusedAll)
        else:
            refused = {lfn: str(reason) for lfn, reason in result["Value"]["Failed"].items()}
            # an entry that the answer does not name has an unknown outcome
            for lfn in set(entries) - set(refused) - set(result["Value"]["Successful"]):
                refused[lfn] = "the catalogue gave no answer for this file"
        _raiseIfUnavailable(refused)
        suspects = {lfn: entries[lfn] for lfn, reason in refused.items() if not _isFinalAnswer(reason)}
        if len(entries) == 1 or not suspects:
            return refused
        for lfn in suspects:
            refused.pop(lfn)
        half = (len(suspects) + 1) // 2
        for lfns in (list(suspects)[:half], list(suspects)[half:]):
            if lfns:
                refused.update(self._addOrBisect({lfn: suspects[lfn] for lfn in lfns}))
        return refused

    def _settleExisting(self, entries: dict[str, dict[str, Any]], refused: dict[str, str]) -> dict[str, str]:
        """Decide about files that the catalogue has already.

        Same size and checksum (under another GUID, or without the replica at the source because a registration was cut
        short): add the replica. Otherwise the reason says what the catalogue has.
        """
        existing = [lfn for lfn, reason in refused.items() if _isFinalAnswer(reason)]
        if not existing:
            return refused
        refused = dict(refused)
        known = valueOrRaise(self._client.getFileMetadata(existing), COMPONENT)["Successful"]
        toComplete = {}
        for lfn in existing:
            if lfn not in known:
                continue
            entry, there = entries[lfn], known[lfn]
            if (int(there["Size"]), str(there["Checksum"]).lower()) == (entry["Size"], entry["Checksum"]):
                toComplete[lfn] = {"PFN": entry["PFN"], "SE": entry["SE"]}
            else:
                refused[lfn] = (
                    f"the catalogue has this file with {there['Size']} bytes and adler32 {there['Checksum']}, "
                    f"not {entry['Size']} bytes and {entry['Checksum']}"
                )
        if toComplete:
            answer = valueOrRaise(self._client.addReplica(toComplete), COMPONENT)
            _raiseIfUnavailable(answer["Failed"])
            for lfn in toComplete:
                refused.pop(lfn)
            refused.update(answer["Failed"])
        return refused


def registrationURLs(vo: str) -> Callable[[str, Sequence[str]], Mapping[str, str]]:
    """The PFNs that DIRAC's own tools register: URLs of the SE in the first protocol of RegistrationProtocols that it has."""
    from DIRAC.DataManagementSystem.Utilities.DMSHelpers import DMSHelpers
    from DIRAC.Resources.Storage.StorageElement import StorageElement

    def fileURLs(seName: str, lfns: Sequence[str]) -> Mapping[str, str]:
        if not lfns:
            return {}
        protocols = DMSHelpers(vo=vo).getRegistrationProtocols()
        component = f"storage element {seName}"
        urls = valueOrRaise(StorageElement(seName, vo=vo).getURL(list(lfns), protocol=protocols), component)
        if urls["Failed"]:
            lfn, reason = next(iter(urls["Failed"].items()))
            raise ServiceRefusal(component, f"no URL for {lfn} in protocols {protocols}: {reason}")
        return urls["Successful"]

    return fileURLs


def _catalogueEntry(file: CatalogueFile, url: str, sourceSE: str) -> dict[str, Any]:
    return {
        "PFN": url,
        "SE": sourceSE,
        "Size": file.sizeBytes,
        "GUID": file.guid,
        "Checksum": file.checksum,
        "ChecksumType": "Adler32",
    }


def _isFinalAnswer(reason: str) -> bool:
    """Whether the reason is about a file that exists already, so that halving the batch would not change it."""
    return reason == _OTHER_METADATA or reason in _OTHER_REPLICAS


def _raiseIfUnavailable(reasons: Mapping[str, str]) -> None:
    for reason in set(reasons.values()):
        if isUnavailable(str(reason)):
            raise TemporaryFailure(COMPONENT, str(reason))


def _raiseFailures(reasons: Mapping[str, str], what: str) -> None:
    _raiseIfUnavailable(reasons)
    for reason in reasons.values():
        raise ServiceRefusal(COMPONENT, f"{what}: {reason}")
