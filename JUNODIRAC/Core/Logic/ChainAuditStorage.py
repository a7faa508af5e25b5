"""Whether the outputs of a chain are where they should be, and nothing else: ledger, catalogue and storages compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from JUNODIRAC.Core.Domain.ChainAudit import Finding, FoundFile
from JUNODIRAC.Core.Domain.ChainDescription import StepKind
from JUNODIRAC.Core.Domain.Validation import Difference
from JUNODIRAC.Core.Logic.BlockComparison import CataloguedFile, DeclaredFile, differenceOf
from JUNODIRAC.Core.Logic.ChainAuditFacts import (
    COMMITTED,
    GIVEN_UP,
    REGISTERED,
    RETIRED,
    WAIVED,
    AuditedBlock,
    AuditedInput,
    AuditedProduct,
    AuditedStep,
    CatalogueEntry,
    SiteWitness,
)

_KINDS = {
    Difference.MISSING: Finding.MISSING,
    Difference.WRONG_SIZE: Finding.WRONG_SIZE,
    Difference.WRONG_CHECKSUM: Finding.WRONG_CHECKSUM,
    Difference.UNANSWERED: Finding.UNANSWERED,
}


# ---- outputs


def outputFindings(step: AuditedStep, block: AuditedBlock) -> Iterator[FoundFile]:
    """Each output: its record in the catalogue, and its bytes at each site that the catalogue names."""
    if block.catalogue is None:
        if step.products:
            yield FoundFile(Finding.UNANSWERED, step.name, step.name, "the catalogue did not tell of the outputs")
        return
    for product in step.products:
        entry = block.catalogue.get(product.lfn)
        if product.state == RETIRED:
            yield from _retired(step, product, entry, block)
            continue
        if product.state == COMMITTED:
            yield FoundFile(
                Finding.NOT_REGISTERED, step.name, product.lfn, f"it is at {product.se}, and not in the catalogue yet"
            )
        yield from _record(step, product, entry)
        for se in sorted((entry.replicas if entry else frozenset()) | ({product.se} if product.state == COMMITTED else set())):
            yield from _bytesAt(step, product, se, block.storages.get(se))


def _record(step: AuditedStep, product: AuditedProduct, entry: CatalogueEntry | None) -> Iterator[FoundFile]:
    if entry is None:
        if product.state == REGISTERED:
            yield FoundFile(Finding.NOT_CATALOGUED, step.name, product.lfn, "the catalogue has no such file")
        return
    if entry.failure:
        yield FoundFile(Finding.UNANSWERED, step.name, product.lfn, f"the catalogue did not tell: {entry.failure}")
        return
    if entry.sizeBytes != product.sizeBytes:
        text = f"the catalogue has {entry.sizeBytes} bytes, not {product.sizeBytes}"
        yield FoundFile(Finding.CATALOGUE_DIFFERS, step.name, product.lfn, text)
    elif entry.checksum.lower().zfill(8) != product.checksum.lower().zfill(8):
        text = f"the catalogue has adler32 {entry.checksum}, not {product.checksum}"
        yield FoundFile(Finding.CATALOGUE_DIFFERS, step.name, product.lfn, text)
    if not entry.replicas and product.state == REGISTERED:
        yield FoundFile(Finding.NOT_CATALOGUED, step.name, product.lfn, "the catalogue has no replica of it")


def _bytesAt(step: AuditedStep, product: AuditedProduct, se: str, site: SiteWitness | None) -> Iterator[FoundFile]:
    declared = DeclaredFile(product.sizeBytes, product.checksum)
    # what the catalogue says was looked at before
    record = CataloguedFile(product.sizeBytes, product.checksum, True)
    stored = site.files.get(product.lfn) if site else None
    found = differenceOf(declared, record, stored, site.failure if site else "")
    if found:
        yield FoundFile(_KINDS[found[0]], step.name, product.lfn, f"{se}: {found[1]}")


def _retired(
    step: AuditedStep, product: AuditedProduct, entry: CatalogueEntry | None, block: AuditedBlock
) -> Iterator[FoundFile]:
    where = ["the catalogue"] * (entry is not None and not entry.failure)
    where += [se for se, site in sorted(block.storages.items()) if _hasIt(site, product.lfn)]
    if where:
        kind = Finding.STILL_THERE if product.isGone else Finding.RETIRING
        yield FoundFile(kind, step.name, product.lfn, f"it was merged and retired, and is still in {', '.join(where)}")


def _hasIt(site: SiteWitness, lfn: str) -> bool:
    stored = site.files.get(lfn)
    return lfn in (site.listed or ()) or (stored is not None and stored.sizeBytes is not None)


# ---- what else lies there


def extraFindings(block: AuditedBlock) -> Iterator[FoundFile]:
    """Files in the chain's directories that should not be there."""
    names = {_directory(each.lfn): step.name for step in block.steps for each in step.products}
    products = {each.lfn: each for step in block.steps for each in step.products}
    for lfn in sorted((block.catalogue or {}).keys() - products.keys() - _wanted(block)):
        kind, text = Finding.NO_PRODUCT, "the catalogue has it, the ledger has no such output"
        if lfn in block.underWay:
            kind, text = Finding.LEFT_BEHIND, "the catalogue has it; a job may be at it, or the recovery looks for it"
        yield FoundFile(kind, names.get(_directory(lfn), ""), lfn, text)
    for se, site in sorted(block.storages.items()):
        if site.listed is None:
            yield FoundFile(Finding.UNANSWERED, "", se, site.failure or "its directories were not listed")
        for lfn in sorted(site.listed or ()):
            found = _extraAt(se, lfn, products.get(lfn), block)
            if found:
                yield FoundFile(found[0], names.get(_directory(lfn), ""), lfn, f"{se}: {found[1]}")


