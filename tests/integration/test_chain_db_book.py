"""Chains are written down so that no block goes through one version twice, whoever starts at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledgertools import announced, makeFile

from JUNODIRAC.Core.Domain.ChainDescription import StepKind
from JUNODIRAC.Core.Domain.ChainRecords import ChainRefused, ChainScope, ChainState, StepTransformation
from JUNODIRAC.Core.Domain.ChainRules import Known
from JUNODIRAC.ProductionSystem.Client.ChainDesk import ChainDesk
from JUNODIRAC.ProductionSystem.DB.ChainBook import NewChain, UnknownChain
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger

pytestmark = pytest.mark.integration
NOW = datetime.now(UTC).replace(microsecond=0)
TEXT = (Path(__file__).parents[2] / "etc/chains/rerec.yaml").read_text()
TABLES = ("ChainSteps", "ChainBlocks", "Recoveries", "Chains")


@pytest.fixture
def chains(ledger):
    return ChainLedger()


@pytest.fixture
def name(chains, typeName):
    """A chain's name for this test alone."""
    yield f"c{typeName}"
    for (number,) in chains.select("SELECT ChainID FROM Chains WHERE Name = %s", (f"c{typeName}",)):
        for table in TABLES:
            chains.execute(f"DELETE FROM {table} WHERE ChainID = %s", (number,))


@pytest.fixture
def blocks(chains, typeName):
    """Five open blocks with a registered file each: number by name."""
    files = [makeFile(typeName, 1, f"b{number}") for number in range(5)]
    announced(chains, *files)
    for file in files:
        chains.execute(
            "UPDATE Files f JOIN Directories d ON d.DirectoryID = f.DirectoryID SET f.State = 'Registered', f.SizeBytes = 10"
            " WHERE d.Directory = %s",
            (file.directory,),
        )
    chains.execute("UPDATE Blocks SET State = 'Open', OpenedTime = %s WHERE Type = %s", (NOW, typeName))
    return dict(chains.select("SELECT Block, BlockID FROM Blocks WHERE Type = %s", (typeName,)))


def add(chains, name, typeName, blocks, names=("b0", "b1"), again=False, **scope):
    new = NewChain(name, "1", typeName, TEXT, ChainScope(tuple(names), again=again, **scope), "ada")
    return chains.addChain(new, [blocks[each] for each in names], NOW)


def blockNames(chains, chain):
    return [block.block for block in chains.chainBlocks(chain.chainID)]


def test_a_chain_comes_back_as_it_was_written_down(chains, name, typeName, blocks):
    made = add(chains, name, typeName, blocks, eachNewBlock=True, newSince=NOW, datasets=("first-week",))
    assert made == chains.readChain(f"{name}-1-v1") == chains.chainByID(made.chainID)
    assert (made.state, made.productionID, made.outputVersion) == (ChainState.STARTING, None, 1)
    assert made.scope == ChainScope(("b0", "b1"), True, NOW, ("first-week",))
    assert (made.description, made.createdTime, made.createdBy) == (TEXT, NOW, "ada")
    assert blockNames(chains, made) == ["b0", "b1"]
    with pytest.raises(UnknownChain):
        chains.readChain("nothing")


def test_a_second_start_is_refused_and_writes_nothing(chains, name, typeName, blocks):
    made = add(chains, name, typeName, blocks)
    for names in (("b0",), ("b3",)):
        with pytest.raises(ChainRefused, match=rf"started before, as {name}-1-v1; give it more blocks with .* extend"):
            add(chains, name, typeName, blocks, names)
    assert chains.readChains(name=name) == [made]
    assert blockNames(chains, made) == ["b0", "b1"]


def test_again_is_a_chain_of_its_own_with_the_next_output_version(chains, name, typeName, blocks):
    first, second = add(chains, name, typeName, blocks), add(chains, name, typeName, blocks, again=True)
    assert (second.production, second.outputVersion) == (f"{name}-1-v2", 2)
    assert blockNames(chains, first) == blockNames(chains, second)


def test_of_many_starts_at_once_one_gets_the_blocks(chains, name, typeName, blocks):
    def start(_):
        try:
            return add(chains, name, typeName, blocks).production
        except ChainRefused:
            return ""

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(start, range(8)))
    assert sorted(done) == [""] * 7 + [f"{name}-1-v1"]
    assert len(chains.readChains(name=name)) == 1


