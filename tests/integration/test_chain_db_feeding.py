"""What the feeder of chains reads and writes, on a real database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from ledgertools import announced, makeFile

from JUNODIRAC.Core.Domain.BlockInChain import BlockInChain
from JUNODIRAC.Core.Domain.BlockState import BlockState
from JUNODIRAC.Core.Domain.ChainBlockFacts import BlockOutcome, StepCounts
from JUNODIRAC.Core.Domain.ChainRecords import ChainBlockState, ChainScope
from JUNODIRAC.Core.Domain.RunQuality import RunStep
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger
from JUNODIRAC.RawDataSystem.DB.RawDataDB import RawDataDB

pytestmark = pytest.mark.integration
NOW = datetime.now(UTC).replace(microsecond=0)
WAITING, RUNNING, PROBLEM = ChainBlockState.WAITING, ChainBlockState.RUNNING, ChainBlockState.PROBLEM
CHAIN_TABLES = ("ChainSteps", "ChainBlocks", "ChainInputs", "Products", "Derivations", "Recoveries", "Chains")


@pytest.fixture
def chains(ledger: RawDataDB) -> ChainLedger:
    return ChainLedger()


@pytest.fixture
def chainID(chains, typeName) -> int:
    """A chain of two steps, a process and a replicate, over the Type of this test."""
    columns = (
        "Production, Name, Version, OutputVersion, State, Type, Description, Scope, CreatedTime, CreatedBy, StateTime, StateBy"
    )
    values = (f"rerec-{typeName}-v1", "rerec", "J1", 1, "Active", typeName, "", "{}", NOW, "prod", NOW, "prod")
    chains.execute(f"INSERT INTO Chains ({columns}) VALUES ({', '.join(['%s'] * len(values))})", values)
    ((number,),) = chains.select("SELECT ChainID FROM Chains WHERE Production = %s", (values[0],))
    for step, se, name, kind in ((1, "", "rawrec", "process"), (2, "JINR-EOS", "replicate", "replicate")):
        sql = "INSERT INTO ChainSteps (ChainID, StepNumber, SE, Step, Kind, TransformationID) VALUES (%s, %s, %s, %s, %s, %s)"
        chains.execute(sql, (number, step, se, name, kind, 2_000_000_000 + 10 * number + step))
    yield number
    for table in CHAIN_TABLES:
        chains.execute(f"DELETE FROM {table} WHERE ChainID = %s", (number,))


def register(chains, *files):
    """These files, in open blocks.

    :returns: ids of the blocks by name
    """
    announced(chains, *files)
    for file in files:
        chains.execute(
            "UPDATE Files f JOIN Directories d ON d.DirectoryID = f.DirectoryID SET f.State = 'Registered'"
            " WHERE d.Directory = %s AND f.FileName = %s",
            (file.directory, file.fileName),
        )
    chains.execute("UPDATE Blocks SET State = 'Open', OpenedTime = %s WHERE Type = %s", (NOW, files[0].typeName))
    return dict(chains.select("SELECT Block, BlockID FROM Blocks WHERE Type = %s", (files[0].typeName,)))


def give(chains, chainID, blockID, step=1):
    files = chains.unattachedFiles(chainID, step, blockID)
    chains.recordChainInputs(chainID, step, blockID, [file.fileID for file in files], NOW)
    return files


def product(chains, chainID, blockID, lfn, parents, state="Registered", step=1):
    columns = (
        "ChainID, StepNumber, BlockID, AttemptID, LFN, GUID, SE, SizeBytes, Checksum, Events, Stream, FirstRun, LastRun,"
        " FirstSequence, LastSequence, State, CommittedTime"
    )
    values = (chainID, step, blockID, 1, lfn, "g", "SE", 1, "c", 1, "S.N", 1, 1, 1, 1, state, NOW)
    chains.execute(f"INSERT INTO Products ({columns}) VALUES ({', '.join(['%s'] * len(values))})", values)
    ((number,),) = chains.select("SELECT ProductID FROM Products WHERE LFN = %s", (lfn,))
    for position, parent in enumerate(parents):
        chains.execute("INSERT INTO Derivations VALUES (%s, %s, %s, %s, %s, 1)", (chainID, step, parent, number, position))
    return number


def recover(chains, chainID, blockID, parentID, state, se="", step=1):
    columns = "ChainID, StepNumber, SE, ParentID, BlockID, LFN, State, Detail, FirstTime, LastTime"
    values = (chainID, step, se, parentID, blockID, "/x", state, "", NOW, NOW)
    chains.execute(f"INSERT INTO Recoveries ({columns}) VALUES ({', '.join(['%s'] * len(values))})", values)


# ---- blocks


def test_a_scope_takes_named_blocks_new_ones_those_of_datasets_and_late_files_of_any_of_them(chains, chainID, typeName):
    days = [f"2023030{day}" for day in range(1, 8)]
    ids = register(chains, *(makeFile(typeName, 1, day) for day in days))
    chains.execute("UPDATE Blocks SET CreatedTime = %s WHERE Type = %s", (NOW - timedelta(days=9), typeName))
    chains.execute("UPDATE Blocks SET CreatedTime = %s WHERE BlockID = %s", (NOW, ids["20230302"]))
    chains.execute("UPDATE Blocks SET State = 'Known' WHERE BlockID = %s", (ids["20230307"],))
    for parent in ("20230301", "20230304", "20230305"):
        sql = (
            "INSERT INTO Blocks (Type, Block, ParentID, State, CreatedTime)"
            " SELECT Type, CONCAT(Block, '-late1'), BlockID, 'Open', %s FROM Blocks WHERE BlockID = %s"
        )
        chains.execute(sql, (NOW - timedelta(days=1), ids[parent]))
    columns = "Name, Path, Type, FirstBlock, LastBlock, CreatedTime, CreatedBy"
    values = (f"set-{typeName}", "", typeName, "20230303", "20230304", NOW, "")
    chains.execute(f"INSERT INTO Datasets ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s)", values)

    def missing(**kwargs):
        return sorted(chains.missingBlocks(chainID, typeName, ChainScope(**kwargs)).values())

    assert missing(blocks=("20230301", "20230307", "no")) == ["20230301"]
    assert missing(eachNewBlock=True, newSince=NOW) == ["20230302"]
    assert missing(datasets=(f"set-{typeName}",)) == ["20230303", "20230304", "20230304-late1"]
    assert chains.addChainBlocks(chainID, [ids["20230301"]], "test", NOW) == [ids["20230301"]]
    assert chains.addChainBlocks(chainID, [ids["20230301"]], "other", NOW) == []
    assert missing() == ["20230301-late1"]
    chains.execute("DELETE FROM Datasets WHERE Name = %s", (f"set-{typeName}",))


@pytest.mark.parametrize(
    ("state", "opened", "closed", "isClosed"),
    [
        ("Open", 0, None, False),
        ("Closed", 0, 1, True),
        ("Done", 0, 1, True),
        ("Problem", 0, None, False),
        ("Problem", 0, 1, True),
        ("Problem", 2, 1, False),
    ],
)
def test_a_block_with_a_problem_is_closed_if_it_was_closed_after_it_was_opened(
    chains, chainID, typeName, state, opened, closed, isClosed
):
    (blockID,) = register(chains, makeFile(typeName)).values()
    times = [None if hours is None else NOW + timedelta(hours=hours) for hours in (opened, closed)]
    chains.execute("UPDATE Blocks SET State = %s, OpenedTime = %s, ClosedTime = %s WHERE BlockID = %s", (state, *times, blockID))
    chains.addChainBlocks(chainID, [blockID], "test", NOW)
    (block,) = chains.fedBlocks([chainID], withDone=False)
    assert (block.blockState, block.isClosed) == (BlockState(state), isClosed)


def test_a_change_of_state_is_made_only_from_the_state_that_was_seen(chains, chainID, typeName):
    (blockID,) = register(chains, makeFile(typeName)).values()
    chains.addChainBlocks(chainID, [blockID], "test", NOW)
    (seen,) = chains.fedBlocks([chainID], withDone=False)
    assert chains.setChainBlockOutcome(seen, BlockOutcome(1, PROBLEM, "GivenUp: 1"), NOW)
    assert not chains.setChainBlockOutcome(seen, BlockOutcome(2, RUNNING), NOW)
    assert not chains.setChainBlockState(chainID, blockID, RUNNING, ChainBlockState.DONE, NOW)
    (now,) = chains.fedBlocks([chainID], withDone=False)
    assert (now.state, now.endedSteps, now.problem) == (PROBLEM, 1, "GivenUp: 1")
    assert chains.setChainBlockState(chainID, blockID, PROBLEM, ChainBlockState.DONE, NOW)
    chains.execute("UPDATE Blocks SET State = 'Done' WHERE BlockID = %s", (blockID,))
    assert chains.fedBlocks([chainID], withDone=False) == []
    (done,) = chains.fedBlocks([chainID], withDone=True)
    assert (done.state, done.endedSteps, done.problem) == (ChainBlockState.DONE, 1, "")


def test_what_the_last_look_found_is_kept(chains, chainID, typeName):
    (blockID,) = register(chains, makeFile(typeName)).values()
    chains.addChainBlocks(chainID, [blockID], "test", NOW)
    chains.saveBlockLook(chainID, blockID, 5, 3, "2 files wait ☂", NOW)
    (block,) = chains.chainBlocks(chainID)
    assert (block.wantedFiles, block.attachedFiles, block.waits, block.countedTime) == (5, 3, "2 files wait ☂", NOW)


# ---- files


def test_only_registered_files_of_the_block_that_the_step_does_not_have_are_unattached(chains, chainID, typeName):
    files = [makeFile(typeName, number) for number in range(1, 5)]
    ids = register(chains, *files[:3], makeFile(typeName, 9, "20230309"))
    announced(chains, files[3])
    found = give(chains, chainID, ids["20230302"])
    assert sorted(file.lfn for file in found) == [file.lfn for file in files[:3]]
    assert {(file.run, file.stream) for file in found} == {(123, "Physics.")}
    assert chains.unattachedFiles(chainID, 1, ids["20230302"]) == []
    assert len(chains.unattachedFiles(chainID, 2, ids["20230302"])) == 3
    chains.recordChainInputs(chainID, 1, 77, [found[0].fileID], NOW)
    assert chains.inputCounts(chainID) == {ids["20230302"]: {1: 3}}
    assert chains.inputCounts(chainID, [1]) == {}
    assert sorted(lfn for lfns in chains.inputLFNs(chainID, 1) for lfn in lfns) == [file.lfn for file in files[:3]]
    assert chains.registeredCounts([ids["20230302"]]) == {ids["20230302"]: 3}


# ---- steps


def test_a_step_is_held_and_released(chains, chainID):
    step = chains.chainSteps(chainID)[1]
    chains.holdStep(step, "storage-up: away", NOW)
    held = chains.chainSteps(chainID)
    assert [(each.held, each.heldTime) for each in held] == [("", None), ("storage-up: away", NOW)]
    chains.releaseStep(held[1])
    assert [each.held for each in chains.chainSteps(chainID)] == ["", ""]


def test_an_input_is_settled_by_a_registered_output_or_by_giving_up_and_counts_once(chains, chainID, typeName):
    files = [makeFile(typeName, number) for number in range(1, 8)]
    (blockID,) = register(chains, *files).values()
    one, two, three, four, five, six, _ = sorted(file.fileID for file in give(chains, chainID, blockID))
    product(chains, chainID, blockID, f"/{typeName}/a", [one, two])
    product(chains, chainID, blockID, f"/{typeName}/b", [three], "Retired")
    product(chains, chainID, blockID, f"/{typeName}/c", [four], "Committed")
    recover(chains, chainID, blockID, one, "GivenUp")  # another attempt made it after all
    recover(chains, chainID, blockID, five, "GivenUp")
    recover(chains, chainID, blockID, six, "Waived")
    assert chains.stepCounts(chainID, [blockID]) == {blockID: {1: StepCounts(settled=5, givenUp=1, unregistered=1)}}
    assert chains.productCounts(chainID) == chains.productCounts(chainID, [blockID]) == {blockID: {1: 2}}
    assert [lfn for lfns in chains.productLFNs(chainID, 1) for lfn in lfns] == [f"/{typeName}/a"]


def test_copies_that_were_given_up_do_not_keep_a_step_from_ending(chains, chainID, typeName):
    (blockID,) = register(chains, makeFile(typeName)).values()
    made = [product(chains, chainID, blockID, f"/{typeName}/{number}", [number]) for number in (1, 2, 3)]
    lfns = [f"/{typeName}/{number}" for number in (1, 2)]
    assert chains.unfinishedOfBlocks(chainID, 2, 1, "JINR-EOS", lfns) == {blockID: 2}
    recover(chains, chainID, blockID, made[0], "GivenUp", "JINR-EOS", step=2)
    recover(chains, chainID, blockID, made[1], "GivenUp", "CNAF-STORM", step=2)
    assert chains.unfinishedOfBlocks(chainID, 2, 1, "JINR-EOS", lfns) == {blockID: 1}
    assert chains.unfinishedOfBlocks(chainID, 2, 1, "JINR-EOS", []) == {}
    assert chains.stepCounts(chainID, [blockID])[blockID][2] == StepCounts(givenUp=2)


# ---- runs


def test_the_last_word_of_a_run_counts_and_changes_the_revision(chains, typeName):
    runs = [int(typeName[4:], 16) % 10**9 + number for number in range(3)]
    before = chains.qualityRevision()
    chains.flagRuns(runs[:2], "bad", "prod", "noise", NOW)
    flagged = chains.qualityRevision()
    chains.flagRuns(runs[1:2], "good", "prod", "a mistake", NOW + timedelta(seconds=1))
    assert len({before, flagged, chains.qualityRevision()}) == 3
    assert chains.runQualities(runs) == {runs[0]: "bad", runs[1]: "good"}
    (flag,) = chains.readRunFlags("good", runs)
    assert (flag.run, flag.actor, flag.reason, flag.time) == (runs[1], "prod", "a mistake", NOW + timedelta(seconds=1))
    chains.execute(f"DELETE FROM RunQuality WHERE RunNumber BETWEEN {runs[0]} AND {runs[2]}")


def test_the_files_of_a_run_are_counted_in_each_step_of_each_chain_that_is_under_way(chains, chainID, typeName):
    ids = register(chains, makeFile(typeName, 1), makeFile(typeName, 2), makeFile(typeName, 3, "20230309"))
    chains.addChainBlocks(chainID, [ids["20230302"]], "test", NOW)
    give(chains, chainID, ids["20230302"])
    register(chains, makeFile(typeName, 4))
    mine = [each for each in chains.runSteps([123]) if each.production == f"rerec-{typeName}-v1"]
    assert mine == [RunStep(f"rerec-{typeName}-v1", 1, 123, 3, 2)]
    chains.execute("UPDATE Chains SET State = 'Ended' WHERE ChainID = %s", (chainID,))
    assert [each for each in chains.runSteps([123]) if each.production == f"rerec-{typeName}-v1"] == []


def test_a_block_knows_its_chains_and_what_they_wait_for(chains, chainID, typeName):
    ids = register(chains, makeFile(typeName), makeFile(typeName, 2, "20230309"))
    blockID = ids["20230302"]
    chains.addChainBlocks(chainID, [blockID], "test", NOW)
    chains.saveBlockLook(chainID, blockID, 5, 3, "one\ntwo", NOW)
    chains.holdStep(chains.chainSteps(chainID)[0], "catalogue-up: away", NOW)
    name = f"rerec-{typeName}-v1"
    expected = BlockInChain(name, "Active", "Waiting", 0, 2, 5, 3, "one\ntwo", "", "step rawrec is held: catalogue-up: away")
    found = chains.blockChains(list(ids.values()))
    assert found == {blockID: [expected]}
    assert json.loads(json.dumps(found[blockID][0].toDict())) == expected.toDict()
