import json
import os

import pytest
from fts3_standin.rules import Action, BadRule, Rule, RuleBook
from fts3_standin.store import Store

SOURCE, TARGET = "root://10.0.0.1:1094//eos/juno/raw/a.dat", "root://10.0.0.2:1094//storm/juno/raw/a.dat"


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "db")
    yield made
    made.close()


@pytest.fixture
def book(tmp_path, store):
    return RuleBook(tmp_path / "rules.json", store)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"source": "10.0.0.1"}, True),
        ({"source": "10.0.0.2"}, False),
        ({"source": "10.0.0.*", "destination": "10.0.0.2:1094"}, True),
        ({"destination": "10.0.0.2:1095"}, False),
        ({"lfn": "/juno/raw/a.dat"}, True),
        ({"lfn": "/juno/raw/*.dat"}, True),
        ({"lfn": "/juno/raw/b*"}, False),
        ({"lfn": "/juno/raw/a"}, False),
    ],
)
def test_a_rule_matches_by_hosts_and_by_the_end_of_the_path(fields, expected):
    rule = Rule.from_dict({"action": "fail", **fields})
    assert rule.matches(SOURCE, TARGET) is expected
    # as DIRAC writes them, with a user
    assert rule.matches(SOURCE.replace("//", "//user@", 1), TARGET.replace("//", "//user@", 1)) is expected


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ("fail", "JSON object"),
        ({"action": "explode"}, "Unknown action"),
        ({"action": "fail", "when": "now"}, "Unknown field 'when'"),
        ({"action": "fail", "phase": "STAGING"}, "Unknown phase"),
        ({"action": "instant"}, "--allow-instant"),
    ],
)
def test_a_bad_rule_is_refused_with_its_reason(book, values, text):
    with pytest.raises(BadRule, match=text):
        book.add(values)
    assert book.rules() == []


def test_the_first_rule_that_is_not_used_up_wins(book):
    book.add({"action": "fail", "id": "once", "count": 1})
    book.add({"action": "delay", "id": "always"})
    assert [book.take_for_attempt(SOURCE, TARGET).id for _ in range(3)] == ["once", "always", "always"]
    assert [rule["matched"] for rule in book.describe()] == [1, 2]


def test_rules_and_their_counts_survive_a_restart_until_they_are_removed(tmp_path, book, store):
    book.add({"action": "fail", "id": "twice", "count": 2})
    book.take_for_attempt(SOURCE, TARGET)
    again = RuleBook(tmp_path / "rules.json", store)
    assert again.take_for_attempt(SOURCE, TARGET).id == "twice"
    assert again.take_for_attempt(SOURCE, TARGET) is None
    assert again.remove("twice") == 1
    assert RuleBook(tmp_path / "rules.json", store).rules() == []
    again.add({"action": "fail", "id": "twice", "count": 1})
    assert again.take_for_attempt(SOURCE, TARGET).id == "twice"


def test_a_changed_file_is_read_again_and_a_broken_one_keeps_the_rules_of_before(tmp_path, book):
    path = tmp_path / "rules.json"
    path.write_text(json.dumps([{"action": "hang", "lfn": "*.dat"}]))
    assert book.take_for_attempt(SOURCE, TARGET).action == Action.HANG
    path.write_text("[{")
    os.utime(path, (1, 1))
    assert book.take_for_attempt(SOURCE, TARGET).action == Action.HANG
    assert "rules.json" in book.error
    path.unlink()
    assert book.take_for_attempt(SOURCE, TARGET) is None
    assert book.error is None


def test_rules_on_submissions_and_on_attempts_do_not_mix(book):
    book.add({"action": "refuse_submission", "id": "job"})
    book.add({"action": "fail", "id": "copy"})
    assert book.take_for_submission([("root://x//y", "root://z//y"), (SOURCE, TARGET)]).id == "job"
    assert book.take_for_attempt(SOURCE, TARGET).id == "copy"
