"""Whatever stands in the topic: each message ends in exactly one state, and the receiver lives.

``JUNO_TEST_FUZZ_MESSAGES`` and ``JUNO_TEST_SEED`` change how many there are and which.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter

import pytest
from junotestbed.announcer import Announced, Announcer, Traffic, writeFile
from junotestbed.faults import TOPIC_PREFIX, Receiver
from junotestbed.fuzzing import corpus, messages
from junotestbed.judge import Judge
from junotestbed.observe import waitUntil

pytestmark = pytest.mark.system

MESSAGES = int(os.environ.get("JUNO_TEST_FUZZ_MESSAGES", "3000"))
SEED = int(os.environ.get("JUNO_TEST_SEED") or secrets.randbelow(10**6))
# a file that is not there is given up soon, so that it has its end within the test
POLICY = {"GraceSeconds": 10}


def ends(database, topic: str) -> tuple[dict[tuple[int, int], str], dict[tuple[int, int], str], set[tuple[int, int]]]:
    """Reason of quarantined messages, name of registered files' messages, and messages that wait, by partition and offset."""
    quarantine = "SELECT KafkaPartition, KafkaOffset, Reason FROM Quarantine WHERE Topic = %s"
    registered = "SELECT KafkaPartition, KafkaOffset, FileName FROM Files WHERE Topic = %s AND State = 'Registered'"
    waiting = "SELECT KafkaPartition, KafkaOffset FROM Waiting WHERE Topic = %s"
    return (
        {row[:2]: row[2] for row in database.rows("RawDataDB", quarantine, topic)},
        {row[:2]: row[2] for row in database.rows("RawDataDB", registered, topic)},
        set(database.rows("RawDataDB", waiting, topic)) if database.rows("RawDataDB", "SHOW TABLES LIKE 'Waiting'") else set(),
    )


def endOf(payload: bytes) -> dict[str, object]:
    """What an end-of-block announcement says, its number as a number; empty for everything else."""
    try:
        content = json.loads(payload)
        return {**content, "FileCount": int(content["FileCount"])} if "EndOfBlock" in content else {}
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}


def isEndOf(day: str, payload: bytes) -> bool:
    return endOf(payload).get("EndOfBlock") == day


def test_each_generated_message_ends_in_exactly_one_state_and_the_receiver_lives(testbed, database, noTransfers):
    topic, day, later = f"{TOPIC_PREFIX}{secrets.token_hex(4)}", noTransfers[-1], noTransfers[-2]
    print(f"seed {SEED}")

    def content(name: str) -> dict[str, object]:
        made = onStorage.get(name) or onStorage.setdefault(name, writeFile(testbed.settings, "Raw", day, name))
        return made.announcement()

    onStorage: dict = {}
    payloads = corpus(messages(day, content), MESSAGES, SEED)
    receiver, announcer = Receiver(testbed, "Raw", topic, policy=POLICY), Announcer(testbed.settings)
    with receiver.moved():
        receiver.start()
        waitUntil("the receiver is at work", lambda: receiver.members() == 1, 60)
        pid = receiver.pid
        announcer.send(Announced(topic, day, payload, "") for payload in payloads)
        announcer.flush()
        waitUntil("everything is consumed", lambda: receiver.backlog() == 0, 240)
        waitUntil("nothing waits", lambda: not ends(database, topic)[2], 120)
        good = Announcer(testbed.settings)
        good.send(Traffic(testbed.settings, "Raw", topic, later, 7500, SEED).messages(100))
        good.flush()
        waitUntil("good ones are consumed", lambda: receiver.backlog() == 0, 60)
        waitUntil("none of them waits", lambda: not ends(database, topic)[2], 120)
        assert receiver.pid == pid
    sent = {item.position[1:]: item.payload for item in announcer.sent}
    quarantined, registered, _ = ends(database, topic)
    both = quarantined.keys() & registered.keys()
    others = sent.keys() - quarantined.keys() - registered.keys()
    names = {name.lower() for name in registered.values()}
    # an end of a block that was taken has no row of its own: it is known by the number that the block has
    endings = {position for position in others if isEndOf(day, sent[position])}
    expected = database.rows("RawDataDB", "SELECT ExpectedFiles FROM Blocks WHERE Block = %s AND Type = 'Raw'", day)
    assert {endOf(sent[position])["FileCount"] for position in endings} <= {number for (number,) in expected}
    others -= endings
    unknown = [sent[position] for position in others if not any(name.encode() in sent[position].lower() for name in names)]
    print(f"{len(sent)} messages of {len(set(payloads))} kinds: {len(registered.keys() & sent.keys())} registered, "
          f"{len(others)} duplicates, {len(endings)} ends of blocks,"
          f" {len(quarantined.keys() & sent.keys())} quarantined")  # fmt: skip
    print(Counter(reason for position, reason in quarantined.items() if position in sent).most_common())
    assert len(sent) == len(payloads)
    assert not both
    assert unknown == [], "neither registered nor quarantined, nor the duplicate of a registered one"
    assert min(len(registered), len(others), len(quarantined), len(endings)) > 0
    # the good ones after all that, and the files of the whole topic
    later_report = Judge(testbed, good.sent, {topic: receiver.group}).judge()
    assert later_report.registered == later_report.files > 50
    catalogue = database.rows(
        "FileCatalogDB",
        "SELECT FileName FROM FC_Files JOIN FC_DirectoryLevelTree USING (DirID) WHERE DirName = %s",
        f"/juno/raw/{day[:4]}/{day[4:]}",
    )
    assert Counter(name for (name,) in catalogue) == Counter(registered[p] for p in registered.keys() & sent.keys())
