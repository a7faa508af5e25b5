"""The judge of chains finds each kind of loss, in facts that are right but for one thing."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import replace

import pytest
from junotestbed.chainjudge import ChainFacts, Damaged, Entry, InputFile, StoredFile, eventsOf, judge

pytestmark = pytest.mark.unit

SITES = ("A", "B")
STREAMS = {"CALIB": 0, "PHYSICS": 100}


def event(number: int, run: int = 7) -> tuple[int, int, bytes]:
    return run, number, hashlib.sha256(f"{run} {number}".encode()).digest()


def inputFile(stream: str, number: int) -> InputFile:
    """The first has events 1 to 3, the second 4 to 6, ..."""
    first = STREAMS[stream] + 3 * number + 1
    return InputFile(f"/in/{stream}.{number}", stream, tuple(event(first + i) for i in range(3)))


INPUTS = {stream: [inputFile(stream, number) for number in range(4)] for stream in STREAMS}


def output(step: str, name: str, files: list[InputFile], ses=SITES, parts=()) -> tuple[Entry, list[StoredFile]]:
    events = tuple(each for file in files for each in file.events)
    lfn, ancestors = f"/out/{step}/{name}", frozenset(file.lfn for file in files) | frozenset(parts)
    entry = Entry(lfn, step, 10 * len(events), "12345678", frozenset(ses), ancestors)
    return entry, [StoredFile(se, lfn, step, entry.sizeBytes, entry.checksum, events) for se in ses]


def factsOf(*outputs: tuple[Entry, list[StoredFile]], **changes: object) -> ChainFacts:
    inputs = [file for files in INPUTS.values() for file in files]
    stored = [file for _, files in outputs for file in files]
    base = ChainFacts(inputs, [entry for entry, _ in outputs], stored, "merge", ("rec",), True, SITES)
    return replace(base, **changes)


def merged(*changes) -> list[tuple[Entry, list[StoredFile]]]:
    """Two merged files of each stream, but for those that are given, which take the place of the first ones."""
    right = [
        output("merge", f"{stream}.{half}", files[2 * half : 2 * half + 2]) for stream, files in INPUTS.items() for half in (0, 1)
    ]
    return [*changes, *right[len(changes) :]]


def problemsOf(*outputs: tuple[Entry, list[StoredFile]], **changes: object) -> dict[str, list[str]]:
    return judge(factsOf(*outputs, **changes)).problems


CALIB = INPUTS["CALIB"]


def test_exact_facts_have_no_problem_and_are_counted():
    verdict = judge(factsOf(*merged()))
    assert verdict.problems == {}
    assert (verdict.inputs, verdict.events, verdict.mergedFiles, verdict.eventsMerged) == (8, 24, 4, 24)
    assert "exact" in verdict.toText()


def test_a_file_that_is_in_no_merged_file_is_lost():
    assert problemsOf(*merged(output("merge", "CALIB.0", CALIB[:1]))) == {"lost": [CALIB[1].lfn]}


def test_one_lost_event_is_found_and_named():
    cut = replace(CALIB[1], events=CALIB[1].events[:-1])
    problems = problemsOf(*merged(output("merge", "CALIB.0", [CALIB[0], cut])))
    assert problems == {"lost": [CALIB[1].lfn], "partly": [f"{CALIB[1].lfn}: 1 of 3 events, the first is event 6 of run 7"]}


def test_a_file_in_two_merged_files_is_twice_though_the_catalogue_says_nothing_of_it():
    second = output("merge", "CALIB.1", CALIB[1:])
    problems = problemsOf(*merged(output("merge", "CALIB.0", CALIB[:2]), second))
    assert problems["twice"] == [f"{CALIB[1].lfn}: 3 of 3 events, the first is event 4 of run 7"]
    assert len(problems["overlap"]) == 1


def test_an_event_with_the_data_of_another_one_is_foreign_and_the_right_one_is_lost():
    changed = replace(CALIB[1], events=(*CALIB[1].events[:2], (7, 6, b"other")))
    problems = problemsOf(*merged(output("merge", "CALIB.0", [CALIB[0], changed])))
    assert problems.keys() == {"lost", "partly", "foreign"}
    assert "event 6 of run 7" in problems["foreign"][0]


def test_events_that_are_not_in_order_inside_a_merged_file_are_found():
    problems = problemsOf(*merged(output("merge", "CALIB.0", [CALIB[1], CALIB[0]])))
    assert problems == {"disorder": ["/out/merge/CALIB.0: event 1 of run 7 follows event 6 of run 7"]}


def test_merged_files_whose_ranges_overlap_are_found():
    outputs = merged(output("merge", "CALIB.0", [CALIB[0], CALIB[2]]), output("merge", "CALIB.1", [CALIB[1], CALIB[3]]))
    assert problemsOf(*outputs).keys() == {"overlap"}


def test_a_merged_file_of_two_streams_is_found():
    mixed = output("merge", "CALIB.0", [*CALIB, INPUTS["PHYSICS"][0]])
    rest = output("merge", "PHYSICS", INPUTS["PHYSICS"][1:])
    assert problemsOf(mixed, rest)["disorder"] == ["/out/merge/CALIB.0 has events of CALIB, PHYSICS"]


def test_a_merged_file_that_is_not_at_a_destination_is_found():
    assert problemsOf(*merged(output("merge", "CALIB.0", CALIB[:2], ses=("A",)))) == {"missing": ["/out/merge/CALIB.0 at B"]}


@pytest.mark.parametrize("change", [{"sizeBytes": 1}, {"checksum": "00000000"}])
def test_a_replica_with_other_bytes_than_the_catalogue_says_is_wrong(change):
    entry, (first, second) = output("merge", "CALIB.0", CALIB[:2])
    problems = problemsOf(*merged((entry, [first, replace(second, **change)])))
    assert problems.keys() == {"wrong"}
    assert problems["wrong"][0].startswith("/out/merge/CALIB.0 at B")


def test_a_replica_that_the_storage_does_not_have_is_wrong():
    entry, (first, _) = output("merge", "CALIB.0", CALIB[:2])
    assert "nothing" in problemsOf(*merged((entry, [first])))["wrong"][0]


def test_a_merged_file_without_any_good_replica_does_not_count():
    entry, stored = output("merge", "CALIB.0", CALIB[:2])
    problems = problemsOf(*merged((entry, [replace(file, checksum="0") for file in stored])))
    assert problems["lost"] == [CALIB[0].lfn, CALIB[1].lfn]
    assert len(problems["wrong"]) == 2


def test_a_file_that_no_table_knows_is_an_orphan_and_does_not_count():
    orphan = output("merge", "stray", CALIB[:2], ses=("B",))[1]
    facts = factsOf(*merged())
    assert judge(replace(facts, stored=[*facts.stored, *orphan])).problems == {"orphans": ["/out/merge/stray at B"]}


def test_a_missing_ancestor_is_found():
    entry, stored = output("merge", "CALIB.0", CALIB[:2])
    changed = replace(entry, ancestors=frozenset({CALIB[0].lfn}))
    assert problemsOf(*merged((changed, stored))) == {"ancestors": [f"/out/merge/CALIB.0 lacks {CALIB[1].lfn}"]}


def test_an_ancestor_whose_events_are_not_there_is_found():
    entry, stored = output("merge", "CALIB.0", CALIB[:2])
    changed = replace(entry, ancestors=entry.ancestors | {CALIB[3].lfn})
    assert problemsOf(*merged((changed, stored))).keys() == {"ancestors"}


def test_parts_that_should_be_gone_are_found_in_the_catalogue_and_on_the_storage():
    part = output("rec", "1", CALIB[:2])
    whole, stored = output("merge", "CALIB.0", CALIB[:2], parts=[part[0].lfn])
    assert problemsOf(part, (whole, stored), *merged()[1:]) == {"notRetired": [part[0].lfn]}
    assert problemsOf(part, (whole, stored), *merged()[1:], retires=False, parts=()) == {}
    assert problemsOf(*merged(), stored=[*factsOf(*merged()).stored, *part[1]]).keys() == {"orphans"}


def test_parts_that_are_kept_have_each_file_once_and_are_ancestors():
    halves = {(s, h): files[2 * h : 2 * h + 2] for s, files in INPUTS.items() for h in (0, 1)}
    parts = {key: output("rec", f"{key}", files) for key, files in halves.items()}
    wholes = [output("merge", f"{key}", files, parts=[parts[key][0].lfn]) for key, files in halves.items()]
    assert problemsOf(*parts.values(), *wholes, retires=False) == {}
    double = output("rec", "again", CALIB[:2])
    problems = problemsOf(*parts.values(), double, *wholes, retires=False)
    assert problems["parts"] == [f"{file.lfn} is not exactly once in the outputs of rec" for file in CALIB[:2]]


def test_files_of_a_transformation_in_no_final_state_are_told():
    assert problemsOf(*merged(), unsettled=["/in/CALIB.0 is Assigned"]) == {"unsettled": ["/in/CALIB.0 is Assigned"]}


# ---- bytes


def record(run: int, number: int, payload: bytes) -> bytes:
    body = struct.pack("<IQI", run, number, len(payload)) + payload
    return body + struct.pack("<I", zlib.crc32(body))


FILE = b"JUNO-EVENTS 1\n" + record(7, 1, b"one") + record(7, 2, b"") + record(0xFFFFFFFF, 2, b"")


def test_events_are_read_with_the_digest_of_their_data():
    assert eventsOf(FILE, False) == ((7, 1, hashlib.sha256(b"one").digest()), (7, 2, hashlib.sha256(b"").digest()))


def test_a_reconstructed_event_is_known_by_the_digest_that_it_carries():
    digest = hashlib.sha256(b"data").digest()
    assert eventsOf(b"JUNO-EVENTS 1\n" + record(7, 1, digest + b"rest") + record(0xFFFFFFFF, 1, b""), True) == ((7, 1, digest),)


def test_a_file_is_read_as_the_programs_of_jobs_read_it(tmp_path):
    from JUNODIRAC.Workflow.Programs.EventRecords import RecordReader

    (tmp_path / "f").write_bytes(FILE)
    assert [tuple(each.key) for each in RecordReader(tmp_path / "f")] == [each[:2] for each in eventsOf(FILE, False)]


@pytest.mark.parametrize("length", range(len(FILE)))
def test_a_file_that_is_cut_anywhere_is_damaged(length):
    with pytest.raises(Damaged):
        eventsOf(FILE[:length], False)


@pytest.mark.parametrize("at", range(len(FILE)))
def test_a_file_with_one_other_byte_anywhere_is_damaged(at):
    with pytest.raises(Damaged):
        eventsOf(FILE[:at] + bytes([FILE[at] ^ 0xFF]) + FILE[at + 1 :], False)


def test_a_file_with_something_after_its_end_is_damaged():
    with pytest.raises(Damaged):
        eventsOf(FILE + b"x", False)


def test_two_files_with_the_same_event_cannot_be_judged():
    with pytest.raises(ValueError, match="nobody could tell"):
        judge(factsOf(*merged(), inputs=[CALIB[0], replace(CALIB[1], events=CALIB[0].events)]))
