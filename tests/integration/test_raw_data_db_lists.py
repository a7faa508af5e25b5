"""Refused announcements as people list them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ledgertools import makeFile, makeQuarantined, quarantineIDs

from JUNODIRAC.Core.Domain.Reason import Reason


def quarantined(ledger, typeName, file, *offsets, **changes) -> list[int]:
    ledger.recordQuarantined([makeQuarantined(typeName, offset, file, **changes) for offset in offsets])
    return quarantineIDs(ledger, typeName)


def test_a_list_has_what_every_filter_chooses_and_counts_the_same(ledger, typeName):
    quarantined(ledger, typeName, makeFile(typeName, 1, block="a"), 1, reason=Reason.ZERO_SIZE)
    quarantined(ledger, typeName, makeFile(typeName, 2, block="b"), 2, reason=Reason.TOO_LARGE)
    quarantined(ledger, typeName, None, 3, fileName="50%_off.dat")
    ids = quarantined(ledger, typeName, None, 4, fileName="50 off.dat")
    ledger.closeQuarantined(ids[3:], "Dropped", "prod")
    now = datetime.now(UTC)
    for wanted, chosen in (
        (ids[:3], {}),
        (ids, {"states": ()}),
        (ids[3:], {"states": ("Dropped", "Waived")}),
        (ids[:1], {"code": "ZeroSize"}),
        (ids[1:2], {"block": "b"}),
        (ids[2:3], {"fileName": "50%_off*", "states": ()}),
        (ids[2:], {"fileName": "50*.dat", "states": ()}),
        (ids[:1], {"fileName": "Daq.123.Physics.0000?.dat", "block": "a"}),
        (ids[:3], {"since": now - timedelta(minutes=5), "until": now + timedelta(minutes=5)}),
        ([], {"since": now + timedelta(minutes=5)}),
        ([], {"until": now - timedelta(minutes=5)}),
    ):
        found = ledger.readQuarantineList(typeName=typeName, **chosen)
        assert [record.quarantineID for record in found] == wanted, chosen
        assert sum(ledger.countQuarantineList(typeName=typeName, **chosen).values()) == len(wanted), chosen


def test_pages_of_a_list_give_each_record_once_and_the_newest_can_be_asked_for(ledger, typeName):
    ids = quarantined(ledger, typeName, None, *range(7))
    pages, after = [], 0
    while page := ledger.readQuarantineList(typeName=typeName, limit=3, afterID=after):
        pages += [record.quarantineID for record in page]
        after = pages[-1]
    assert pages == ids
    assert [record.quarantineID for record in ledger.readQuarantineList(typeName=typeName, limit=2, newest=True)] == ids[-2:]


def test_a_record_in_a_list_names_lfn_and_block_of_its_file(ledger, typeName):
    file = makeFile(typeName)
    quarantined(ledger, typeName, file, 1)
    quarantined(ledger, typeName, None, 2)
    named, nameless = ledger.readQuarantineList(typeName=typeName)
    assert (named.lfn, named.block, nameless.lfn, nameless.block) == (file.lfn, file.block, "", "")


def test_records_are_counted_by_reason_and_state(ledger, typeName):
    quarantined(ledger, typeName, makeFile(typeName), 1, 2, reason=Reason.ZERO_SIZE)
    ids = quarantined(ledger, typeName, None, 3, reason=Reason.BAD_NAME)
    ledger.closeQuarantined(ids[1:], "Dropped", "prod")
    assert ledger.countQuarantineStates()[typeName] == {"ZeroSize": {"Open": 1, "Dropped": 1}, "BadName": {"Dropped": 1}}
    assert ledger.countQuarantine()[typeName] == {"ZeroSize": 1}
