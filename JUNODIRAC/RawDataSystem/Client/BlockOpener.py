"""Opening or repairing a block by hand: its directory's metadata, its transfers, its files in them."""

from __future__ import annotations

from typing import Any

from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient
from DIRAC.TransformationSystem.Client.TransformationClient import TransformationClient

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.RawFile import RawFile
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.OpenBlock import OpenBlock
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import COMPONENT as CATALOGUE_SERVICE
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import DFCCatalogue, registrationURLs
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal
from JUNODIRAC.RawDataSystem.Client.Owner import Owner
from JUNODIRAC.RawDataSystem.Client.TransformationTransfers import TransformationTransfers
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB


class UnknownBlock(Exception):
    """No file of this block was ever announced."""

    def __init__(self, typeName: str, name: str) -> None:
        what = f"block {name} of Type {typeName}" if typeName else f"block {name}"
        super().__init__(
            f"the ledger knows no {what}: a block exists from its first announcement on;"
            " compare the name with the list of dirac-juno-block-status"
        )


class BlockOpener:
    """Opens the blocks of one Type in the name of the production manager, who then owns their transformations."""

    def __init__(self, policy: TypePolicy, ledger: RawDataDB, owner: Owner) -> None:
        self._policy = policy
        self._ledger = ledger
        self._catalogue = DFCCatalogue(
            FileCatalogClient(url=CATALOGUE_SERVICE, **owner.clientArguments), registrationURLs(owner.vo)
        )
        self._transformations = TransformationTransfers(
            TransformationClient(**owner.clientArguments),
            plugin=policy.plugin,
            groupSize=policy.groupSize,
            campaign=policy.campaign,
        )

    def open(self, block: Block) -> dict[str, Any]:
        """Make sure that directory metadata and all configured transfers exist and have the block's registered files.

        :returns: Directory, Transfers (transformation id by SE) and Files, the number of files that are attached now
        """
        opener = OpenBlock(self._policy, self._ledger, self._catalogue, self._transformations)
        opened, _ = opener.run(block, repair=True)
        lfns = self._ledger.readRegistered(block.typeName, block.name)
        attached = self._transformations.attachFiles(list(opened.transfers.values()), lfns)
        for lfn, why in attached.failed.items():
            raise ServiceRefusal(
                "Transformation/TransformationManager", f"{len(attached.failed)} file(s) not attached, e.g. {lfn}: {why}"
            )
        return {"Directory": opened.directory, "Transfers": dict(opened.transfers), "Files": len(attached.successful)}


def knownBlock(ledger: RawDataDB, policy: TypePolicy, name: str) -> Block:
    """The block as the ledger has it, or, where only its files are known, as its Type's rules make it.

    :raises UnknownBlock: if no file of it was ever announced
    """
    found = ledger.findBlock(policy.typeName, name)
    if found is not None:
        return found
    parent = ledger.findParent(policy.typeName, name)
    if parent:
        return Block(policy.typeName, name, "", parent=parent)
    directories = ledger.readDirectories(policy.typeName, name)
    if not directories:
        raise UnknownBlock(policy.typeName, name)
    return policy.blockOf(RawFile(policy.typeName, directories[0], "", name))


def transferPlan(policy: TypePolicy, block: Block) -> dict[str, Any]:
    """What :meth:`BlockOpener.open` would make sure of, for a person to confirm."""
    transfers = {
        se: {"Name": policy.transformationName(block.name, se), "TransformationID": block.transfers.get(se)}
        for se in policy.destinations
    }
    named = {"Block": block.name, "Type": block.typeName, "Directory": block.directory, "Parent": block.parent}
    return named | {"Transfers": transfers}
