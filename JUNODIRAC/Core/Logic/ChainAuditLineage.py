"""What became of each input of a step, and where each output comes from: ledger, Transformation System and ancestors compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from JUNODIRAC.Core.Domain.ChainAudit import Finding, FoundFile
from JUNODIRAC.Core.Domain.ChainDescription import StepKind
from JUNODIRAC.Core.Logic.ChainAuditFacts import (
    COMMITTED,
    GIVEN_UP,
    RETIRED,
    WAIVED,
    AuditedBlock,
    AuditedDerivation,
    AuditedInput,
    AuditedProduct,
    AuditedStep,
)


def lineageFindings(step: AuditedStep, block: AuditedBlock) -> Iterator[FoundFile]:
    """What is not as it should be between inputs and outputs of a step that makes files."""
    parents = {each.parentID: each for each in step.inputs}
    products = {each.productID: each for each in step.products}
    ofProduct: dict[int, list[AuditedDerivation]] = defaultdict(list)
    for each in step.derivations:
        ofProduct[each.productID].append(each)
    yield from _inputs(step, block, products)
    for product in step.products:
        yield from _output(step, product, ofProduct[product.productID], parents)
    for productID in ofProduct.keys() - products.keys():
        for each in ofProduct[productID]:
            name = parents[each.parentID].lfn if each.parentID in parents else f"input {each.parentID}"
            yield FoundFile(Finding.WITHOUT_DAUGHTER, step.name, name, f"it was put into output {productID}, which is not kept")
    if step.kind is StepKind.MERGE:
        yield from _overlaps(step)


# ---- inputs


def _inputs(step: AuditedStep, block: AuditedBlock, products: Mapping[int, AuditedProduct]) -> Iterator[FoundFile]:
    daughters = daughtersOf(step, block)
    statuses = step.statuses.get("")
    if statuses is None and step.inputs:
        yield FoundFile(Finding.UNANSWERED, step.name, step.name, "the Transformation System did not tell of the step's files")
    derived = {each.parentID for each in step.derivations if each.productID in products}
    for each in step.inputs:
        names = daughters.get(each.lfn, set())
        if len(names) > 1:
            yield FoundFile(Finding.SEVERAL_DAUGHTERS, step.name, each.lfn, f"it is in {' and in '.join(sorted(names))}")
        status = None if statuses is None else statuses.get(each.lfn, "")
        if each.parentID in derived:
            if status is not None and status != "Processed":
                told = f"it is {status}" if status else "it is not there"
                yield FoundFile(
                    Finding.STATUS_BEHIND, step.name, each.lfn, f"it is in an output, and in the transformation {told}"
                )
        else:
            yield _underived(step, each, status, names)


def _underived(step: AuditedStep, each: AuditedInput, status: str | None, names: set[str]) -> FoundFile:
    recovery = step.recoveries.get((each.parentID, ""))
    if recovery is not None and recovery.state in (GIVEN_UP, WAIVED):
        kind = Finding.GIVEN_UP if recovery.state == GIVEN_UP else Finding.WAIVED
        why = f"{recovery.error or 'no reason'}: {recovery.detail}; after {recovery.attempts} attempts"
        return FoundFile(kind, step.name, each.lfn, why)
    if status == "Processed":
        return FoundFile(Finding.WITHOUT_DAUGHTER, step.name, each.lfn, "the transformation says Processed, no output has it")
    if names:
        which = ", ".join(sorted(names))
        text = f"the catalogue says that {which} was made of it, the ledger does not"
        return FoundFile(Finding.WITHOUT_DAUGHTER, step.name, each.lfn, text)
    if not each.isAttached:
        return FoundFile(Finding.NOT_ATTACHED, step.name, each.lfn, "it was not given to the step yet")
    if status == "":
        return FoundFile(Finding.NOT_ATTACHED, step.name, each.lfn, "it is not in the step's transformation")
    text = f"in the transformation it is {status}" if status else "the transformation did not tell"
    if recovery is not None:
        text += f"; attempt {recovery.attempts} failed with {recovery.error}"
    return FoundFile(Finding.NOT_PROCESSED, step.name, each.lfn, text)


def daughtersOf(step: AuditedStep, block: AuditedBlock) -> dict[str, set[str]]:
    """The outputs of a step that have an input, by its LFN: those of the ledger and those of the catalogue together."""
    names = {each.parentID: each.lfn for each in step.inputs}
    products = {each.productID: each.lfn for each in step.products}
    found: dict[str, set[str]] = defaultdict(set)
    for each in step.derivations:
        if each.parentID in names and each.productID in products:
            found[names[each.parentID]].add(products[each.productID])
    own, inputs = set(products.values()), set(names.values())
    directories = {lfn.rpartition("/")[0] for lfn in own}
    for lfn, ancestors in (block.ancestors or {}).items():
        if lfn in own or lfn.rpartition("/")[0] in directories:
            for parent, depth in ancestors.items():
                if depth == 1 and parent in inputs:
                    found[parent].add(lfn)
    return found


# ---- outputs


def _output(
    step: AuditedStep, product: AuditedProduct, made: Sequence[AuditedDerivation], parents: Mapping[int, AuditedInput]
) -> Iterator[FoundFile]:
    if not made:
        yield FoundFile(Finding.WITHOUT_PARENT, step.name, product.lfn, "no input of it is known")
        return
    for each in made:
        if each.parentID not in parents:
            text = f"{product.lfn} was made of input {each.parentID}, which the step does not want"
            yield FoundFile(Finding.UNKNOWN_PARENT, step.name, product.lfn, text)
    known = [(each, parents[each.parentID]) for each in sorted(made, key=lambda it: it.position) if each.parentID in parents]
    yield from _events(step, product, made, known)
    if len(known) == len(made):
        wrong = _orderOf(product, known)
        if wrong:
            yield FoundFile(Finding.WRONG_ORDER, step.name, product.lfn, wrong)


def _events(
    step: AuditedStep,
    product: AuditedProduct,
    made: Sequence[AuditedDerivation],
    known: Sequence[tuple[AuditedDerivation, AuditedInput]],
) -> Iterator[FoundFile]:
    for each, parent in known:
        if parent.events is not None and parent.events != each.events:
            text = f"{parent.events} events announced, {each.events} read for {product.lfn}"
            yield FoundFile(Finding.WRONG_EVENTS, step.name, parent.lfn, text)
    read = sum(each.events for each in made)
    if read != product.events:
        text = f"{read} events went in, {product.events} are in it"
        yield FoundFile(Finding.WRONG_EVENTS, step.name, product.lfn, text)


def _orderOf(product: AuditedProduct, known: Sequence[tuple[AuditedDerivation, AuditedInput]]) -> str:
    """What is wrong with the order of the inputs in an output; empty if nothing is."""
    if [each.position for each, _ in known] != list(range(len(known))):
        return f"its inputs have the places {', '.join(str(each.position) for each, _ in known)}"
    for (_, before), (_, after) in pairwise(known):
        if after.first < before.first:
            return f"{after.lfn} comes after {before.lfn}"
    streams = {parent.stream for _, parent in known}
    if streams != {product.stream}:
        return f"it is of stream {product.stream}, its inputs are of {', '.join(sorted(streams))}"
    if (product.first, product.last) != (known[0][1].first, known[-1][1].last):
        return f"it is said to go from {product.first} to {product.last}, its inputs go from {known[0][1].first}"
    return ""


def _overlaps(step: AuditedStep) -> Iterator[FoundFile]:
    """No fault: a piece that comes late is merged on its own."""
    streams: dict[str, list[AuditedProduct]] = defaultdict(list)
    for each in step.products:
        streams[each.stream].append(each)
    for products in streams.values():
        for before, after in pairwise(sorted(products, key=lambda it: (it.first, it.last))):
            if after.first <= before.last:
                yield FoundFile(Finding.OVERLAP, step.name, after.lfn, f"it begins before {before.lfn} ends")


# ---- ancestors


def ancestorFindings(step: AuditedStep, block: AuditedBlock) -> Iterator[FoundFile]:
    """The catalogue's ancestors of each output, against the ledger. Of a retired parent its own parents must be there."""
    if block.ancestors is None:
        if step.products:
            yield FoundFile(Finding.UNANSWERED, step.name, step.name, "the catalogue did not tell the ancestors of the outputs")
        return
    parents = {each.parentID: each.lfn for each in step.inputs}
    ofProduct: dict[int, list[str]] = defaultdict(list)
    for each in step.derivations:
        if each.parentID in parents:
            ofProduct[each.productID].append(parents[each.parentID])
    makers = _parentsOfProducts(block)
    gone = {each.lfn for other in block.steps for each in other.products if each.state == RETIRED}
    for product in step.products:
        found = block.ancestors.get(product.lfn)
        if product.state in (COMMITTED, RETIRED):
            continue
        if found is None:
            if product.lfn in (block.catalogue or {}):
                yield FoundFile(Finding.UNANSWERED, step.name, product.lfn, "the catalogue did not tell its ancestors")
            continue
        yield from _ancestorsOf(step, product, set(ofProduct[product.productID]), found, makers, gone)