def test_two_output_versions_never_get_one_block_by_extension_even_at_once(chains, name, typeName, blocks):
    first, second = add(chains, name, typeName, blocks, ("b0",)), add(chains, name, typeName, blocks, ("b1",), again=True)

    def extend(chain):
        try:
            return chains.extendScope(chain.chainID, ChainScope(("b2", "b3")), [blocks["b2"], blocks["b3"]], "ada", NOW)
        except ChainRefused as error:
            assert "block b2 is in" in str(error)
            return []

    with ThreadPoolExecutor(2) as pool:
        added = list(pool.map(extend, (first, second)))
    assert sorted(len(each) for each in added) == [0, 2]
    both = [*blockNames(chains, first), *blockNames(chains, second)]
    assert sorted(both) == ["b0", "b1", "b2", "b3"]


def test_an_extension_widens_the_scope_and_may_be_repeated(chains, name, typeName, blocks):
    made = add(chains, name, typeName, blocks)
    more = ChainScope(("b1", "b2"), True, NOW, ("d",))
    numbers = [blocks["b1"], blocks["b2"]]
    assert chains.extendScope(made.chainID, more, numbers, "bob", NOW) == [blocks["b2"]]
    assert chains.extendScope(made.chainID, more, numbers, "bob", NOW) == []
    assert chains.chainByID(made.chainID).scope == ChainScope(("b0", "b1", "b2"), True, NOW, ("d",))


def test_blocks_that_a_scope_means_are_left_out_where_another_output_version_has_them(chains, name, typeName, blocks):
    first = add(chains, name, typeName, blocks, ("b0", "b1"))
    second = add(chains, name, typeName, blocks, ("b2",), again=True)
    chains.execute("UPDATE Chains SET Scope = '{}' WHERE ChainID = %s", (second.chainID,))
    numbers = [blocks[each] for each in ("b1", "b2", "b3")]
    assert chains.addChainBlocks(second.chainID, numbers, "agent", NOW) == [blocks["b3"]]
    assert chains.addChainBlocks(second.chainID, numbers, "agent", NOW) == []
    # late files of a block go where the block is, in both
    chains.execute("UPDATE Blocks SET ParentID = %s WHERE BlockID = %s", (blocks["b2"], blocks["b4"]))
    assert chains.addChainBlocks(first.chainID, [blocks["b4"]], "agent", NOW) == [blocks["b4"]]
    assert chains.addChainBlocks(second.chainID, [blocks["b4"]], "agent", NOW) == [blocks["b4"]]


def test_blocks_that_a_scope_means_are_taken_again_where_that_was_asked_for(chains, name, typeName, blocks):
    add(chains, name, typeName, blocks)
    second = add(chains, name, typeName, blocks, ("b2",), again=True)
    assert chains.addChainBlocks(second.chainID, [blocks["b1"]], "agent", NOW) == [blocks["b1"]]


def test_a_state_is_changed_only_from_one_that_was_expected(chains, name, typeName, blocks):
    made = add(chains, name, typeName, blocks)
    later = NOW + timedelta(minutes=1)
    assert not chains.setChainState(made.chainID, [ChainState.ACTIVE], ChainState.STOPPED, "bob", later)
    assert chains.setChainState(made.chainID, [ChainState.STARTING], ChainState.ACTIVE, "bob", later)
    changed = chains.chainByID(made.chainID)
    assert (changed.state, changed.stateTime, changed.stateBy) == (ChainState.ACTIVE, later, "bob")
    assert chains.readChains([ChainState.STARTING], name) == []


def test_steps_are_found_by_chain_and_by_transformation(chains, name, typeName, blocks):
    made = add(chains, name, typeName, blocks)
    rows = [
        StepTransformation(made.chainID, 1, "", "rawrec", StepKind.PROCESS, 1_900_000_000 + 10 * made.chainID),
        StepTransformation(made.chainID, 2, "JINR-EOS", "out", StepKind.REPLICATE, 1_900_000_001 + 10 * made.chainID),
    ]
    for row in (*rows, *rows):
        chains.recordStep(row)
    assert chains.chainSteps(made.chainID) == rows
    assert chains.chainOfTransformation(rows[1].transformationID) == (made, rows[1])


