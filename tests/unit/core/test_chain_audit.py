"""The audit: what agrees is exact, and any single witness that was made to lie is found and named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chainauditfacts import DESTINATION, OTHER, SOURCE, Shape, agreeing
from hypothesis import given, settings
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.ChainAudit import REMARKS, UNFINISHED, WRONG, AuditVerdict, Finding, verdictOf
from JUNODIRAC.Core.Logic.ChainAuditFacts import (
    COMMITTED,
    GIVEN_UP,
    REGISTERED,
    RETIRED,
    WAIVED,
    AuditedDerivation,
    AuditedRecovery,
    SiteWitness,
)
from JUNODIRAC.Core.Logic.ChainAuditRules import auditBlock
from JUNODIRAC.Core.Logic.Ports import StoredFile

pytestmark = pytest.mark.unit

streams = st.sampled_from(["Physics.a", "Physics.b", "Calib.x"])
shapes = st.builds(
    Shape,
    files=st.lists(st.tuples(streams, st.integers(1, 1000)), min_size=1, max_size=9).map(tuple),
    processGroup=st.integers(1, 3),
    mergeGroup=st.integers(1, 4),
    isRetired=st.booleans(),
)  # fmt: skip


# ---- one lie each: takes the facts and a number, gives the lying facts, the finding that must be there, and what it must name


def withStep(block, index, **changes):
    steps = list(block.steps)
    steps[index] = replace(steps[index], **changes)
    return replace(block, steps=steps)


def pick(things, number):
    things = list(things)
    return things[number % len(things)]


def at(things, old, new):
    return [new if each is old else each for each in things]


def withEntry(block, lfn, entry):
    entries = dict(block.catalogue)
    entries.pop(lfn)
    return replace(block, catalogue=entries | ({lfn: entry} if entry else {}))


def withSite(block, se, **changes):
    return replace(block, storages={**block.storages, se: replace(block.storages[se], **changes)})


def derivationLost(block, step, number):
    lost = pick(block.steps[step].derivations, number)
    name = next(each.lfn for each in block.steps[step].inputs if each.parentID == lost.parentID)
    left = [each for each in block.steps[step].derivations if each is not lost]
    return withStep(block, step, derivations=left), Finding.WITHOUT_DAUGHTER, name


def derivationTwice(block, step, number):
    one = pick(block.steps[step].derivations, number)
    others = [each for each in block.steps[step].products if each.productID != one.productID]
    if not others:
        return None
    name = next(each.lfn for each in block.steps[step].inputs if each.parentID == one.parentID)
    twice = [*block.steps[step].derivations, AuditedDerivation(one.parentID, pick(others, number).productID, 99, one.events)]
    return withStep(block, step, derivations=twice), Finding.SEVERAL_DAUGHTERS, name


def strangeParent(block, step, number):
    one = pick(block.steps[step].derivations, number)
    name = next(each.lfn for each in block.steps[step].products if each.productID == one.productID)
    strange = at(block.steps[step].derivations, one, replace(one, parentID=999_999))
    return withStep(block, step, derivations=strange), Finding.UNKNOWN_PARENT, name


def eventsReadDiffer(block, step, number):
    one = pick(block.steps[step].derivations, number)
    name = next(each.lfn for each in block.steps[step].inputs if each.parentID == one.parentID)
    changed = at(block.steps[step].derivations, one, replace(one, events=one.events + 1))
    return withStep(block, step, derivations=changed), Finding.WRONG_EVENTS, name


def eventsWrittenDiffer(block, step, number):
    one = pick(block.steps[step].products, number)
    changed = at(block.steps[step].products, one, replace(one, events=one.events - 1))
    return withStep(block, step, products=changed), Finding.WRONG_EVENTS, one.lfn


def announcedDiffer(block, step, number):
    one = pick(block.steps[step].inputs, number)
    changed = at(block.steps[step].inputs, one, replace(one, events=one.events + 7))
    return withStep(block, step, inputs=changed), Finding.WRONG_EVENTS, one.lfn


def inputsOutOfOrder(block, step, number):
    byProduct = {}
    for each in block.steps[step].derivations:
        byProduct.setdefault(each.productID, []).append(each)
    several = [made for made in byProduct.values() if len(made) > 1]
    if not several:
        return None
    made = pick(several, number)
    swapped = {made[0].parentID: made[1].position, made[1].parentID: made[0].position}
    changed = [
        replace(each, position=swapped[each.parentID]) if each in made[:2] else each for each in block.steps[step].derivations
    ]
    name = next(each.lfn for each in block.steps[step].products if each.productID == made[0].productID)
    return withStep(block, step, derivations=changed), Finding.WRONG_ORDER, name


def rangeDiffers(block, step, number):
    one = pick(block.steps[step].products, number)
    changed = at(block.steps[step].products, one, replace(one, last=(8, 0)))
    return withStep(block, step, products=changed), Finding.WRONG_ORDER, one.lfn


def parentsLost(block, step, number):
    one = pick(block.steps[step].products, number)
    left = [each for each in block.steps[step].derivations if each.productID != one.productID]
    return withStep(block, step, derivations=left), Finding.WITHOUT_PARENT, one.lfn


def rowLost(block, step, number):
    """The whole record of an output: catalogue and storage still have it."""
    candidates = [each for each in block.steps[step].products if each.state == REGISTERED]
    if not candidates:
        return None
    one = pick(candidates, number)
    left = [each for each in block.steps[step].products if each is not one]
    made = [each for each in block.steps[step].derivations if each.productID != one.productID]
    if step == 0:  # the merge had it as an input
        inputs = [each for each in block.steps[1].inputs if each.parentID != one.productID]
        changed = withStep(withStep(block, 0, products=left, derivations=made), 1, inputs=inputs)
        return changed, Finding.NO_PRODUCT, one.lfn
    inputs = [each for each in block.steps[2].inputs if each.parentID != one.productID]
    changed = withStep(withStep(block, 1, products=left, derivations=made), 2, inputs=inputs)
    return changed, Finding.NO_PRODUCT, one.lfn


def recordLost(block, step, number):
    lfn = pick(sorted(block.catalogue), number)
    return withEntry(block, lfn, None), Finding.NOT_CATALOGUED, lfn


def replicasLost(block, step, number):
    lfn = pick(sorted(block.catalogue), number)
    return withEntry(block, lfn, replace(block.catalogue[lfn], replicas=frozenset())), Finding.NOT_CATALOGUED, lfn


def recordDiffers(block, step, number):
    lfn = pick(sorted(block.catalogue), number)
    entry = block.catalogue[lfn]
    changes = {"sizeBytes": entry.sizeBytes + 1} if number % 2 else {"checksum": "deadbeef"}
    return withEntry(block, lfn, replace(entry, **changes)), Finding.CATALOGUE_DIFFERS, lfn


def bytesLost(block, step, number):
    se = pick([se for se, site in block.storages.items() if site.files], number)
    lfn = pick(sorted(block.storages[se].files), number)
    site = block.storages[se]
    lost = withSite(block, se, files={**site.files, lfn: StoredFile(None)}, listed=site.listed - {lfn})
    return lost, Finding.MISSING, lfn


def bytesCut(block, step, number):
    se = pick([se for se, site in block.storages.items() if site.files], number)
    lfn = pick(sorted(block.storages[se].files), number)
    file = block.storages[se].files[lfn]
    cut = {**block.storages[se].files, lfn: replace(file, sizeBytes=file.sizeBytes - 1)}
    return withSite(block, se, files=cut), Finding.WRONG_SIZE, lfn


def bytesRotten(block, step, number):
    se = pick([se for se, site in block.storages.items() if site.files], number)
    lfn = pick(sorted(block.storages[se].files), number)
    rotten = {**block.storages[se].files, lfn: replace(block.storages[se].files[lfn], checksum="0badf00d")}
    return withSite(block, se, files=rotten), Finding.WRONG_CHECKSUM, lfn


def strangeFile(block, step, number):
    se, lfn = pick((SOURCE, OTHER, DESTINATION), number), "/juno/esd/merge/strange.esd"
    return withSite(block, se, listed=block.storages[se].listed | {lfn}), Finding.EXTRA, lfn


def darkCopy(block, step, number):
    """A piece of an upload that failed over to another storage."""
    lfn = pick(sorted(lfn for lfn in block.catalogue), number)
    free = [se for se in (SOURCE, OTHER) if se not in block.catalogue[lfn].replicas]
    se = pick(free, number)
    return withSite(block, se, listed=block.storages[se].listed | {lfn}), Finding.EXTRA, lfn


def strangeRecord(block, step, number):
    lfn = "/juno/esd/rawrec/strange.esd"
    entry = replace(pick(block.catalogue.values(), number))
    return replace(block, catalogue={**block.catalogue, lfn: entry}), Finding.NO_PRODUCT, lfn


def retiredComesBack(block, step, number):
    retired = [each for each in block.steps[0].products if each.state == RETIRED]
    if not retired:
        return None
    lfn = pick(retired, number).lfn
    return withSite(block, OTHER, listed=block.storages[OTHER].listed | {lfn}), Finding.STILL_THERE, lfn


def ancestorLost(block, step, number):
    lfn = pick(sorted(block.ancestors), number)
    retired = {each.lfn for each in block.steps[0].products if each.state == RETIRED}
    ancestors = block.ancestors[lfn]
    lost = pick(sorted(ancestors.keys() - retired), number)
    left = {name: depth for name, depth in ancestors.items() if name != lost}
    return replace(block, ancestors={**block.ancestors, lfn: left}), Finding.MISSING_ANCESTOR, lfn


def strangeAncestor(block, step, number):
    lfn = pick(sorted(block.ancestors), number)
    more = {**block.ancestors[lfn], "/juno/rtraw/strange.rtraw": 1}
    return replace(block, ancestors={**block.ancestors, lfn: more}), Finding.WRONG_ANCESTOR, lfn


def copyLost(block, step, number):
    lfn = pick([each.lfn for each in block.steps[2].inputs], number)
    entry = block.catalogue[lfn]
    return withEntry(block, lfn, replace(entry, replicas=entry.replicas - {DESTINATION})), Finding.MISSING_COPY, lfn


def givenUp(block, step, number):
    one = pick(block.steps[step].inputs, number)
    product = next(each.productID for each in block.steps[step].derivations if each.parentID == one.parentID)
    left = [each for each in block.steps[step].derivations if each.productID != product]
    recoveries = {(one.parentID, ""): AuditedRecovery(GIVEN_UP, 5, "CorruptInput", "adler32 differs")}
    return withStep(block, step, derivations=left, recoveries=recoveries), Finding.GIVEN_UP, one.lfn


LIES = [
    derivationLost, derivationTwice, strangeParent, eventsReadDiffer, eventsWrittenDiffer, announcedDiffer, inputsOutOfOrder,
    rangeDiffers, parentsLost, rowLost, recordLost, replicasLost, recordDiffers, bytesLost, bytesCut, bytesRotten, strangeFile,
    darkCopy, strangeRecord, retiredComesBack, ancestorLost, strangeAncestor, copyLost, givenUp,
]  # fmt: skip


@given(shapes)
def test_what_all_witnesses_agree_on_is_exact(shape):
    outcome = auditBlock(agreeing(shape))
    assert outcome.verdict is AuditVerdict.EXACT
    assert {each.kind for each in outcome.findings} <= REMARKS
    events = sum(events for _, events in shape.files)
    assert [(step.eventsAnnounced, step.eventsRead, step.eventsOut) for step in outcome.steps[:2]] == [(events,) * 3] * 2


@pytest.mark.parametrize("lie", LIES)
@settings(max_examples=40)
@given(shape=shapes, step=st.integers(0, 1), number=st.integers(0, 50))
def test_any_single_lie_of_any_witness_is_found_and_named(lie, shape, step, number):
    told = lie(agreeing(shape), step, number)
    if told is None:
        return
    block, kind, name = told
    outcome = auditBlock(block)
    assert outcome.verdict is AuditVerdict.OFF
    assert name in {each.lfn for each in outcome.findings if each.kind is kind}, outcome.findings


@given(shape=shapes, who=st.sampled_from(["catalogue", "ancestors", SOURCE, OTHER, DESTINATION, "listing", "TS", "copies"]))
def test_a_witness_that_does_not_tell_is_never_taken_for_agreement_or_loss(shape, who):
    block = agreeing(shape)
    if who in ("catalogue", "ancestors"):
        silent = replace(block, **{who: None})
    elif who == "listing":
        silent = withSite(block, SOURCE, listed=None)
    elif who == "TS":
        silent = withStep(block, 0, statuses={"": None})
    elif who == "copies":
        silent = replace(block, failures=["the storage is away"])
    else:
        silent = replace(block, storages={**block.storages, who: SiteWitness({}, None, "it is away")})
    assert auditBlock(silent).verdict is AuditVerdict.UNANSWERED


def test_what_is_not_done_yet_is_unfinished_and_not_off():
    block, first = agreeing(), agreeing().steps[0].inputs[0]
    product = next(each for each in block.steps[0].derivations if each.parentID == first.parentID).productID
    young = withStep(
        block,
        0,
        inputs=[replace(first, parentID=50, lfn="/juno/rtraw/new.rtraw", isAttached=False), *block.steps[0].inputs],
    )
    assert auditBlock(young).kinds == {Finding.NOT_ATTACHED: 1}
    taken = replace(first, parentID=50, lfn="/juno/rtraw/new.rtraw")
    statuses = {"": {**block.steps[0].statuses[""], taken.lfn: "Assigned"}}
    working = withStep(block, 0, inputs=[taken, *block.steps[0].inputs], statuses=statuses)
    assert auditBlock(working).kinds == {Finding.NOT_PROCESSED: 1}
    committed = at(
        block.steps[0].products,
        next(each for each in block.steps[0].products if each.productID == product),
        replace(next(each for each in block.steps[0].products if each.productID == product), state=COMMITTED),
    )
    assert auditBlock(withStep(block, 0, products=committed)).verdict is AuditVerdict.UNFINISHED
    behind = {"": {**block.steps[0].statuses[""], first.lfn: "Assigned"}}
    assert auditBlock(withStep(block, 0, statuses=behind)).kinds == {Finding.STATUS_BEHIND: 1}


def test_a_file_that_a_job_may_be_writing_is_no_extra_file_until_its_attempt_is_over():
    block = withSite(agreeing(), SOURCE, listed=agreeing().storages[SOURCE].listed | {"/juno/esd/rawrec/t.1.esd"})
    assert auditBlock(block).verdict is AuditVerdict.OFF
    assert auditBlock(replace(block, underWay=frozenset({"/juno/esd/rawrec/t.1.esd"}))).kinds == {Finding.LEFT_BEHIND: 1}


def test_what_a_person_waived_is_told_and_is_no_fault():
    block, _, name = givenUp(agreeing(), 1, 0)
    recoveries = {key: replace(each, state=WAIVED) for key, each in block.steps[1].recoveries.items()}
    waived = withStep(block, 1, recoveries=recoveries)
    assert name in {each.lfn for each in auditBlock(waived).findings if each.kind is Finding.WAIVED}
    assert Finding.GIVEN_UP not in auditBlock(waived).kinds


def test_every_finding_has_one_weight():
    assert WRONG | UNFINISHED | REMARKS | {Finding.UNANSWERED} == set(Finding)
    assert len(WRONG) + len(UNFINISHED) + len(REMARKS) + 1 == len(Finding)
    assert verdictOf({}) is AuditVerdict.EXACT
    assert verdictOf({Finding.UNANSWERED: 1, Finding.NOT_PROCESSED: 1}) is AuditVerdict.UNANSWERED
    assert verdictOf({Finding.UNANSWERED: 1, Finding.EXTRA: 1}) is AuditVerdict.OFF
