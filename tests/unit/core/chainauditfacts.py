"""A block in a chain of process, merge and replicate, with which every witness agrees."""

from __future__ import annotations

from dataclasses import dataclass

from JUNODIRAC.Core.Domain.ChainDescription import StepKind
from JUNODIRAC.Core.Logic.ChainAuditFacts import (
    REGISTERED,
    RETIRED,
    AuditedBlock,
    AuditedDerivation,
    AuditedInput,
    AuditedProduct,
    AuditedStep,
    CatalogueEntry,
    SiteWitness,
)
from JUNODIRAC.Core.Logic.Ports import StoredFile

SOURCE, OTHER, DESTINATION = "IHEP-EOS", "CNAF-STORM", "JINR-EOS"


@dataclass(frozen=True)
class Shape:
    """How the block looks: files of each stream with their events, group sizes, whether what was merged is retired."""

    files: tuple[tuple[str, int], ...] = (("Physics.a", 10), ("Physics.a", 20), ("Physics.b", 5), ("Physics.a", 1))
    processGroup: int = 1
    mergeGroup: int = 2
    isRetired: bool = False


def agreeing(shape: Shape = Shape()) -> AuditedBlock:
    """The facts."""
    inputs = [
        AuditedInput(number + 1, f"/juno/rtraw/{number}.rtraw", events, stream, (7, number), (7, number))
        for number, (stream, events) in enumerate(shape.files)
    ]
    processed, made, ancestors = _make("/juno/esd/rawrec", 1000, inputs, shape.processGroup, {})
    pieces = [AuditedInput(p.productID, p.lfn, p.events, p.stream, p.first, p.last) for p in processed]
    merged, mergedOf, ancestors = _make("/juno/esd/merge", 2000, pieces, shape.mergeGroup, ancestors)
    if shape.isRetired:
        processed = [AuditedProduct(**{**vars(p), "state": RETIRED, "isGone": True}) for p in processed]
    wanted = [AuditedInput(p.productID, p.lfn, p.events, p.stream, p.first, p.last) for p in merged]
    there = [p for p in (*processed, *merged) if p.state == REGISTERED]
    replicas = {p.lfn: frozenset({p.se, DESTINATION} if p in merged else {p.se}) for p in there}
    steps = [
        AuditedStep(1, "rawrec", StepKind.PROCESS, inputs, processed, made, statuses={"": _all(inputs, "Processed")}),
        AuditedStep(2, "merge", StepKind.MERGE, pieces, merged, mergedOf, statuses={"": _all(pieces, "Processed")}),
        AuditedStep(
            3,
            "replicate",
            StepKind.REPLICATE,
            wanted,
            destinations=(DESTINATION,),
            statuses={DESTINATION: _all(wanted, "Processed")},
        ),
    ]
    storages = {}
    for se in (SOURCE, OTHER, DESTINATION):
        files = {p.lfn: StoredFile(p.sizeBytes, p.checksum) for p in there if se in replicas[p.lfn]}
        storages[se] = SiteWitness(files, frozenset(files))
    return AuditedBlock(
        1,
        2,
        "rerec-J24-v1",
        "RTRaw",
        "20240101",
        steps,
        {p.lfn: CatalogueEntry(p.sizeBytes, p.checksum, replicas[p.lfn]) for p in there},
        {p.lfn: ancestors[p.lfn] for p in there},
        storages,
    )


def _all(inputs, status):
    return {each.lfn: status for each in inputs}


def _make(directory, firstID, inputs, group, ancestors):
    """Products of groups of one stream each, their derivations, and the ancestors of all."""
    products, made, ancestors = [], [], dict(ancestors)
    for stream in sorted({each.stream for each in inputs}):
        own = sorted((each for each in inputs if each.stream == stream), key=lambda each: each.first)
        for start in range(0, len(own), group):
            members = own[start : start + group]
            number = firstID + len(products)
            product = AuditedProduct(
                number,
                f"{directory}/{number}.esd",
                SOURCE if number % 2 else OTHER,
                100 + number,
                f"{number:08x}",
                sum(each.events for each in members),
                stream,
                members[0].first,
                members[-1].last,
            )
            products.append(product)
            made += [AuditedDerivation(each.parentID, number, place, each.events) for place, each in enumerate(members)]
            ancestors[product.lfn] = {each.lfn: 1 for each in members} | {
                above: depth + 1 for each in members for above, depth in ancestors.get(each.lfn, {}).items()
            }
    return products, made, ancestors