def test_waived_inputs_are_tried_again_when_that_is_undone(chains, name, typeName, blocks):
    made = add(chains, name, typeName, blocks)
    columns = "ChainID, StepNumber, SE, ParentID, BlockID, LFN, State, Attempts, Error, Detail, FirstTime, LastTime"
    for parent, state in enumerate(("GivenUp", "Recovering", "Solved")):
        values = (made.chainID, 1, "", parent, blocks["b0"], f"/f{parent}", state, 5, "Lost", "why", NOW, NOW)
        chains.execute(f"INSERT INTO Recoveries ({columns}) VALUES ({', '.join(['%s'] * len(values))})", values)
    states = lambda: {each.lfn: (each.state, each.attempts) for each in chains.troubledInputs(made.chainID)}  # noqa: E731
    assert states() == {"/f0": ("GivenUp", 5), "/f1": ("Recovering", 5)}
    assert chains.waiveInputs(made.chainID, ["/f0", "/f2"], NOW) == 1
    assert states() == {"/f0": ("Waived", 5), "/f1": ("Recovering", 5)}
    assert chains.retryInputs(made.chainID, ["/f0", "/f1"], NOW) == 1
    assert states() == {"/f0": ("Recovering", 0), "/f1": ("Recovering", 5)}


# ---- what the desk makes of it


class Starter:
    """Makes chains Active."""

    def __init__(self, chains) -> None:
        self.chains, self.isBroken = chains, False

    def complete(self, chain, actor):
        if self.isBroken:
            raise ConnectionError("cut short")
        self.chains.setChainState(chain.chainID, [ChainState.STARTING], ChainState.ACTIVE, actor, NOW)
        return self.chains.chainByID(chain.chainID)


@pytest.fixture
def desk(chains):
    return ChainDesk(chains, Starter(chains), Known())


@pytest.fixture
def text(name, typeName):
    return TEXT.replace("name: rerec", f"name: {name}").replace("type: RTRaw", f"type: {typeName}")


def test_a_plan_is_what_happens(desk, chains, text, name, blocks):
    plan = desk.planStart(text, "f.yaml", {"From": "b1", "To": "b3"})
    assert (plan["Production"], plan["Blocks"], plan["Files"], plan["SizeBytes"]) == (
        f"{name}-1-v1".replace("-1-", "-J24.1-"),
        ["b1", "b2", "b3"],
        3,
        30,
    )
    assert plan["Steps"][0]["Directory"] == f"/juno/esd/{name}-J24.1-v1/rawrec/<Block>"
    assert chains.readChains(name=name) == []
    done = desk.start(text, "f.yaml", {"From": "b1", "To": "b3"}, "ada")
    assert (done["Production"], done["State"], done["Blocks"]) == (plan["Production"], "Active", 3)


def test_a_start_that_was_cut_short_is_completed_and_a_finished_one_refused(desk, chains, text, name, blocks):
    asked = {"Blocks": ["b0"]}
    desk._starter.isBroken = True
    with pytest.raises(ConnectionError):
        desk.start(text, "f.yaml", asked, "ada")
    desk._starter.isBroken = False
    assert desk.planStart(text, "f.yaml", asked)["Completes"]
    with pytest.raises(ChainRefused, match="started before"):
        desk.planStart(text, "f.yaml", {"Blocks": ["b1"]})
    assert desk.start(text, "f.yaml", asked, "ada")["Production"] == f"{name}-J24.1-v1"
    for call in (lambda: desk.planStart(text, "f.yaml", asked), lambda: desk.start(text, "f.yaml", asked, "ada")):
        with pytest.raises(ChainRefused, match="already|before"):
            call()
    again = desk.start(text, "f.yaml", asked | {"Again": True}, "ada")
    assert again["Production"] == f"{name}-J24.1-v2"
    assert len(chains.readChains(name=name)) == 2


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({}, "no blocks are chosen"),
        ({"Blocks": ["b0", "b9"]}, "knows no block b9"),
        ({"From": "b0"}, "a range has two ends"),
        ({"From": "x", "To": "z"}, "no block of Type"),
        ({"Dataset": "none"}, "there is no dataset none"),
        ({"Block": "b0"}, "not chosen by Block"),
    ],
)
def test_blocks_that_cannot_be_meant_are_refused(desk, chains, text, name, blocks, asked, why):
    with pytest.raises(ChainRefused, match=why):
        desk.start(text, "f.yaml", asked, "ada")
    assert chains.readChains(name=name) == []


def test_a_bad_description_is_refused_with_its_lines(desk, text, blocks):
    with pytest.raises(ChainRefused, match=r"f\.yaml:\d+: step rawrec: cores is 'many'"):
        desk.start(text.replace("cores: 8", "cores: many"), "f.yaml", {"Blocks": ["b0"]}, "ada")
