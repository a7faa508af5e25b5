"""Why a block is where it is: its files, its sites, how it is closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from fakes import raw_policy
from whycases import (
    ARRIVED,
    BLOCK,
    BLOCK_SITE,
    COPY_FAILED,
    COPYING,
    JUST_NOW,
    LIVING,
    LONG_AGO,
    NOW,
    PAUSE,
    RECEIVER,
    SE,
    SITE,
    UNUSED,
    atSite,
    inState,
    refused,
    validation,
)

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Explanation import Link, LinkState, Role, Stage, Verdict
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.TransferFacts import TransferFacts
from JUNODIRAC.Core.Domain.Validation import Difference
from JUNODIRAC.Core.Domain.Validation import Verdict as Found
from JUNODIRAC.Core.Domain.WhyFacts import BlockFacts, GivenUp, RefusedFiles, SiteFacts
from JUNODIRAC.Core.Logic.ExplainBlock import explainBlock

pytestmark = pytest.mark.unit

REGISTERED = {FileState.REGISTERED: 3}


def verdict(facts: BlockFacts) -> Verdict:
    return explainBlock(facts, NOW).verdict


def linkOf(facts: BlockFacts, stage: Stage, atSite: bool = False) -> Link:
    explanation = explainBlock(facts, NOW)
    links = explanation.sites[0].links if atSite else explanation.shared.links
    return next(link for link in links if link.stage is stage)


def withSite(**more: object) -> BlockFacts:
    return replace(BLOCK, sites=(replace(BLOCK_SITE, **more),))


def file(name: str, transfer: TransferFacts) -> SiteFacts:
    return atSite(replace(transfer, lfn=name), lfn=name)


# ---- files


def test_quarantined_files_are_told_by_reason_with_the_remedy_and_the_command_for_all_of_them():
    counts = {FileState.REGISTERED: 3, FileState.QUARANTINED: 5}
    reasons = (RefusedFiles("TooLarge", 4, refused("TooLarge", 21)), RefusedFiles("ZeroSize", 1, refused("ZeroSize", 22)))
    explanation = explainBlock(replace(BLOCK, fileCounts=counts, refused=reasons), NOW)
    first, second = explanation.shared.links[:2]
    assert "4 files quarantined as TooLarge" in first.text
    assert first.action.command.startswith("dirac-juno-quarantine replay --code TooLarge --block 20230302 --type Raw --reason")
    assert second.action.command == "dirac-juno-quarantine show 22"
    assert explanation.verdict.link == first


def test_files_on_their_way_into_the_catalogue_are_waited_for_unless_the_receiver_is_dead():
    counts = {FileState.REGISTERED: 3, FileState.WAITING: 2, FileState.ANNOUNCED: 1}
    on = replace(BLOCK, fileCounts=counts, oldestUnsettled=JUST_NOW)
    link = linkOf(on, Stage.LEDGER)
    assert (link.state, link.code, link.time) == (LinkState.WAITS, "Unsettled", JUST_NOW)
    assert "1 file announced and not yet registered, 2 files not yet visible" in link.text
    dead = verdict(replace(on, receivers=(replace(RECEIVER, heartbeatTime=LONG_AGO),)))
    assert (dead.state, dead.link.code) == (LinkState.BROKEN, "ReceiverTrouble")


# ---- sites


def test_the_file_that_shows_the_trouble_best_is_the_example_and_all_are_counted_by_link():
    files = [file("/a", COPYING), file("/b", UNUSED), file("/c", COPYING), file("/d", COPY_FAILED), file("/e", ARRIVED)]
    chain = explainBlock(withSite(files=files, done=1, unfinished=4), NOW).sites[0]
    assert chain.example == "/d"
    assert any(link.code == "CopyFailed" for link in chain.exampleLinks)
    found = [(each.stage, each.code, each.files) for each in chain.standings]
    assert found == [
        (Stage.TRANSFORMATION, "WaitsForGroup", 1),
        (Stage.FTS, "Copying", 2),
        (Stage.FTS, "CopyFailed", 1),
    ]
    assert chain.verdict.link.action.party == SE


def test_where_all_wait_the_file_that_is_furthest_behind_is_the_example():
    files = [file("/a", COPYING), file("/b", UNUSED)]
    chain = explainBlock(withSite(files=files, done=1, unfinished=2, etaSeconds=700), NOW).sites[0]
    assert chain.example == "/b"
    assert "1 of 3 files are at CNAF-STORM, about 11 m 40 s to go" in chain.verdict.link.text
    assert chain.verdict.state is LinkState.WAITS


def test_a_site_without_progress_for_too_long_is_overdue():
    facts = withSite(files=[file("/a", COPYING)], done=1, unfinished=2, overdueSince=LONG_AGO)
    found = verdict(facts)
    assert (found.state, found.link.code, found.link.time) == (LinkState.BROKEN, "Overdue", LONG_AGO)
    assert found.link.text.startswith("overdue, 1 of 3 files are at CNAF-STORM")
    assert "dirac-juno-block retransfer" in found.link.action.command


def test_what_is_broken_is_not_hidden_by_being_overdue():
    facts = withSite(files=[file("/a", COPY_FAILED)], done=1, unfinished=2, overdueSince=LONG_AGO)
    assert verdict(facts).link.code == "CopyFailed"


def test_a_paused_site_is_told_with_who_paused_it():
    found = verdict(withSite(pause=PAUSE, done=1, unfinished=2))
    assert (found.state, found.link.code, found.se) == (LinkState.WAITS, "SitePaused", SE)
    assert "zhang until 2023-03-04 13:00:00" in found.link.text


def test_files_that_were_given_up_are_grouped_by_class_and_have_who_helps():
    given = (GivenUp("DestinationFull", 2, "no space left"), GivenUp("SourceMissing", 1, "no such file"))
    chain = explainBlock(withSite(givenUp=given, done=0, unfinished=3), NOW).sites[0]
    told = [link for link in chain.links if link.code == "GivenUp"]
    assert [link.ids["Files"] for link in told] == [2, 1]
    assert told[0].action.party == SE
    assert told[1].action.party == raw_policy().sourceSE
    assert chain.verdict.link == told[0]


def test_a_service_that_does_not_answer_is_named_and_the_other_links_are_shown():
    down = {"DataManagement/FileCatalog": "connection refused"}
    explanation = explainBlock(withSite(done=None, unavailable=down), NOW)
    assert explanation.verdict.state is LinkState.UNKNOWN
    assert "DataManagement/FileCatalog could not be asked: connection refused" in explanation.verdict.link.text
    assert {link.stage for link in explanation.sites[0].links} == {
        Stage.TRANSFORMATION, Stage.COPIES, Stage.VALIDATION, Stage.BLOCK
    }  # fmt: skip


def test_a_stopped_transformation_with_files_does_not_hold():
    found = verdict(withSite(transformationStatus="Stopped", fileCounts={"Unused": 2}, done=1, unfinished=2))
    assert (found.link.code, found.link.action.role) == ("TransformationRests", Role.DATA_MANAGER)


# ---- closing


def openBlock(expected: int | None = None, **more: object) -> BlockFacts:
    return replace(BLOCK, block=replace(LIVING, expectedFiles=expected, expectedTime=LONG_AGO), **more)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (openBlock(day=NOW.date()), "its day is over at 2023-03-05 00:00:00"),
        (openBlock(day=LONG_AGO.date() - timedelta(days=2), lastAnnounced=JUST_NOW), "it is closed at 2023-03-04 17:59:40"),
        (openBlock(expected=5, lastAnnounced=JUST_NOW), "5 files were declared, 2 of them are not announced yet"),
        (openBlock(policy=raw_policy(CloseBy="Operator")), "only dirac-juno-block close 20230302 --type Raw closes it"),
        (openBlock(policy=raw_policy(CloseBy="EndOfBlock")), "no end-of-block announcement came; only that closes it"),
        (openBlock(fileCounts={FileState.REGISTERED: 3, FileState.ANNOUNCED: 1}), "while 1 announced file"),
        (openBlock(policy=None), "the configuration of Type Raw cannot be read"),
    ],
)
def test_an_open_block_says_what_closing_waits_for(facts, said):
    link = linkOf(facts, Stage.CLOSING)
    assert (link.state, link.code) == (LinkState.WAITS, "Open")
    assert said in link.text


@pytest.mark.parametrize(
    "facts", [openBlock(expected=3, lastAnnounced=JUST_NOW), openBlock(lastAnnounced=NOW - timedelta(hours=7))]
)
def test_a_block_that_should_be_closed_by_now_shows_that_the_block_agent_does_not_work(facts):
    found = verdict(facts)
    assert found.link.code == "BlockAgentLate"
    assert found.link.action.command == "dirac-restart-component RawData BlockAgent"


@pytest.mark.parametrize(("expected", "code"), [(5, "MissingFiles"), (2, "SurplusFiles")])
def test_a_closed_block_with_another_number_of_files_than_declared_is_a_matter_of_the_source(expected, code):
    facts = inState(BlockState.CLOSED, BlockState.REPLICATED)
    facts = replace(facts, block=replace(facts.block, expectedFiles=expected, closedBy="zhang"))
    found = verdict(facts)
    assert (found.link.code, found.link.action.role) == (code, Role.SOURCE)
    assert "dirac-juno-gaps --block 20230302 --type Raw" in found.link.action.command


# ---- after the copies


def test_a_replicated_site_waits_for_its_validation():
    found = verdict(inState(BlockState.REPLICATED, BlockState.REPLICATED))
    assert (found.state, found.link.stage, found.link.code) == (LinkState.WAITS, Stage.VALIDATION, "NotValidated")


def test_a_bad_validation_of_the_present_copies_is_handed_to_the_repair():
    bad = validation(Found.BAD, JUST_NOW, counts={Difference.MISSING: 1}, names={Difference.MISSING: ["/a"]})
    found = verdict(inState(BlockState.REPLICATED, BlockState.REPLICATED, validation=bad))
    assert (found.state, found.link.code, found.link.action.role) == (LinkState.BROKEN, "ValidationBad", Role.NOBODY)
    assert "1 missing" in found.link.text


def test_a_bad_validation_of_earlier_copies_is_history():
    bad = validation(Found.BAD, LONG_AGO - timedelta(hours=1))
    assert verdict(inState(BlockState.REPLICATED, BlockState.REPLICATED, validation=bad)).link.code == "NotValidated"


def test_an_incomplete_validation_names_the_storage():
    found = verdict(inState(BlockState.REPLICATED, BlockState.REPLICATED, validation=validation(Found.INCOMPLETE, JUST_NOW)))
    assert (found.state, found.link.code) == (LinkState.UNKNOWN, "Incomplete")
    assert found.link.action.party == SE


def test_a_validated_site_says_when_the_second_look_is_due():
    found = verdict(inState(BlockState.VALIDATED, BlockState.VALIDATED, validation=validation(Found.GOOD, JUST_NOW)))
    assert (found.state, found.link.code) == (LinkState.WAITS, "SecondLook")
    assert "2023-03-05 07:00:00" in found.link.text


def test_a_done_block_is_all_right():
    facts = inState(BlockState.DONE, BlockState.DONE, validation=validation(Found.GOOD, JUST_NOW))
    found = verdict(facts)
    assert (found.state, found.link.code, found.link.time) == (LinkState.HOLDS, "Done", LONG_AGO)


def test_a_done_block_whose_copy_was_found_bad_is_not_all_right():
    bad = validation(Found.BAD, JUST_NOW, counts={Difference.WRONG_CHECKSUM: 1})
    assert verdict(inState(BlockState.DONE, BlockState.DONE, validation=bad)).link.code == "ValidationBad"


def test_a_problem_is_told_with_its_reason():
    facts = inState(BlockState.PROBLEM, BlockState.PROBLEM)
    site = replace(facts.sites[0].site, problem="GivenUpFiles: 2 files")
    facts = replace(facts, sites=(replace(facts.sites[0], site=site),))
    found = verdict(facts)
    assert (found.state, found.link.code) == (LinkState.BROKEN, "SiteProblem")
    assert "GivenUpFiles: 2 files" in found.link.text


def test_a_closed_site_with_all_copies_shows_a_block_agent_that_does_not_work():
    found = verdict(inState(BlockState.CLOSED, BlockState.CLOSED))
    assert (found.link.code, found.se) == ("BlockAgentLate", SE)


def test_a_block_that_was_never_opened_waits_for_its_first_good_announcement():
    facts = replace(BLOCK, state=BlockState.KNOWN, block=None, sites=(replace(BLOCK_SITE, site=None),), fileCounts={})
    found = verdict(facts)
    assert found.state is LinkState.WAITS


def test_a_destination_that_the_block_has_no_transfer_to_is_told():
    facts = replace(BLOCK, sites=(BLOCK_SITE, replace(BLOCK_SITE, se="JINR-EOS", site=None)))
    found = verdict(facts)
    assert (found.link.code, found.se) == ("NoTransfer", "JINR-EOS")
    assert SITE.se == SE


def test_a_paused_site_is_not_called_overdue():
    facts = withSite(files=[atSite(UNUSED, pause=PAUSE)], done=1, unfinished=2, overdueSince=LONG_AGO, pause=PAUSE)
    assert verdict(facts).link.code == "SitePaused"


def test_an_open_block_with_all_copies_waits_for_its_closing():
    found = verdict(openBlock(day=NOW.date()))
    assert (found.state, found.link.stage) == (LinkState.WAITS, Stage.CLOSING)


def test_a_pause_is_of_no_account_for_a_block_that_has_nothing_left_to_copy():
    assert verdict(replace(withSite(pause=PAUSE), day=NOW.date())).link.stage is Stage.CLOSING


@pytest.mark.parametrize(
    ("facts", "command"),
    [
        (withSite(overdueSince=LONG_AGO), "dirac-juno-block close 20230302 --type Raw"),
        (inState(BlockState.REPLICATED, BlockState.REPLICATED, overdueSince=LONG_AGO), "RawData BlockValidationAgent"),
    ],
)
def test_what_is_overdue_without_a_reason_names_what_should_have_gone_on(facts, command):
    found = verdict(facts)
    assert (found.state, found.link.code) == (LinkState.BROKEN, "Overdue")
    assert command in found.link.action.command
