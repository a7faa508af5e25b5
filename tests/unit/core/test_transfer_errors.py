"""Reasons of failed copies: recognised as what they are, and each class with one policy that makes sense."""

import re
from pathlib import Path

import pytest

from JUNODIRAC.Core.Domain.TransferErrors import MAX_AGAIN_SECONDS, POLICIES, Blame, ErrorClass, blameOf, classify, policyOf

DATA = Path(__file__).parents[2] / "data" / "transfer-errors.csv"
EXAMPLES = [line.split("|", 2) for line in DATA.read_text().splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(("expected", "origin", "text"), EXAMPLES, ids=[f"{name}-{text[:40]}" for name, _, text in EXAMPLES])
def test_each_real_text_has_its_class(expected, origin, text):
    assert classify(text) == expected, origin


def test_there_is_an_example_of_each_class_and_a_policy():
    assert {name for name, _, _ in EXAMPLES} == set(ErrorClass) == set(POLICIES)


@pytest.mark.parametrize("found", ErrorClass)
def test_each_policy_names_who_acts_and_what_to_do(found):
    policy = POLICIES[found]
    assert all((policy.who, policy.remedy, policy.meaning))
    assert (policy.pauseFiles > 0) == (policy.pauseSeconds > 0)


@pytest.mark.parametrize("found", ErrorClass)
def test_back_off_grows_and_ends_at_its_limit(found):
    policy = POLICIES[found]
    waits = [policy.backOffSeconds(attempts) for attempts in range(1, 40)]
    assert waits == sorted(waits)
    assert waits[0] == policy.firstSeconds > 0
    assert waits[-1] == policy.maxSeconds
    again = [policy.secondsToNextSubmission(attempts) for attempts in range(1, 40)]
    assert again == sorted(again)
    assert 0 < again[0] <= again[-1] <= MAX_AGAIN_SECONDS


def test_only_the_destinations_errors_pause_it():
    for found, policy in POLICIES.items():
        if policy.pauseFiles:
            assert policy.blame == Blame.NONE
            assert found.startswith("Destination")


def test_wrong_bytes_and_a_missing_source_make_the_sources_be_asked():
    asked = {found for found, policy in POLICIES.items() if policy.asksSources}
    assert asked == {found for found, policy in POLICIES.items() if policy.blame == Blame.BAD}


@pytest.mark.parametrize(
    ("text", "blame"),
    [
        ("TRANSFER [84] [gfal2_copy] User and destination CheckSum error", Blame.BAD),
        ("DESTINATION [5] Checksum mismatch (1 != 2)", Blame.BAD),
        ("SOURCE [5] Source and user-defined adler32 checksum do not match (1 != 2)", Blame.BAD),
        ("SOURCE [2] Failed to stat file (No such file or directory)", Blame.BAD),
        ("DESTINATION [28] No space left on device", Blame.NONE),
        ("Job 1b2c not found", Blame.NONE),
        ("TRANSFER [110] Connection timed out", Blame.FAILED),
        ("SOURCE [13] Permission denied", Blame.FAILED),
        ("[22] Checksum value required if mode is not end to end", Blame.FAILED),
        ("", Blame.FAILED),
    ],
)
def test_a_reason_speaks_against_the_source_or_not(text, blame):
    assert blameOf(text) == policyOf(text).blame == blame


def test_the_documentation_has_the_policy_of_each_class():
    text = (Path(__file__).parents[3] / "docs/repair.rst").read_text()
    for found, policy in POLICIES.items():
        row = re.search(rf"   \* - ``{found}``\n((?:     - [^\n]+\n){{6}})", text)
        assert row, found
        meaning, pause, blame, again, backOff, who = re.findall(r"- ([^\n]+)\n", row[1])
        assert meaning.lower() == policy.meaning.lower()
        assert pause == (f"after {policy.pauseFiles} file(s): {age(policy.pauseSeconds)}" if policy.pauseFiles else "no")
        assert blame == {Blame.NONE: "no", Blame.FAILED: "perhaps", Blame.BAD: "yes"}[policy.blame]
        assert again == age(policy.againSeconds)
        assert backOff == f"{age(policy.firstSeconds)} x {policy.factor:g} to {age(policy.maxSeconds)}"
        assert who.lower() == f"{policy.who}: {policy.remedy}".lower()


def age(seconds: int) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
