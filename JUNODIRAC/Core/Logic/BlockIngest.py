"""The files of one block: into the catalogue and into its transfers. Each stage is a function of its arguments alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Logic.Candidate import Candidate
from JUNODIRAC.Core.Logic.OpenBlock import OpenBlock
from JUNODIRAC.Core.Logic.Ports import Catalogue, Ledger, TemporaryFailure, Transformations


class BlockIngest:
    """The stages of a block's files; who calls them in which order is :class:`IngestRound`'s business."""

    def __init__(self, policy: TypePolicy, ledger: Ledger, catalogue: Catalogue, transformations: Transformations) -> None:
        self._policy = policy
        self._catalogue = catalogue
        self._transformations = transformations
        self._openBlock = OpenBlock(policy, ledger, catalogue, transformations)
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="open")

    def group(self, candidates: Iterable[Candidate]) -> list[tuple[Block, list[Candidate]]]:
        """Candidates by block, late ones by their follow-up block; the blocks have no transfers yet."""
        byDirectory: dict[tuple[str, str], list[Candidate]] = {}
        for candidate in candidates:
            byDirectory.setdefault((candidate.file.directory, candidate.followUp), []).append(candidate)
        byBlock: dict[tuple[str, str], tuple[Block, list[Candidate]]] = {}
        for (_, followUp), members in byDirectory.items():
            block = self._policy.blockOf(members[0].file)
            if followUp:
                block = Block(block.typeName, followUp, "", parent=block.name)
            byBlock.setdefault((block.name, block.directory), (block, []))[1].extend(members)
        return list(byBlock.values())

    def open(self, block: Block, known: Block | None = None) -> tuple[Block, bool]:
        """See :meth:`OpenBlock.run`. One at a time: two that open the same block would make its transfers twice.

        :param known: what the ledger said of it a moment ago, if it was asked
        """
        if known is not None and self._openBlock.isComplete(block, known):
            return known, False
        return self._opener.submit(self._openBlock.run, block).result()

    def register(self, members: Sequence[Candidate]) -> tuple[list[Candidate], Mapping[str, str]]:
        """Register files in the catalogue.

        :returns: those that are in it now, and for the others (by LFN) what it said
        :raises TemporaryFailure: if it does not answer, or not for each file
        """
        result = self._catalogue.registerFiles([candidate.catalogueFile() for candidate in members], self._policy.sourceSE)
        return _sort(members, result.successful, result.failed, "file catalogue")

    def attach(self, block: Block, members: Sequence[Candidate]) -> tuple[list[Candidate], Mapping[str, str]]:
        """Attach files to all transfers of the block.

        Also to one whose SE left the configuration: its metadata query takes the files anyway.

        :returns: those that are attached now, and for the others (by LFN) what the Transformation System said
        :raises TemporaryFailure: if it does not answer, or not for each file
        """
        if not members or not block.transfers:
            return list(members), {}
        lfns = [candidate.lfn for candidate in members]
        result = self._transformations.attachFiles(list(block.transfers.values()), lfns)
        return _sort(members, result.successful, result.failed, "Transformation System")


def _sort(
    members: Sequence[Candidate], successful: Iterable[str], failed: Mapping[str, str], component: str
) -> tuple[list[Candidate], Mapping[str, str]]:
    done = set(successful).difference(failed)
    if len(done) < len(members):
        for candidate in members:
            if candidate.lfn not in done and candidate.lfn not in failed:
                raise TemporaryFailure(component, f"it did not say what became of {candidate.lfn}")
    return [candidate for candidate in members if candidate.lfn in done], failed
