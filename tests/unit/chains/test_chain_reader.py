"""A description is a chain, or everything that is wrong with it is told, each with line and remedy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.ChainCheck import CHAIN_KEYS, GROUP_KEYS, INPUT_KEYS, OUTPUT_KEYS, STEP_KEYS
from JUNODIRAC.Core.Domain.ChainDescription import DEFAULT_MERGE_BYTES, Gate, Retirement, RunRange, StepKind
from JUNODIRAC.Core.Domain.ChainItem import BadChain
from JUNODIRAC.Core.Domain.ChainRules import Known
from JUNODIRAC.ProductionSystem.Client.ChainReader import MAX_CHARS, readChain

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests/data/chains"
GOOD = sorted((DATA / "good").glob("*.yaml"))
BAD = sorted((DATA / "bad").glob("*.yaml"))
SHIPPED = sorted((ROOT / "etc/chains").glob("*.yaml"))
KNOWN = Known({"Raw", "RTRaw"}, {"DIRAC.CNAF.it", "DIRAC.JINR.ru"}, {"IHEP-JUNOEOS", "CNAF-STORM", "JINR-EOS"})


def read(path: Path):
    return readChain(path.read_text(), path.name, KNOWN)


@pytest.mark.parametrize("path", [*GOOD, *SHIPPED], ids=lambda path: path.stem)
def test_a_good_description_is_a_chain(path):
    chain = read(path)
    assert [step.number for step in chain.steps] == list(range(1, len(chain.steps) + 1))
    assert chain.text == path.read_text()


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_all_that_is_wrong_is_told_at_once_with_line_and_remedy(path):
    with pytest.raises(BadChain) as refused:
        read(path)
    assert str(refused.value).splitlines() == path.with_suffix(".txt").read_text().splitlines()


def test_each_key_of_the_format_is_in_the_fixture_that_has_everything():
    text = (DATA / "good/everything.yaml").read_text()
    keys = {*CHAIN_KEYS, *INPUT_KEYS, *OUTPUT_KEYS, *GROUP_KEYS, *(key for keys in STEP_KEYS.values() for key in keys)}
    assert [key for key in sorted(keys) if f"{key}:" not in text] == []


def test_every_value_is_what_was_written():
    chain = read(DATA / "good/everything.yaml")
    process, merge, copies = chain.steps
    assert (chain.name, chain.version, chain.description) == ("everything", "2", "each key once")
    assert process.kind is StepKind.PROCESS
    assert (process.executable, process.arguments) == ("juno-rawrec", ("--conditions", "J24", "--verbose"))
    assert (process.cores, process.cpuSeconds, process.memoryMB, process.priority) == (4, 2 * 86400, 6000, 10)
    assert process.input.streams == ("TQ.ds", "MM")
    assert process.input.runs == (RunRange(1000, 1999), RunRange(2005, 2005))
    assert process.input.qualities == ("good", "fair")
    assert process.output.nameRule == "{Type}.{Step}.{Run}.{Stream}.{Sequence}.{Task}.{Attempt}.esd"
    assert process.output.failover == ("IHEP-JUNOEOS", "JINR-EOS")
    assert (process.groupFiles, process.groupBytes, process.maxWaitSeconds) == (10, 2_500_000_000, 600)
    assert process.sites == ("DIRAC.CNAF.it", "DIRAC.JINR.ru")
    assert process.gates == frozenset(Gate)
    assert (merge.arguments, merge.sites) == (("--level", "two words"), ("DIRAC.JINR.ru",))
    assert (merge.groupBytes, merge.retirement) == (500_000_000, Retirement.REMOVE)
    assert (copies.destinations, copies.groupFiles, copies.maxWaitSeconds) == (("CNAF-STORM",), 20, 0)
    assert [chain.source(step) for step in chain.steps] == [None, process, merge]


def test_what_is_not_written_has_the_default():
    step = read(DATA / "good/least.yaml").steps[0]
    assert (step.groupFiles, step.groupBytes, step.cores, step.priority, step.gates) == (1, None, 1, 1, frozenset())
    assert "{Block}" in step.output.directoryRule
    assert "{Attempt}" in step.output.nameRule


def test_a_version_stays_as_it_was_typed():
    """YAML would make a number of it: 1.10 and 1.1 are two versions."""
    assert read(DATA / "good/least.yaml").version == "1.10"


def test_the_shipped_chains_are_those_of_the_plan():
    chains = {path.stem: read(path) for path in SHIPPED}
    shape = {name: [(step.kind.value, step.input.typeName) for step in chain.steps] for name, chain in chains.items()}
    assert shape == {
        "rerec": [("process", "RTRaw"), ("replicate", "ESD")],
        "rerec-merge": [("process", "RTRaw"), ("merge", "ESDPart"), ("replicate", "ESD")],
    }
    assert all(name == chain.name for name, chain in chains.items())
    merge = chains["rerec-merge"].steps[1]
    assert merge.groupBytes == DEFAULT_MERGE_BYTES
    assert merge.sites == chains["rerec-merge"].steps[0].sites


def test_where_nothing_is_known_of_the_configuration_only_the_text_is_checked():
    assert readChain(
        (DATA / "good/least.yaml").read_text().replace("RTRaw", "Unheard").replace("DIRAC.CNAF.it", "DIRAC.Moon.org")
    )


def test_a_text_that_is_too_long_is_refused_unread():
    with pytest.raises(BadChain, match="characters long"):
        readChain("#" * (MAX_CHARS + 1))


# ---- whatever somebody writes

LINES = [line for path in (*GOOD, *BAD, *SHIPPED) for line in path.read_text().splitlines(keepends=True)]
KEYS = [*CHAIN_KEYS, *INPUT_KEYS, *OUTPUT_KEYS, *GROUP_KEYS, *STEP_KEYS[StepKind.PROCESS], "retire", "destinations", "<<"]
SCALARS = st.one_of(
    st.sampled_from(
        ["", "1 GB", "-1", "1e9", "0x10", "~", "2024-01-01", "RTRaw", "ESD", "{Block}", "{", "{0}", "{a.b[c]}", "10 min"]
    ),
    st.text(max_size=20),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.dates(),
    st.binary(max_size=5),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | SCALARS, inner, max_size=4),
    max_leaves=25,
)


def judged(text: str) -> None:
    """Nothing but a chain or BadChain, whose errors all name a line of the text."""
    try:
        readChain(text, "x.yaml", KNOWN)
    except BadChain as error:
        assert error.errors
        last = max(text.count("\n"), len(text.splitlines())) + 1
        assert all(1 <= each.line <= last and each.problem and each.remedy for each in error.errors)
        assert all("\n" not in each.text("x.yaml") for each in error.errors)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(GOOD + SHIPPED),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(LINES), st.sampled_from("dir")), max_size=6),
)
def test_lines_that_are_moved_lost_or_doubled_make_a_chain_or_errors(path, changes):
    lines = path.read_text().splitlines(keepends=True)
    for place, line, action in changes:
        index = place % (len(lines) or 1)
        lines[index : index + (action != "i")] = [] if action == "d" else [line]
    judged("".join(lines))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(GOOD + SHIPPED), st.integers(0, 2000), st.integers(0, 20), st.text(max_size=8))
def test_characters_that_are_changed_make_a_chain_or_errors(path, start, length, new):
    text = path.read_text()
    judged(text[:start] + new + text[start + length :])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), TREES, max_size=8), max_size=3), TREES)
def test_any_yaml_makes_a_chain_or_errors(steps, other):
    judged(yaml.dump({"name": "x", "version": 1, "steps": steps}))
    judged(yaml.dump(other))


@settings(max_examples=200, deadline=None)
@example("[" * 5000)
@example("&a [*a]")
@example("? {a: b}\n: c")
@example("!!python/object/apply:os.system [ls]")
@example("\ud800")
@example("a: *b")
@given(st.text(max_size=60))
def test_any_text_makes_a_chain_or_errors(text):
    judged(text)


def test_a_gate_for_a_conditions_service_that_nobody_configured_is_told_with_its_line():
    text = SHIPPED[0].read_text().replace("gates: [catalogue-up, storage-up]", "gates: [conditions-up]", 1)
    with pytest.raises(BadChain, match="no conditions service is configured") as refused:
        readChain(text, "x.yaml", replace(KNOWN, conditions=""))
    line = text.splitlines().index("    gates: [conditions-up]") + 1
    assert f"x.yaml:{line}: " in str(refused.value)
    readChain(text, "x.yaml", replace(KNOWN, conditions="https://conditions.example.org"))
    readChain(text, "x.yaml", KNOWN)
