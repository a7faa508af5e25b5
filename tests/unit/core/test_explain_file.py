"""Why a file is where it is: each case has its link, its reason, who has to act and what to type."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from fakes import raw_policy
from whycases import (
    ARRIVED,
    AT_SITE,
    COPY_FAILED,
    COPYING,
    FILE,
    GIVEN_UP,
    JUST_NOW,
    LFN,
    LONG_AGO,
    NOT_SUBMITTED,
    NOW,
    ON_ITS_WAY,
    ORIGIN,
    PAUSE,
    RECEIVER,
    REPAIRED,
    REQUEST_WAITING,
    SE,
    UNUSED,
    atSite,
    refused,
    validation,
)

from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.Explanation import LinkState, Role, Stage, Verdict
from JUNODIRAC.Core.Domain.FileState import FileState
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.TransferFacts import CopyState, TransferFacts
from JUNODIRAC.Core.Domain.Validation import Difference
from JUNODIRAC.Core.Domain.Validation import Verdict as Found
from JUNODIRAC.Core.Domain.WhyFacts import OriginFacts, SiteFacts, SourceCopy, WaitingFacts
from JUNODIRAC.Core.Logic.Explain import explainFile

pytestmark = pytest.mark.unit


def verdict(origin: OriginFacts = ORIGIN, *sites: SiteFacts) -> Verdict:
    return explainFile(origin, sites or (AT_SITE,), NOW).verdict


def ofTransfer(transfer: TransferFacts | None, **more: object) -> Verdict:
    return verdict(ORIGIN, atSite(transfer, **more))


def holds(found: Verdict, state: LinkState, stage: Stage, code: str, role: Role, command: str = "") -> bool:
    link = found.link
    assert (link.state, link.stage, link.code) == (state, stage, code), link.text
    assert link.action.role is role, link.text
    assert command in link.action.command, link.action.command
    return True


# ---- from the announcement to the catalogue

UNKNOWN_FILE = replace(ORIGIN, file=None, record=None)


def test_a_file_that_lies_on_the_storage_and_was_never_announced_is_announced_by_the_data_manager():
    found = verdict(replace(UNKNOWN_FILE, source=SourceCopy(True, 2000)))
    command = "dirac-juno-gaps --block 20230302 --type Raw --announce --reason"
    assert holds(found, LinkState.BROKEN, Stage.ANNOUNCEMENT, "NeverAnnounced", Role.DATA_MANAGER, command)
    assert "2000 bytes" in found.link.text


def test_a_file_that_is_nowhere_is_a_matter_of_the_source():
    found = verdict(replace(UNKNOWN_FILE, source=SourceCopy(False)))
    assert holds(found, LinkState.BROKEN, Stage.ANNOUNCEMENT, "NeverWritten", Role.SOURCE, "dirac-juno-gaps")


def test_a_file_whose_announcement_may_be_among_the_unread_messages_is_waited_for():
    found = verdict(replace(UNKNOWN_FILE, lag=12, source=SourceCopy(True, 2000)))
    assert holds(found, LinkState.WAITS, Stage.ANNOUNCEMENT, "Unread", Role.NOBODY)
    assert "12 messages of juno.raw" in found.link.text


@pytest.mark.parametrize(
    ("receivers", "command"),
    [
        ((), "dirac-restart-component RawData RawReceiverAgent"),
        ((replace(RECEIVER, heartbeatTime=LONG_AGO),), "dirac-restart-component RawData RawReceiverAgent"),
        ((replace(RECEIVER, trouble="Kafka is away"),), "dirac-juno-ingest-status --type Raw"),
    ],
)
def test_a_receiver_that_is_dead_or_waits_is_why_messages_are_not_read(receivers, command):
    found = verdict(replace(UNKNOWN_FILE, lag=12, receivers=receivers))
    assert holds(found, LinkState.BROKEN, Stage.ANNOUNCEMENT, "ReceiverTrouble", Role.DATA_MANAGER, command)


def test_a_kafka_that_does_not_answer_leaves_open_whether_the_file_was_announced():
    found = verdict(replace(UNKNOWN_FILE, lag=None, source=SourceCopy(True, 1), unavailable={"Kafka": "no broker answers"}))
    assert holds(found, LinkState.UNKNOWN, Stage.ANNOUNCEMENT, "KafkaUnknown", Role.DATA_MANAGER, "dirac-juno-ingest-status")
    assert "no broker answers" in found.link.text


def test_a_source_storage_that_does_not_answer_is_named():
    found = verdict(replace(UNKNOWN_FILE, source=SourceCopy(None, detail="connection refused")))
    assert holds(found, LinkState.UNKNOWN, Stage.ANNOUNCEMENT, "SourceUnknown", Role.SITE, "dirac-dms-show-se-status")
    assert "connection refused" in found.link.text


def waitingFile(since):
    file = replace(FILE, state=FileState.WAITING, waitingTime=since)
    waits = WaitingFacts("NotOnStorage", "IHEP-JUNOEOS does not have it", since, NOW, 4)
    return replace(ORIGIN, file=file, waiting=waits, policy=raw_policy(GraceSeconds="600"))


def test_an_announced_file_waits_for_its_storage_until_the_grace_is_over():
    found = verdict(waitingFile(JUST_NOW))
    assert holds(found, LinkState.WAITS, Stage.LEDGER, "Waiting", Role.NOBODY)
    assert found.link.time == JUST_NOW
    assert "4 times" in found.link.text


def test_a_file_that_waits_longer_than_its_grace_shows_that_the_receiver_does_not_do_its_work():
    found = verdict(waitingFile(LONG_AGO))
    assert holds(found, LinkState.BROKEN, Stage.LEDGER, "ReceiverLate", Role.DATA_MANAGER, "dirac-juno-ingest-status")


def test_a_file_that_was_just_announced_is_about_to_be_registered():
    file = replace(FILE, state=FileState.ANNOUNCED, announcedTime=JUST_NOW)
    assert holds(verdict(replace(ORIGIN, file=file)), LinkState.WAITS, Stage.LEDGER, "Announced", Role.NOBODY)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_quarantined_file_has_the_remedy_of_its_own_reason(reason):
    file = replace(
        FILE, state=FileState.QUARANTINED, quarantine=(refused(str(reason), 16, state="Retried"), refused(str(reason)))
    )
    link = verdict(replace(ORIGIN, file=file)).link
    assert (link.state, link.stage, link.code) == (LinkState.BROKEN, Stage.LEDGER, "Quarantined")
    assert reason.sentence in link.text
    assert reason.remedy in link.text
    assert link.action.role in (Role.SOURCE, Role.DATA_MANAGER)
    assert "dirac-juno-quarantine" in link.action.command
    assert " 17" in link.action.command


def test_a_refused_announcement_of_which_no_file_could_be_made_is_found_by_its_name():
    found = verdict(replace(UNKNOWN_FILE, refused=(refused("BadPath", lfn=""),)))
    assert holds(found, LinkState.BROKEN, Stage.LEDGER, "Quarantined", Role.DATA_MANAGER, "dirac-juno-quarantine replay 17")


def test_a_waived_file_is_waited_for_no_more():
    record = replace(refused("ZeroSize", state="Waived"), closedBy="zhang", closedReason="lost", closedTime=LONG_AGO)
    found = verdict(replace(ORIGIN, file=replace(FILE, state=FileState.WAIVED, quarantine=(record,))))
    assert holds(found, LinkState.HOLDS, Stage.LEDGER, "Waived", Role.NOBODY)
    assert "by zhang: lost" in found.link.text


def test_a_file_that_the_catalogue_lost_is_found():
    found = verdict(replace(ORIGIN, record=None))
    assert holds(found, LinkState.BROKEN, Stage.CATALOGUE, "NotInCatalogue", Role.DATA_MANAGER, "dirac-juno-block report")


def test_a_catalogue_that_does_not_answer_is_named_and_the_rest_is_shown():
    down = {"DataManagement/FileCatalog": "connection refused"}
    site = atSite(replace(ARRIVED, hasReplica=None), unavailable=down)
    explanation = explainFile(replace(ORIGIN, record=None, unavailable=down), (site,), NOW)
    command = "dirac-restart-component DataManagement FileCatalog"
    assert holds(explanation.verdict, LinkState.UNKNOWN, Stage.CATALOGUE, "ServiceDown", Role.DATA_MANAGER, command)
    assert any(link.stage is Stage.TASK and link.state is LinkState.HOLDS for link in explanation.sites[0].links)


# ---- from the transformation to the storage


def test_a_processed_file_with_a_good_copy_is_all_right():
    found = verdict()
    assert holds(found, LinkState.HOLDS, Stage.FINISHED, "AllRight", Role.NOBODY)
    assert SE in found.link.text


def test_what_dirac_no_longer_keeps_of_a_finished_file_is_no_harm():
    gone = replace(ARRIVED, requestStatus="Gone", ftsStatus=None, ftsJobID=None)
    assert ofTransfer(gone).state is LinkState.HOLDS
    assert ofTransfer(TransferFacts(LFN, SE, 7, "Processed", hasReplica=True)).state is LinkState.HOLDS


def test_a_registered_file_that_is_not_attached_is_found_by_the_input_data_agent_or_attached_by_the_data_manager():
    bare = TransferFacts(LFN, SE, 7, hasReplica=False)
    soon = ofTransfer(bare, registeredTime=JUST_NOW)
    assert holds(soon, LinkState.WAITS, Stage.TRANSFORMATION, "NotAttached", Role.NOBODY)
    late = ofTransfer(bare)
    command = "dirac-juno-block open 20230302 --type Raw"
    assert holds(late, LinkState.BROKEN, Stage.TRANSFORMATION, "NotAttached", Role.DATA_MANAGER, command)


def test_a_block_without_a_transfer_to_a_destination_is_opened_again():
    found = ofTransfer(None, site=None)
    assert holds(found, LinkState.BROKEN, Stage.TRANSFORMATION, "NoTransfer", Role.DATA_MANAGER, "dirac-juno-block open")
    assert ofTransfer(None, site=None, blockState=BlockState.KNOWN).state is LinkState.WAITS


def test_an_unused_file_waits_for_its_group_and_too_long_a_wait_is_the_agents():
    found = ofTransfer(UNUSED)
    assert holds(found, LinkState.WAITS, Stage.TRANSFORMATION, "WaitsForGroup", Role.NOBODY)
    late = ofTransfer(replace(UNUSED, fileTime=LONG_AGO))
    command = "dirac-restart-component Transformation TransformationAgent"
    assert holds(late, LinkState.BROKEN, Stage.TRANSFORMATION, "TransformationAgentLate", Role.DATA_MANAGER, command)


@pytest.mark.parametrize(
    ("status", "command"),
    [("Stopped", "dirac-transformation-cli"), ("Completed", "dirac-juno-block flush"), ("Deleted", "dirac-juno-block open")],
)
def test_an_unused_file_of_a_transformation_at_rest_says_how_it_is_started(status, command):
    found = ofTransfer(UNUSED, transformationStatus=status)
    assert holds(found, LinkState.BROKEN, Stage.TRANSFORMATION, "TransformationRests", Role.DATA_MANAGER, command)


@pytest.mark.parametrize("transfer", [UNUSED, replace(UNUSED, fileTime=LONG_AGO), replace(COPYING, ftsStatus="New")])
def test_a_paused_site_is_waited_for_and_says_by_whom_and_until_when(transfer):
    found = ofTransfer(transfer, pause=PAUSE)
    assert (found.state, found.link.code) == (LinkState.WAITS, "SitePaused")
    assert "paused by zhang until 2023-03-04 13:00:00: network work" in found.link.text
    assert found.link.time == LONG_AGO


def test_a_site_that_was_paused_because_of_failures_does_not_hold_and_needs_a_person_where_time_does_not_help():
    def of(errorClass, until):
        return ofTransfer(UNUSED, pause=replace(PAUSE, errorClass=errorClass, actor="BlockRepairAgent", until=until))

    where = (LinkState.BROKEN, Stage.TRANSFORMATION, "SitePaused")
    assert holds(of("DestinationDown", PAUSE.until), *where, Role.NOBODY)
    command = f"dirac-juno-block resume --site {SE}"
    assert holds(of("DestinationDown", None), *where, Role.SITE, command)
    assert holds(of("DestinationFull", PAUSE.until), *where, Role.SITE, command)


def test_a_pause_does_not_hold_up_a_copy_that_is_under_way():
    assert ofTransfer(COPYING, pause=PAUSE).link.code == "Copying"


def test_a_task_that_is_made_and_not_submitted_waits_for_the_request_task_agent():
    assert holds(ofTransfer(NOT_SUBMITTED), LinkState.WAITS, Stage.TASK, "NotSubmitted", Role.NOBODY)
    late = ofTransfer(replace(NOT_SUBMITTED, taskTime=LONG_AGO))
    command = "dirac-restart-component Transformation RequestTaskAgent"
    assert holds(late, LinkState.BROKEN, Stage.TASK, "RequestTaskAgentLate", Role.DATA_MANAGER, command)


def test_a_request_that_waits_is_the_request_executing_agents_turn():
    assert holds(ofTransfer(REQUEST_WAITING), LinkState.WAITS, Stage.REQUEST, "RequestWaiting", Role.NOBODY)
    late = ofTransfer(replace(REQUEST_WAITING, requestTime=LONG_AGO))
    command = "dirac-restart-component RequestManagement RequestExecutingAgent"
    assert holds(late, LinkState.BROKEN, Stage.REQUEST, "RequestExecutingAgentLate", Role.DATA_MANAGER, command)


def test_a_failed_request_says_its_reason():
    failed = replace(REQUEST_WAITING, requestStatus="Failed", requestError="all replicas have a bad checksum")
    found = ofTransfer(failed)
    assert holds(found, LinkState.BROKEN, Stage.REQUEST, "RequestFailed", Role.NOBODY)
    assert "all replicas have a bad checksum" in found.link.text
    assert "SourceCorrupt" in found.link.text


def test_a_request_that_is_no_longer_kept_though_the_file_did_not_arrive_is_looked_after_by_the_repair():
    found = ofTransfer(replace(REQUEST_WAITING, requestStatus="Gone"))
    assert holds(found, LinkState.BROKEN, Stage.REQUEST, "RequestGone", Role.NOBODY)
    assert "BlockRepairAgent" in found.link.text


def test_an_active_copy_is_waited_for_since_its_last_news_and_one_that_hangs_is_fts3s():
    found = ofTransfer(COPYING)
    assert holds(found, LinkState.WAITS, Stage.FTS, "Copying", Role.NOBODY)
    assert found.link.time == JUST_NOW
    assert "job a-b-c at https://fts:8446" in found.link.text
    hangs = ofTransfer(replace(COPYING, ftsTime=NOW - timedelta(days=2)))
    assert holds(hangs, LinkState.BROKEN, Stage.FTS, "JobHangs", Role.FTS, "dirac-juno-block retransfer 20230302")


def test_a_failed_attempt_says_its_number_class_and_policy_and_who_can_help():
    found = ofTransfer(COPY_FAILED)
    assert holds(found, LinkState.BROKEN, Stage.FTS, "CopyFailed", Role.SITE, "dirac-juno-block retransfer 20230302")
    assert found.link.action.party == SE
    for said in ("attempt 3", "No space left on device", "DestinationFull", "FTS3Agent tries again", "pauses the site"):
        assert said in found.link.text
    assert found.link.ids["ErrorClass"] == "DestinationFull"


def test_a_failure_that_goes_away_by_itself_needs_nobody_and_says_when_the_repair_comes():
    found = ofTransfer(replace(COPY_FAILED, ftsError="TRANSFER [110] timed out"), repair=REPAIRED)
    assert holds(found, LinkState.BROKEN, Stage.FTS, "CopyFailed", Role.NOBODY)
    assert "2 of 10 attempts, next at 2023-03-04 12:05:00" in found.link.text


def test_a_job_that_fts3_lost_is_tried_again():
    found = ofTransfer(replace(COPY_FAILED, ftsStatus="Canceled", ftsError="Job a-b-c not found"))
    assert holds(found, LinkState.BROKEN, Stage.FTS, "CopyCanceled", Role.NOBODY)
    assert "Lost" in found.link.text


def test_a_copy_that_fts3_manager_does_not_know_is_looked_after_by_the_repair():
    lost = replace(COPYING, ftsStatus=None, ftsJobID=None)
    assert holds(ofTransfer(lost), LinkState.BROKEN, Stage.FTS, "CopyLost", Role.NOBODY)


def test_a_copied_file_whose_replica_is_not_registered_waits_for_the_agents():
    copied = replace(COPYING, ftsStatus="Finished")
    assert holds(ofTransfer(copied), LinkState.WAITS, Stage.REPLICA, "NotRegistered", Role.NOBODY)
    late = ofTransfer(replace(copied, ftsTime=LONG_AGO))
    command = "dirac-restart-component RequestManagement RequestExecutingAgent"
    assert holds(late, LinkState.BROKEN, Stage.REPLICA, "RequestExecutingAgentLate", Role.DATA_MANAGER, command)
    failed = replace(copied, requestStatus="Failed", requestError="failed to register the replica")
    found = ofTransfer(failed)
    assert holds(found, LinkState.BROKEN, Stage.REPLICA, "NotRegistered", Role.NOBODY)
    assert "failed to register the replica" in found.link.text


@pytest.mark.parametrize("copy", [CopyState.MISSING, CopyState.WRONG_SIZE, CopyState.WRONG_CHECKSUM])
def test_a_registered_replica_that_the_storage_contradicts_is_validated_and_then_repaired(copy):
    bad = replace(ARRIVED, copy=copy, copyDetail="there is no such file")
    found = ofTransfer(bad)
    command = f"dirac-juno-block validate 20230302 --type Raw --site {SE}"
    assert holds(found, LinkState.BROKEN, Stage.STORAGE, f"Copy{copy}", Role.DATA_MANAGER, command)
    named = validation(Found.BAD, names={Difference.MISSING: [LFN]})
    assert holds(ofTransfer(bad, validation=named), LinkState.BROKEN, Stage.STORAGE, f"Copy{copy}", Role.NOBODY)


def test_a_storage_that_does_not_answer_is_named_and_the_rest_is_shown():
    found = ofTransfer(replace(ARRIVED, copy=CopyState.UNKNOWN, copyDetail="connection refused"))
    assert holds(found, LinkState.UNKNOWN, Stage.STORAGE, "StorageDown", Role.SITE, "dirac-dms-show-se-status")
    assert found.link.action.actor == f"site administrator of {SE}"


def test_a_replica_that_was_removed_after_the_transfer_is_found():
    gone = replace(ARRIVED, hasReplica=False, copy=CopyState.UNKNOWN, copyDetail="")
    assert holds(ofTransfer(gone), LinkState.BROKEN, Stage.REPLICA, "ReplicaGone", Role.NOBODY)


def test_a_file_that_has_arrived_and_does_not_count_yet_waits_for_the_request_task_agent():
    found = ofTransfer(replace(ARRIVED, fileStatus="Assigned", requestTime=JUST_NOW))
    assert holds(found, LinkState.WAITS, Stage.FINISHED, "NotCounted", Role.NOBODY)


@pytest.mark.parametrize("status", ["Problematic", "MaxReset", "MissingInFC"])
def test_a_file_that_dirac_has_given_up_is_looked_after_by_the_repair(status):
    found = ofTransfer(replace(COPY_FAILED, fileStatus=status, ftsError="timed out"))
    assert holds(found, LinkState.BROKEN, Stage.TRANSFORMATION, f"File{status}", Role.NOBODY)


@pytest.mark.parametrize("transfer", [UNUSED, COPY_FAILED, replace(COPY_FAILED, fileStatus="Problematic"), COPYING])
def test_a_file_that_was_given_up_says_so_wherever_it_stands(transfer):
    found = ofTransfer(transfer, repair=GIVEN_UP)
    assert (found.state, found.link.code) == (LinkState.BROKEN, "GivenUp")
    assert "after 10 attempts: permission denied (DestinationDenied" in found.link.text
    assert found.link.action.actor == f"site administrator of {SE}"
    assert found.link.action.command.startswith("dirac-juno-block retransfer 20230302 --type Raw")


def test_a_file_that_arrived_after_it_was_given_up_is_all_right():
    assert ofTransfer(ARRIVED, repair=GIVEN_UP).state is LinkState.HOLDS


@pytest.mark.parametrize(
    ("service", "transfer", "stage"),
    [
        ("Transformation/TransformationManager", None, Stage.TRANSFORMATION),
        ("RequestManagement/ReqManager", replace(REQUEST_WAITING, requestStatus=None), Stage.REQUEST),
        ("DataManagement/FTS3Manager", replace(COPYING, ftsStatus=None), Stage.FTS),
        ("DataManagement/FileCatalog", replace(ARRIVED, hasReplica=None), Stage.REPLICA),
    ],
)
def test_a_service_that_does_not_answer_is_named_with_the_command_that_starts_it(service, transfer, stage):
    found = ofTransfer(transfer, unavailable={service: "connection refused"})
    command = f"dirac-restart-component {service.replace('/', ' ')}"
    assert holds(found, LinkState.UNKNOWN, stage, "ServiceDown", Role.DATA_MANAGER, command)
    assert service in found.link.text
    assert "connection refused" in found.link.text


def test_a_validation_that_named_the_file_is_told_after_all_else():
    named = validation(Found.BAD, started=LONG_AGO, names={Difference.MISSING: [LFN]}, details={LFN: "no such file"})
    found = ofTransfer(ARRIVED, validation=named)
    assert holds(found, LinkState.BROKEN, Stage.VALIDATION, "NamedByValidation", Role.NOBODY)
    again = replace(AT_SITE.site, replicatedTime=JUST_NOW)
    assert ofTransfer(ARRIVED, validation=named, site=again).state is LinkState.HOLDS


def test_the_worst_of_the_sites_makes_the_verdict_and_all_right_needs_all_of_them():
    other = replace(AT_SITE, se="JINR-EOS", transfer=replace(UNUSED, se="JINR-EOS"))
    assert verdict(ORIGIN, AT_SITE, other).se == "JINR-EOS"
    broken = atSite(COPY_FAILED)
    assert verdict(ORIGIN, other, broken).link.code == "CopyFailed"
    assert verdict(ORIGIN, AT_SITE, replace(AT_SITE, se="JINR-EOS")).link.code == "AllRight"


def test_on_its_way_is_no_copy_yet():
    assert ofTransfer(ON_ITS_WAY).link.stage is Stage.REPLICA


def test_links_after_the_first_that_does_not_hold_say_what_is_known_of_them():
    links = {link.stage: link for link in explainFile(ORIGIN, (atSite(REQUEST_WAITING),), NOW).sites[0].links}
    assert [links[stage].code for stage in (Stage.FTS, Stage.REPLICA, Stage.STORAGE, Stage.FINISHED)] == ["NotYet"] * 4
    assert links[Stage.TASK].state is LinkState.HOLDS


def test_another_attempt_says_why_the_one_before_failed():
    again = replace(COPYING, ftsAttempts=2, ftsError="TRANSFER [110] timed out")
    found = ofTransfer(again)
    assert holds(found, LinkState.WAITS, Stage.FTS, "CopyingAgain", Role.NOBODY)
    assert "timed out (Timeout" in found.link.text
    full = ofTransfer(replace(again, ftsError="DESTINATION [28] No space left on device"))
    assert holds(full, LinkState.BROKEN, Stage.FTS, "CopyingAgain", Role.SITE, "dirac-juno-block retransfer")
