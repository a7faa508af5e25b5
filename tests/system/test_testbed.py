"""The testbed keeps itself running, says the truth about itself, and goes without a trace."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Producer
from fts3_standin.client import StandinRules
from junotestbed.observe import DESTINATIONS, allConsumed, replicasOf, waitUntil
from junotestbed.settings import PORTS, SITES, Settings
from junotestbed.shell import port_answers
from junotestbed.traffic import announce, make_files

pytestmark = pytest.mark.system


def pids(testbed) -> dict[str, int]:
    return {row[0]: row[2] for row in testbed.rows()}


def processes(settings: Settings) -> dict[int, str]:
    """Pid and start time of every process that belongs to this testbed, by its environment or its command line."""
    mark, found = f"JUNO_TESTBED_STATE={settings.state}".encode(), {}
    for folder in Path("/proc").iterdir():
        try:
            environment = (folder / "environ").read_bytes().split(b"\0") if folder.name.isdigit() else []
            ours = (mark in environment and b"JUNO_TESTBED_SUPERVISED=yes" in environment) or (
                folder.name.isdigit() and f"{settings.run}/".encode() in (folder / "cmdline").read_bytes()
            )
        except OSError:
            continue  # it has just ended
        if ours:
            found[int(folder.name)] = startTime(int(folder.name))
    return {pid: started for pid, started in found.items() if started}


def startTime(pid: int) -> str:
    """With the pid it tells a process from a later one; empty if the process has ended."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    return "" if state == "Z" else fields[18]


def listening(pid: int) -> list[tuple[str, int]]:
    """Address and port of the TCP sockets on which a process listens, from its own network namespace's tables."""
    folder, inodes = Path(f"/proc/{pid}"), set()
    for number in (folder / "fd").iterdir():
        try:
            target = os.readlink(number)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6"):
        for line in (folder / "net" / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                words = [bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8)]
                found.append((str(ipaddress.ip_address(b"".join(words))), int(port, 16)))
    return found


def isLoopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


def networks(testbed) -> list[str]:
    """What is left of the sites' networks: namespaces, links, host files."""
    network = testbed.network
    paths = [Path("/run/netns") / network.namespace(site) for site in SITES]
    paths += [Path("/etc/netns") / network.namespace(site) for site in SITES]
    paths += [Path("/sys/class/net") / name for name in [network.bridge, *map(network.cable, SITES)]]
    return [str(path) for path in paths if path.exists() or path.is_symlink()]


def isUp(command) -> bool:
    return command("status").returncode == 0


@pytest.fixture
def allUp(command) -> None:
    """What an earlier test left behind has come up again."""
    waitUntil("all components are up", lambda: isUp(command), 60)


# --- what it says ---------------------------------------------------------------------------------------------------------------


def test_status_is_0_and_shows_every_component_with_its_process_when_all_are_up(testbed, command, allUp):
    done = command("status")
    assert done.returncode == 0
    lines = {line.split()[0]: line.split()[1:] for line in done.output.splitlines()[1:-1]}
    assert set(PORTS) - {"kafka-controller", "fts3"} <= set(lines)
    assert {f"xrootd-{site.se}" for site in SITES} <= set(lines)
    for name, (state, pid, *_) in lines.items():
        assert state == "up", name
        assert Path(f"/proc/{pid}").exists(), name
    assert f"{len(lines)} of {len(lines)} up" in done.output


def test_a_second_up_leaves_every_process_as_it_is(testbed, command, allUp):
    before = pids(testbed)
    assert all(before.values())
    done = command("up")
    assert done.returncode == 0, done.output
    assert pids(testbed) == before


@pytest.mark.parametrize(("tree", "name"), [("infra", "proxy-renewer"), ("dirac", "Accounting/ReportGenerator")])
def test_status_is_1_and_names_the_component_that_was_taken_down(testbed, command, allUp, tree, name):
    supervisor, folder = getattr(testbed, tree), name.replace("/", "_")
    supervisor.control("down", folder, wait=30)
    try:
        done = command("status")
        assert done.returncode == 1
        assert done.output.splitlines()[-1].endswith(f"; not up: {name}")
    finally:
        supervisor.control("up", folder)
    waitUntil("it is up again", lambda: isUp(command), 60)


