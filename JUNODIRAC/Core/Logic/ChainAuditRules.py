"""The audit of a block in a chain: from what all witnesses say to counts, findings and a verdict."""

from __future__ import annotations

from collections.abc import Mapping

from JUNODIRAC.Core.Domain.ChainAudit import AuditOutcome, Finding, FoundFile, StepCount
from JUNODIRAC.Core.Domain.ChainDescription import StepKind
from JUNODIRAC.Core.Logic.ChainAuditFacts import GIVEN_UP, REGISTERED, RETIRED, WAIVED, AuditedBlock, AuditedStep
from JUNODIRAC.Core.Logic.ChainAuditLineage import ancestorFindings, lineageFindings
from JUNODIRAC.Core.Logic.ChainAuditStorage import copyFindings, extraFindings, outputFindings


def auditBlock(block: AuditedBlock) -> AuditOutcome:
    """Compare all witnesses. Each finding names its file, the findings of one kind stand together."""
    found: list[FoundFile] = []
    for step in block.steps:
        if step.kind is not StepKind.REPLICATE:
            found += lineageFindings(step, block)
            found += outputFindings(step, block)
            found += ancestorFindings(step, block)
        found += copyFindings(step, block)
    found += extraFindings(block)
    found += [FoundFile(Finding.UNANSWERED, "", block.block, text) for text in block.failures]
    order = {kind: number for number, kind in enumerate(Finding)}
    unique = sorted(dict.fromkeys(found), key=lambda each: (order[each.kind], each.step, each.lfn, each.detail))
    return AuditOutcome([_countOf(step, block) for step in block.steps], unique)


def _countOf(step: AuditedStep, block: AuditedBlock) -> StepCount:
    parents = {each.parentID: each for each in step.inputs}
    derived = {each.parentID for each in step.derivations} & parents.keys()
    announced = [parents[parentID].events for parentID in derived]
    settled = [each.state for (parentID, _), each in step.recoveries.items() if parentID not in derived]
    return StepCount(
        number=step.number,
        name=step.name,
        kind=step.kind.value,
        inputs=len(step.inputs),
        derived=len(derived),
        givenUp=settled.count(GIVEN_UP),
        waived=settled.count(WAIVED),
        outputs=len(step.products),
        registered=sum(each.state == REGISTERED for each in step.products),
        retired=sum(each.state == RETIRED for each in step.products),
        sizeBytes=sum(each.sizeBytes for each in step.products),
        eventsAnnounced=None if None in announced else sum(each or 0 for each in announced),
        eventsRead=sum(each.events for each in step.derivations),
        eventsOut=sum(each.events for each in step.products),
        copies=_copies(step, block),
    )


def _copies(step: AuditedStep, block: AuditedBlock) -> Mapping[str, int]:
    entries = block.catalogue or {}
    return {se: sum(each.lfn in entries and se in entries[each.lfn].replicas for each in step.inputs) for se in step.destinations}