def _extraAt(se: str, lfn: str, product: AuditedProduct | None, block: AuditedBlock) -> tuple[Finding, str] | None:
    if product is None:
        if lfn in block.underWay:
            return Finding.LEFT_BEHIND, "a job may be writing it, or the recovery looks for it"
        return Finding.EXTRA, "it is no output"
    if product.state != REGISTERED or block.catalogue is None:
        return None
    entry = block.catalogue.get(lfn)
    if entry is None or entry.failure or se in entry.replicas:
        return None
    # a copy is on the storage before the catalogue has it
    if _isWantedAt(se, lfn, block) or lfn in block.underWay:
        return Finding.LEFT_BEHIND, "a copy that is not registered there yet"
    return Finding.EXTRA, "the catalogue has no replica of it there"


def _isWantedAt(se: str, lfn: str, block: AuditedBlock) -> bool:
    return any(se in step.destinations and any(each.lfn == lfn for each in step.inputs) for step in block.steps)


def _wanted(block: AuditedBlock) -> set[str]:
    """Inputs from elsewhere whose records were read because they are copied."""
    return {each.lfn for step in block.steps for each in step.inputs}


def _directory(lfn: str) -> str:
    return lfn.rpartition("/")[0]


# ---- copies


def copyFindings(step: AuditedStep, block: AuditedBlock) -> Iterator[FoundFile]:
    """Each input of a step of kind replicate at each of its destinations."""
    if step.kind is not StepKind.REPLICATE:
        return
    if block.catalogue is None:
        if step.inputs:
            yield FoundFile(Finding.UNANSWERED, step.name, step.name, "the catalogue did not tell of the copies")
        return
    for se in step.destinations:
        statuses = step.statuses.get(se)
        for each in step.inputs:
            entry = block.catalogue.get(each.lfn)
            if entry is not None and entry.failure:
                continue  # told of where the file is made
            if entry is None or se not in entry.replicas:
                yield _missingCopy(step, each, se, statuses)


def _missingCopy(step: AuditedStep, each: AuditedInput, se: str, statuses: Mapping[str, str] | None) -> FoundFile:
    recovery = step.recoveries.get((each.parentID, se))
    if recovery is not None and recovery.state in (GIVEN_UP, WAIVED):
        kind = Finding.GIVEN_UP if recovery.state == GIVEN_UP else Finding.WAIVED
        return FoundFile(kind, step.name, each.lfn, f"no copy at {se}: {recovery.error}: {recovery.detail}")
    if statuses is None:
        return FoundFile(Finding.UNANSWERED, step.name, each.lfn, f"no copy at {se}, and the Transformation System did not tell")
    status = statuses.get(each.lfn, "")
    if status == "Processed":
        return FoundFile(Finding.MISSING_COPY, step.name, each.lfn, f"the transformation says that it is at {se}, it is not")
    text = f"no copy at {se} yet: in the transformation it is {status or 'not there'}"
    return FoundFile(Finding.COPY_UNDER_WAY, step.name, each.lfn, text)