def test_logs_prints_the_end_of_a_log(testbed, command):
    done = command("logs", "mariadb", "-n", "3")
    assert done.returncode == 0
    log = (testbed.settings.infra / "sv/mariadb/log/current").read_text(errors="replace").splitlines()
    assert [line.strip() for line in done.output.splitlines()] == [line.strip() for line in log[-3:]]
    receiver = command("logs", "RawData/RawReceiverAgent")
    assert receiver.returncode == 0
    assert "RawData/RawReceiverAgent" in receiver.output


def test_logs_of_an_unknown_name_is_refused_with_the_names_that_there_are(testbed, command):
    done = command("logs", "nosuch")
    assert done.returncode == 2
    assert "'nosuch'" in done.output
    for name in ("mariadb", "kafka", "xrootd-CNAF-STORM", "RawData/RawReceiverAgent"):
        assert name in done.output
    listed = command("logs")
    assert listed.returncode == 0
    assert set(listed.output.split()) == set(pids(testbed))


def test_exec_as_shifter_has_the_shifters_proxy(command):
    said = command("exec", "--as", "shifter", "dirac-proxy-info").output
    assert "Shifter On Duty" in said
    assert "juno_shifter" in said
    assert "juno_prod" in command("exec", "dirac-proxy-info").output


def test_exec_gives_the_status_of_the_command(command):
    assert command("exec", "sh", "-c", "exit 7").returncode == 7


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["exec"], "exec needs a command, for example"),
        (["exec", "--as", "shifter"], "exec needs a command, for example"),
        (["exec", "no-such-command"], "there is no command 'no-such-command'"),
        (["exec", "--as", "nobody", "true"], "'nobody'"),
        (["site", "cut", "CERN-EOS"], "'CERN-EOS'"),
    ],
)
def test_a_command_that_cannot_be_done_is_refused_with_its_reason_and_no_traceback(command, words, expected):
    done = command(*words)
    assert done.returncode == 2
    assert expected in done.output
    assert "Traceback" not in done.output