def _ancestorsOf(
    step: AuditedStep,
    product: AuditedProduct,
    parents: set[str],
    found: Mapping[str, int],
    makers: Mapping[str, set[str]],
    gone: set[str],
) -> Iterator[FoundFile]:
    all_, newest = set(parents), set(parents)
    while newest:
        newest = {above for lfn in newest for above in makers.get(lfn, ())} - all_
        all_ |= newest
    missing = sorted(lfn for lfn in all_ - gone if lfn not in found)
    missing += sorted(lfn for lfn in parents - gone if found.get(lfn, 1) != 1)
    if missing:
        text = f"{len(missing)} of {len(all_)} ancestors are missing in the catalogue, e.g. {missing[0]}"
        yield FoundFile(Finding.MISSING_ANCESTOR, step.name, product.lfn, text)
    wrong = sorted(found.keys() - all_)
    if wrong:
        yield FoundFile(
            Finding.WRONG_ANCESTOR, step.name, product.lfn, f"the catalogue has {wrong[0]} as an ancestor, which it is not"
        )


def _parentsOfProducts(block: AuditedBlock) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for step in block.steps:
        products = {each.productID: each.lfn for each in step.products}
        parents = {each.parentID: each.lfn for each in step.inputs}
        for each in step.derivations:
            if each.productID in products and each.parentID in parents:
                found[products[each.productID]].add(parents[each.parentID])
    return found
