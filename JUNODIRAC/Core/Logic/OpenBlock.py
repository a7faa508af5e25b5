"""Make sure that a block exists: its directory with metadata, and a transfer to each destination."""

from __future__ import annotations

from dataclasses import replace

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Ports import Catalogue, Ledger, Transformations


class BlockMismatch(Exception):
    """A block of this name has another directory already: its metadata cannot stand on both."""

    def __init__(self, wanted: Block, known: Block) -> None:
        self.wanted, self.known = wanted, known
        super().__init__(f"block {wanted.name} of {wanted.typeName} is {known.directory} and cannot be {wanted.directory} too")


class OpenBlock:
    """Opens the blocks of one Type. Repeating it changes nothing, so a crash at any point costs one repetition."""

    def __init__(self, policy: TypePolicy, ledger: Ledger, catalogue: Catalogue, transformations: Transformations) -> None:
        self._policy = policy
        self._ledger = ledger
        self._catalogue = catalogue
        self._transformations = transformations

    def isComplete(self, block: Block, known: Block) -> bool:
        """Whether nothing is to be opened.

        :param known: the same block, as the ledger has it
        """
        return known.directory == block.directory and all(se in known.transfers for se in self._policy.destinations)

    def run(self, block: Block, repair: bool = False) -> tuple[Block, bool]:
        """Open what is missing of a block.

        A destination that was added to the configuration gets its transfer here, when the block's next file comes. The
        files that the block has already reach it through the metadata query that every transfer carries, which the stock
        InputDataAgent evaluates; nothing else attaches them.

        A follow-up block has no directory and no metadata: its transfers get what is attached, nothing else, and from then on
        the same holds for its parent's.

        :param repair: look at directory and transfers even where the ledger vouches for them
        :returns: the block with its transfers, and whether anything was opened
        :raises BlockMismatch: if the block is known with another directory
        :raises TemporaryFailure: repeat it later
        """
        known = self._ledger.findBlock(block.typeName, block.name)
        if known is not None and known.directory != block.directory:
            raise BlockMismatch(block, known)
        transfers = dict(known.transfers) if known is not None else {}
        missing = [se for se in self._policy.destinations if repair or se not in transfers]
        if known is not None and not missing:
            return known, False

        # The metadata come before the transfers (whose query needs them), the ledger's record last: it vouches for both.
        if block.parent:
            self._partFromParent(block)
        else:
            self._catalogue.openBlock(block)
        whole = replace(block, hasFollowUps=known is not None and known.hasFollowUps)
        for targetSE in missing:
            name = self._policy.transformationName(block.name, targetSE)
            transfers[targetSE] = self._transformations.openTransfer(whole, targetSE, name)
        opened = replace(whole, transfers=transfers)
        self._ledger.recordBlock(opened)
        return opened, True

    def _partFromParent(self, block: Block) -> None:
        """The parent's metadata stand on the directory, and would bring it the files of its follow-up blocks."""
        parent = self._ledger.findBlock(block.typeName, block.parent)
        if parent is not None and parent.transfers:
            self._transformations.forgetQueries(list(parent.transfers.values()))