def test_only_one_command_at_a_time_starts_or_stops_things(testbed, command):
    with open(testbed.settings.state / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = command("up")
    assert done.returncode == 2
    assert "another command is at work" in done.output


# --- what it shows to the outside -----------------------------------------------------------------------------------------------


def test_every_process_listens_on_the_loopback_or_in_a_network_of_its_own(testbed, allUp):
    own = os.readlink("/proc/self/ns/net")
    seen: set[int] = set()
    for pid in processes(testbed.settings):
        try:
            sockets, inside = listening(pid), os.readlink(f"/proc/{pid}/ns/net") == own
            what = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has just ended
        seen |= {port for _, port in sockets}
        if not testbed.settings.choices.netns and "/xrootd " in what:
            continue  # cannot be bound; it turns others away, see docs/testbed.rst
        for address, port in sockets:
            assert not inside or isLoopback(address), f"{what} listens on {address}:{port}"
    expected = {testbed.settings.port(name) for name in PORTS if name != "fts3" or testbed.settings.has_standin}
    assert expected | {testbed.settings.site_address(site)[1] for site in SITES} <= seen


# --- what happens when something dies -------------------------------------------------------------------------------------------

KILLED = [
    ("infra", "mariadb"),
    ("infra", "kafka"),
    ("infra", "xrootd-IHEP-JUNOEOS"),
    ("infra", "fts3-standin"),
    ("dirac", "Transformation/TransformationManager"),
    ("dirac", "RawData/RawReceiverAgent"),
]


@pytest.fixture(scope="module")
def growingBlock(testbed) -> str:
    """A block for the files of all tests here that kill something."""
    from junotestbed.demo import free_days

    return free_days(testbed.settings, 1)[0]


@pytest.mark.parametrize(("tree", "name"), KILLED, ids=[name for _, name in KILLED])
def test_a_killed_component_is_up_again_by_itself_and_the_next_file_is_registered(
    testbed, command, allUp, growingBlock, tree, name
):
    old = pids(testbed)[name]
    standin = StandinRules(testbed.settings.fts3_endpoint)
    attempts = {attempt["attempt_id"] for attempt in standin.transfers()} if name == "fts3-standin" else set()
    os.kill(old, signal.SIGKILL)
    waitUntil(f"{name} has a new process and all is up", lambda: pids(testbed)[name] not in (0, old) and isUp(command), 60)
    if name == "fts3-standin":
        assert attempts <= {attempt["attempt_id"] for attempt in standin.transfers()}
    # without a size: the receiver has to ask the storage
    files = make_files(testbed.settings, "Raw", growingBlock, 1, 1000, run=8000 + KILLED.index((tree, name)))
    announce(testbed.settings, "juno.raw", [(file.block, file.announcement(FileSize=None)) for file in files])
    waitUntil("the next file is registered", lambda: len(replicasOf(files)) == 1, 60)


def test_after_an_outage_of_kafka_longer_than_its_sessions_every_partition_is_read_again(testbed, command, allUp, growingBlock):
    infra, files = testbed.infra, make_files(testbed.settings, "Raw", growingBlock, 3, 1000, run=8050)
    infra.control("once", "kafka")
    os.kill(infra.state("kafka").pid, signal.SIGKILL)
    try:
        # a member of the group that was not heard of for 45 s loses its partitions
        time.sleep(60)
    finally:
        infra.control("up", "kafka")
    waitUntil("all components are up", lambda: isUp(command), 60)
    producer = Producer({"bootstrap.servers": testbed.settings.kafka_brokers})
    for partition, file in enumerate(files):
        producer.produce("juno.raw", json.dumps(file.announcement()).encode(), partition=partition)
    assert producer.flush(60) == 0
    waitUntil("the file of each partition is registered", lambda: len(replicasOf(files)) == len(files), 90)


def test_files_announced_while_the_database_is_killed_are_all_registered_once(testbed, command, allUp, growingBlock, database):
    files = make_files(testbed.settings, "Raw", growingBlock, 40, 1000, run=8100)
    infra, announced = testbed.infra, threading.Event()

    def announceSlowly() -> None:
        for first in range(0, len(files), 2):
            announce(testbed.settings, "juno.raw", [(file.block, file.announcement()) for file in files[first : first + 2]])
            time.sleep(0.6)
        announced.set()

    announcing = threading.Thread(target=announceSlowly)
    announcing.start()
    time.sleep(2)
    old = infra.state("mariadb").pid
    os.kill(old, signal.SIGKILL)
    waitUntil("the database is back", lambda: infra.state("mariadb").pid not in (0, old), 30)
    time.sleep(2)
    # and once for so long that nobody gets over it by asking again
    infra.control("once", "mariadb")
    os.kill(infra.state("mariadb").pid, signal.SIGKILL)
    try:
        time.sleep(6)
    finally:
        infra.control("up", "mariadb")
    assert not announced.is_set(), "the database was not away while files were announced"
    announcing.join()
    names = [file.file_name for file in files]
    like = files[0].file_name.replace("0001.dat", "%")

    def ledger() -> Counter:
        return Counter(database.rows("RawDataDB", "SELECT State FROM Files WHERE FileName LIKE %s", like))

    waitUntil("the database answers", lambda: port_answers("127.0.0.1", testbed.settings.port("mariadb")), 30)
    waitUntil("all are registered", lambda: ledger()[("Registered",)] == len(files), 90)
    waitUntil("the topic is consumed", lambda: allConsumed(testbed), 30)
    once = {
        "the ledger": ("RawDataDB", "SELECT FileName FROM Files WHERE FileName LIKE %s", 1),
        "the catalogue": ("FileCatalogDB", "SELECT FileName FROM FC_Files WHERE FileName LIKE %s", 1),
        "the transfers": (
            "TransformationDB",
            "SELECT SUBSTRING_INDEX(LFN, '/', -1) FROM TransformationFiles JOIN DataFiles USING (FileID) WHERE LFN LIKE %s",
            len(DESTINATIONS),
        ),
    }
    for where, (name, query, times) in once.items():
        found = Counter(row[0] for row in database.rows(name, query, "%" + like))
        assert found == Counter(dict.fromkeys(names, times)), where
    assert database.rows("RawDataDB", "SELECT Reason FROM Quarantine WHERE Payload LIKE %s", f"%{like}") == []


# --- how it goes ----------------------------------------------------------------------------------------------------------------


def fakeState(tmp_path: Path, tools: Path | None = None) -> tuple[Settings, dict[str, str]]:
    """A state folder like one of a testbed without namespaces that does not run."""
    settings = Settings(tmp_path / "state")
    settings.choose(False)
    (settings.storage / "CNAF-STORM").mkdir(parents=True)
    (settings.storage / "CNAF-STORM/file").write_text("content")
    if tools:
        settings.tools.symlink_to(tools)
    return settings, {**os.environ, "JUNO_TESTBED_STATE": str(settings.state)}


def test_wipe_deletes_the_state_and_keeps_what_was_installed_and_every_other_testbed(testbed, allUp, command, tmp_path):
    before = pids(testbed)
    settings, env = fakeState(tmp_path, testbed.settings.tools)
    done = command("wipe", env=env)
    assert done.returncode == 0, done.output
    assert not settings.run.exists()
    assert (settings.tools / "venv/bin/python").exists()
    assert pids(testbed) == before
    again = command("wipe", env=env)
    assert again.returncode == 0
    assert "nothing to do" in again.output


def test_wipe_all_deletes_also_what_was_installed(testbed, tmp_path):
    settings, env = fakeState(tmp_path)
    (settings.tools / "kafka").mkdir(parents=True)
    env["PYTHONPATH"] = str(Path(__file__).parents[1] / "testbed")
    python = str(testbed.settings.venv / "bin/python")
    subprocess.run([python, "-m", "junotestbed", "wipe", "--all"], env=env, check=True, timeout=60)
    assert not settings.run.exists()
    assert not settings.tools.exists()


def test_a_testbed_that_was_never_started_says_so(command, testbed, tmp_path):
    state = tmp_path / "none"
    state.mkdir()
    (state / "tools").symlink_to(testbed.settings.tools)
    env = {**os.environ, "JUNO_TESTBED_STATE": str(state)}
    for words in (["status"], ["exec", "true"], ["logs"]):
        done = command(*words, env=env)
        assert done.returncode == 2
        assert f"there is no testbed in {state}: run 'scripts/testbed up' first" in done.output
    assert command("down", env=env).returncode == 0


def demoBlocks(command, day: str) -> list[dict]:
    blocks = json.loads(command("exec", "dirac-juno-block-status", "--json").output)["Blocks"]
    return [block for block in blocks if block["Block"] == day]


def kept(blocks: list[dict]) -> list[dict]:
    """What does not go on by itself, as rates and transformations that are archived do."""
    names = ("Block", "Type", "Directory", "State", "Files", "Bytes", "Catalogued", "CataloguedBytes")
    sites = ("SE", "TransformationID", "State", "Files", "Done", "DoneBytes")
    return [
        {**{name: block[name] for name in names}, "Sites": [{name: site.get(name) for name in sites} for site in block["Sites"]]}
        for block in blocks
    ]


def test_down_leaves_nothing_and_up_brings_everything_back_with_the_data_that_were_there(testbed, command, demo, allUp):
    settings = testbed.settings
    day = demo.output.split("of the RAW blocks ")[1][:8]
    before, running = demoBlocks(command, day), processes(settings)
    assert {(b["Type"], s["SE"], s["Complete"]) for b in before for s in b["Sites"]} == {
        (typeName, se, True) for typeName in ("Raw", "RTRaw") for se in DESTINATIONS
    }
    assert len(running) > len(pids(testbed))
    assert bool(networks(testbed)) == settings.choices.netns
    try:
        done = command("down", timeoutSeconds=180)
        assert done.returncode == 0, done.output
        assert not [pid for pid, started in running.items() if startTime(pid) == started]
        assert processes(settings) == {}
        assert networks(testbed) == []
        assert not [name for name in PORTS if port_answers("127.0.0.1", settings.port(name))]
        assert command("status").returncode == 1
        assert command("down").returncode == 0
    finally:
        up = command("up", timeoutSeconds=300)
    assert up.returncode == 0, up.output
    assert isUp(command)
    assert kept(demoBlocks(command, day)) == kept(before)
