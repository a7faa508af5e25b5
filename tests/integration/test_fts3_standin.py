"""The FTS3 stand-in with the real `fts3` client, real XRootD servers and real copies.

Everything is started here, on free ports of 127.0.0.1: two storages, the stand-in, a throwaway CA. The testbed is not needed.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

TESTBED = Path(__file__).parents[1] / "testbed"
sys.path.insert(0, str(TESTBED))

# The package under test is found only after the line above; gfal2 may be missing where there is no testbed.
fts3 = pytest.importorskip("fts3.rest.client.easy")
pytest.importorskip("gfal2")

import psutil  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402
from DIRAC.Core.Security.X509Chain import X509Chain  # noqa: E402
from fts3.rest.client import Delegator  # noqa: E402
from fts3.rest.client.exceptions import FTS3ClientException, NeedDelegation, NotFound, Unauthorized  # noqa: E402
from fts3.rest.client.request import Request  # noqa: E402
from fts3_standin.client import StandinRules  # noqa: E402

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not shutil.which("xrootd"), reason="the Debian package xrootd-server is not installed"),
]

RETRY_DELAY_SECONDS = 2
FINAL = {"FINISHED", "FAILED", "FINISHEDDIRTY", "CANCELED"}


def wait_for(condition: Any, seconds: float, what: str) -> Any:
    """Ask until the answer is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_listening(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Authority:
    """A throwaway CA."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._name = self._make_name("Throwaway CA")
        self.certificate = self._sign(self._name, self._key.public_key(), ca=True)
        (folder / "ca.pem").write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    @staticmethod
    def _make_name(common_name: str) -> x509.Name:
        organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test")
        return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    def _sign(self, subject: x509.Name, public_key: Any, ca: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(public_key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=2))
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        usage = dict.fromkeys(
            ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
        )
        usage |= {"digital_signature": True, "key_encipherment": not ca, "key_cert_sign": ca, "crl_sign": ca}
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, common_name: str) -> tuple[Path, Path]:
        """
        :returns: (certificate, key)
        """
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        certificate = self._sign(self._make_name(common_name), key.public_key(), ca=False)
        cert_path, key_path = self.folder.parent / f"{common_name}.cert", self.folder.parent / f"{common_name}.key"
        cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_path.touch(mode=0o600)
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
        )
        return cert_path, key_path

    def proxy(self, common_name: str, life_seconds: int = 24 * 3600) -> Path:
        """An RFC proxy as DIRAC makes it."""
        cert_path, key_path = self.issue(common_name)
        chain = X509Chain()
        assert chain.loadChainFromFile(str(cert_path))["OK"]
        assert chain.loadKeyFromFile(str(key_path))["OK"]
        path = self.folder.parent / f"{common_name}.proxy"
        result = chain.generateProxyToFile(str(path), life_seconds)
        assert result["OK"], result
        return path


class Storage:
    """One XRootD server."""

    def __init__(self, name: str, folder: Path) -> None:
        self.root, self.port = folder / "data", free_port()
        (self.root / "eos").mkdir(parents=True)
        config = folder / "xrootd.cfg"
        config.write_text(
            f"all.export /eos\noss.localroot {self.root}\nall.adminpath {folder}/admin\nall.pidpath {folder}/admin\n"
            f"xrd.port {self.port}\nxrd.network nodnr\nxrootd.chksum max 4 adler32\n"
            "ofs.tpc autorm ttl 60 60 xfr 20 pgm /usr/bin/xrdcp --server\n"
        )
        command = ["xrootd", "-c", str(config), "-n", name]
        if os.geteuid() == 0:
            # XRootD refuses to run as root; in a user namespace it is nobody in particular and still owns its files.
            command = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--", *command]
        with (folder / "log").open("wb") as log:
            # Names are of no use here; without this a slow name server makes each copy wait 5 s, several times.
            environment = {**os.environ, "RES_OPTIONS": "timeout:1 attempts:1"}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
        wait_for(lambda: is_listening(self.port), 15, f"storage {name} listens")

    def url(self, lfn: str) -> str:
        return f"root://127.0.0.1:{self.port}//eos{lfn}"

    def path(self, lfn: str) -> Path:
        return self.root / "eos" / lfn.lstrip("/")

    def put(self, lfn: str, size_bytes: int = 300_000) -> str:
        """
        :returns: adler32 of the new file
        """
        self.path(lfn).parent.mkdir(parents=True, exist_ok=True)
        self.path(lfn).write_bytes(os.urandom(size_bytes))
        return self.adler32(lfn)

    def adler32(self, lfn: str) -> str:
        return f"{zlib.adler32(self.path(lfn).read_bytes()):08x}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Standin:
    """The stand-in as a process that can be killed and started again."""

    folder: Path
    authority: Authority
    port: int = field(default_factory=free_port)
    extra: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.cert, self.key = self.authority.issue("127.0.0.1")
        self.endpoint = f"https://127.0.0.1:{self.port}"
        self.rules = StandinRules(self.endpoint)

    def start(self) -> None:
        command = [
            sys.executable, "-m", "fts3_standin", "--port", str(self.port), "--cert", str(self.cert), "--key", str(self.key),
            "--ca-dir", str(self.authority.folder), "--state", str(self.folder / "state"), "--parallel", "20",
            "--retry-delay", str(RETRY_DELAY_SECONDS), "--kill-margin", "1", *self.extra,
        ]  # fmt: skip
        with (self.folder / "standin.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(TESTBED)})
        wait_for(lambda: is_listening(self.port), 20, "the stand-in listens")

    def end(self, number: int) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(20)

    @property
    def log(self) -> str:
        return (self.folder / "standin.log").read_text()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca") / "certificates")


@pytest.fixture(scope="module")
def storages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Storage, Storage]]:
    folder = tmp_path_factory.mktemp("storages")
    made = []
    try:
        for name in ("ihep", "cnaf"):
            (folder / name).mkdir()
            made.append(Storage(name, folder / name))
        yield made[0], made[1]
    finally:
        for storage in made:
            storage.stop()


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Standin]:
    server = Standin(tmp_path_factory.mktemp("standin"), authority)
    server.start()
    yield server
    assert server.process
    if server.process.poll() is None:
        server.end(signal.SIGKILL)


@pytest.fixture(autouse=True)
def no_rules(standin: Standin) -> None:
    standin.rules.clear()


@pytest.fixture(scope="module")
def context(standin: Standin, authority: Authority) -> Any:
    return connect(standin, authority.proxy("somebody"))


def connect(standin: Standin, proxy: Path, delegate: bool = True) -> Any:
    """A client as DIRAC's FTS3Job makes it."""
    made = fts3.Context(endpoint=standin.endpoint, ucert=str(proxy), request_class=Request, verify=False)
    if delegate:
        fts3.delegate(made, lifetime=timedelta(hours=7), delegate_when_lifetime_lt=timedelta(hours=2))
    return made


def submit(context: Any, pairs: list[tuple[Any, str, str]], **params: Any) -> str:
    """
    :param pairs: (source URL or list of them, destination URL, checksum)
    """
    transfers = []
    for number, (source, destination, checksum) in enumerate(pairs):
        first, *others = source if isinstance(source, list) else [source]
        transfer = fts3.new_transfer(
            first, destination, checksum=f"ADLER32:{checksum}", filesize=300_000, metadata={"fileID": number + 1}
        )
        transfer["sources"] += others
        transfers.append(transfer)
    settings = {
        "verify_checksum": "target",
        "overwrite": True,
        "retry": 3,
        "disable_cleanup": True,
        "metadata": {"operationID": 7},
    }
    return fts3.submit(context, fts3.new_job(transfers=transfers, **(settings | params)))


def finished(context: Any, job_id: str, seconds: float = 60) -> dict[str, Any]:
    """The job with its files, once it is in a final state."""

    def look() -> dict[str, Any] | None:
        status = fts3.get_job_status(context, job_id, list_files=True)
        return status if status["job_state"] in FINAL else None

    return wait_for(look, seconds, f"job {job_id} is final")


def test_a_finished_copy_has_the_checksum_of_its_source_and_reports_what_was_sent(context, storages):
    source, target = storages
    checksum = source.put("/ok/new/directory/a.dat")
    job = finished(
        context, submit(context, [(source.url("/ok/new/directory/a.dat"), target.url("/ok/new/directory/a.dat"), checksum)])
    )
    (entry,) = job["files"]
    assert (job["job_state"], entry["file_state"]) == ("FINISHED", "FINISHED")
    assert target.adler32("/ok/new/directory/a.dat") == checksum
    assert job["job_metadata"] == {"operationID": 7}
    assert entry["file_metadata"] == {"fileID": 1}
    assert entry["filesize"] == 300_000
    assert entry["tx_duration"] > 0
    assert job["dm"] == []


def test_the_proxy_is_delegated_with_its_true_end_and_the_caller_known_by_the_dn_behind_it(context, standin, authority):
    who = fts3.whoami(context)
    assert who["user_dn"] == "/O=Test/CN=somebody"
    end = datetime.fromisoformat(Delegator(context).get_info()["termination_time"]).replace(tzinfo=UTC)
    assert timedelta(hours=6) < end - datetime.now(UTC) <= timedelta(hours=7)
    short = connect(standin, authority.proxy("shortlived", life_seconds=5 * 3600))
    end = datetime.fromisoformat(Delegator(short).get_info()["termination_time"]).replace(tzinfo=UTC)
    assert end - datetime.now(UTC) <= timedelta(hours=5)
    keys = [path for path in (standin.folder / "state").rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert keys
    assert not [path for path in [standin.folder / "state", *keys] if path.stat().st_mode & 0o077]


def test_no_submission_without_delegation(standin, authority, storages):
    source, target = storages
    stranger = connect(standin, authority.proxy("undelegated"), delegate=False)
    job = fts3.new_job(transfers=[fts3.new_transfer(source.url("/x"), target.url("/x"))])
    with pytest.raises(NeedDelegation):
        stranger.post_json("/jobs", job)


def test_a_job_is_seen_and_canceled_by_its_owner_only(context, standin, authority, storages):
    source, target = storages
    job_id = submit(context, [(source.url("/nobody"), target.url("/nobody"), "00000001")])
    stranger = connect(standin, authority.proxy("stranger"))
    for forbidden in (fts3.get_job_status, fts3.cancel):
        with pytest.raises(Unauthorized):
            forbidden(stranger, job_id)
    assert fts3.get_job_status(context, job_id)["job_id"] == job_id


def test_an_unknown_job_is_not_found(context):
    with pytest.raises(NotFound):
        fts3.get_job_status(context, "11111111-1111-1111-1111-111111111111", list_files=True)


def test_a_missing_source_fails_at_once_for_good_and_the_others_of_the_job_finish(context, storages):
    source, target = storages
    checksum = source.put("/mixed/there.dat")
    pairs = [(source.url(name), target.url(name), checksum) for name in ("/mixed/there.dat", "/mixed/missing.dat")]
    job = finished(context, submit(context, pairs))
    there, missing = job["files"]
    assert job["job_state"] == "FINISHEDDIRTY"
    assert there["file_state"] == "FINISHED"
    assert (missing["file_state"], missing["recoverable"], missing["retry"]) == ("FAILED", False, 0)
    assert missing["reason"] == "SOURCE [2] Failed to stat file (No such file or directory)"


def test_a_wrong_checksum_never_ends_finished(context, storages):
    source, target = storages
    source.put("/wrong.dat")
    job = finished(context, submit(context, [(source.url("/wrong.dat"), target.url("/wrong.dat"), "12345678")], retry=-1))
    (entry,) = job["files"]
    assert (job["job_state"], entry["file_state"], entry["recoverable"]) == ("FAILED", "FAILED", True)
    assert entry["reason"].startswith("TRANSFER [84]")
    assert "CheckSum error" in entry["reason"]
    assert not target.path("/wrong.dat").exists()


def test_without_overwrite_an_existing_destination_is_left_alone(context, storages):
    source, target = storages
    checksum = source.put("/exists.dat")
    before = target.put("/exists.dat")
    job = finished(context, submit(context, [(source.url("/exists.dat"), target.url("/exists.dat"), checksum)], overwrite=False))
    assert job["files"][0]["reason"] == "DESTINATION [17] Destination file exists and overwrite is not enabled"
    assert target.adler32("/exists.dat") == before
    job = finished(context, submit(context, [(source.url("/exists.dat"), target.url("/exists.dat"), checksum)], overwrite=True))
    assert job["job_state"] == "FINISHED"
    assert target.adler32("/exists.dat") == checksum


def test_alternative_sources_are_tried_in_order_until_one_works(context, standin, storages):
    source, target = storages
    checksum = source.put("/alternative/second.dat")
    sources = [source.url("/alternative/missing.dat"), source.url("/alternative/second.dat")]
    job = finished(context, submit(context, [(sources, target.url("/alternative/copy.dat"), checksum)]))
    assert job["job_state"] == "FINISHED"
    assert target.adler32("/alternative/copy.dat") == checksum
    used = [entry["source"] for entry in standin.rules.transfers() if entry["job_id"] == job["job_id"]]
    assert used == sources


def test_an_injected_failure_is_tried_again_after_the_delay_and_then_succeeds(context, standin, storages):
    source, target = storages
    checksum = source.put("/flaky.dat")
    standin.rules.add("fail", lfn="/flaky.dat", count=1, phase="DESTINATION", code=110, reason="injected: no answer")
    job = finished(context, submit(context, [(source.url("/flaky.dat"), target.url("/flaky.dat"), checksum)]))
    assert job["job_state"] == "FINISHED"
    failed, good = [entry for entry in standin.rules.transfers() if entry["job_id"] == job["job_id"]][:2]
    assert failed["reason"] == "DESTINATION [110] injected: no answer"
    assert good["started_epoch"] - failed["finished_epoch"] >= RETRY_DELAY_SECONDS
    assert target.adler32("/flaky.dat") == checksum


@pytest.mark.parametrize(("action", "share"), [("corrupt", 1), ("truncate", 2)])
def test_an_injected_wrong_result_is_reported_finished_with_wrong_bytes_at_the_destination(
    context, standin, storages, action, share
):
    source, target = storages
    lfn = f"/{action}.dat"
    checksum = source.put(lfn)
    with standin.rules.rule(action, destination=f"127.0.0.1:{target.port}", lfn=lfn):
        job = finished(context, submit(context, [(source.url(lfn), target.url(lfn), checksum)]))
    assert job["job_state"] == "FINISHED"
    assert target.path(lfn).stat().st_size == 300_000 // share
    assert target.adler32(lfn) != checksum


def test_rules_on_submissions_refuse_lose_and_forget_jobs(context, standin, storages):
    source, target = storages
    checksum = source.put("/lost.dat")
    pairs = [(source.url("/lost.dat"), target.url("/lost.dat"), checksum)]
    with standin.rules.rule("refuse_submission", http_status=503), pytest.raises(FTS3ClientException, match="503"):
        submit(context, pairs)
    with standin.rules.rule("forget"):
        job_id = submit(context, pairs)
    with pytest.raises(NotFound):
        fts3.get_job_status(context, job_id)
    assert not target.path("/lost.dat").exists()
    with standin.rules.rule("lose_job"):
        job_id = submit(context, pairs)
    with pytest.raises(NotFound):
        fts3.get_job_status(context, job_id)
    wait_for(
        lambda: target.path("/lost.dat").exists() and target.adler32("/lost.dat") == checksum, 30, "the lost job's copy is made"
    )


def test_instant_is_refused_unless_it_was_switched_on(standin):
    with pytest.raises(ValueError, match="--allow-instant"):
        standin.rules.add("instant")
    assert standin.rules.info()["instant_allowed"] is False


def test_a_hanging_copy_blocks_nobody_and_can_be_canceled(context, standin, storages):
    source, target = storages
    checksum = source.put("/hang/stuck.dat")
    source.put("/hang/free.dat")
    standin.rules.add("hang", lfn="/hang/stuck.dat")
    stuck = submit(context, [(source.url("/hang/stuck.dat"), target.url("/hang/stuck.dat"), checksum)])
    free = submit(context, [(source.url("/hang/free.dat"), target.url("/hang/free.dat"), source.adler32("/hang/free.dat"))])
    assert finished(context, free)["job_state"] == "FINISHED"
    assert fts3.get_job_status(context, stuck)["job_state"] == "ACTIVE"
    assert fts3.cancel(context, stuck)["job_state"] == "CANCELED"
    assert finished(context, stuck)["files"][0]["file_state"] == "CANCELED"
    assert fts3.cancel(context, stuck)["job_state"] == "CANCELED"


def test_a_copy_to_a_dead_server_can_be_canceled_at_once(context, storages):
    source, _ = storages
    checksum = source.put("/dead.dat")
    job_id = submit(context, [(source.url("/dead.dat"), f"root://127.0.0.1:{free_port()}//eos/dead.dat", checksum)])
    wait_for(lambda: fts3.get_job_status(context, job_id)["job_state"] == "ACTIVE", 10, "the copy is active")
    time.sleep(1)
    # the copy itself would go on for minutes
    assert fts3.cancel(context, job_id)["job_state"] == "CANCELED"
    assert fts3.get_job_status(context, job_id)["job_state"] == "CANCELED"


def test_a_copy_that_outlives_its_timeout_is_ended(context, standin, storages):
    source, target = storages
    standin.rules.add("hang", lfn="/slow.dat")
    pair = (source.url("/slow.dat"), target.url("/slow.dat"), source.put("/slow.dat"))
    job = finished(context, submit(context, [pair], timeout=1, retry=-1))
    assert job["files"][0]["reason"].startswith("TRANSFER [110] operation timeout")


def test_every_file_ends_finished_although_the_server_is_killed_in_the_middle(context, standin, storages):
    source, target = storages
    lfns = [f"/killed/{number:02d}.dat" for number in range(20)]
    checksums = {lfn: source.put(lfn) for lfn in lfns}
    job_id = submit(context, [(source.url(lfn), target.url(lfn), checksums[lfn]) for lfn in lfns], overwrite=False)

    def some_are_active() -> bool:
        return any(entry["file_state"] == "ACTIVE" for entry in fts3.get_job_status(context, job_id, list_files=True)["files"])

    wait_for(some_are_active, 10, "copies are under way")
    time.sleep(1)
    standin.end(signal.SIGKILL)
    standin.start()
    job = finished(context, job_id, 120)
    assert {entry["file_state"] for entry in job["files"]} == {"FINISHED"}
    assert {lfn: target.adler32(lfn) for lfn in lfns} == checksums


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_copy_outlives_the_server_even_if_it_hangs(context, standin, storages, number):
    source, target = storages
    checksum = source.put("/orphan.dat", 20_000_000)
    pairs = [(source.url("/orphan.dat"), target.url(f"/orphan/{copy}.dat"), checksum) for copy in range(4)]
    pairs.append((source.url("/orphan.dat"), f"root://127.0.0.1:{free_port()}//eos/orphan.dat", checksum))
    job_id = submit(context, pairs)
    server = psutil.Process(standin.process.pid)
    wait_for(lambda: len(server.children(recursive=True)) >= 6, 10, "five copies under their helper")
    time.sleep(1)
    children = server.children(recursive=True)
    standin.end(number)
    wait_for(lambda: not any(child.is_running() and child.status() != "zombie" for child in children), 2, "all copies are gone")
    standin.start()
    fts3.cancel(context, job_id)


def test_sigterm_ends_cleanly_and_keeps_jobs_rules_and_delegation(context, standin, storages):
    source, target = storages
    checksum = source.put("/kept.dat")
    standin.rules.add("hang", lfn="/kept.dat", id="keep-me")
    job_id = submit(context, [(source.url("/kept.dat"), target.url("/kept.dat"), checksum)])
    wait_for(lambda: fts3.get_job_status(context, job_id)["job_state"] == "ACTIVE", 10, "the file is active")
    assert standin.end(signal.SIGTERM) == 0
    assert "jobs are kept" in standin.log
    standin.start()
    assert [rule["id"] for rule in standin.rules.list_rules()] == ["keep-me"]
    standin.rules.clear()
    assert finished(context, job_id)["job_state"] == "FINISHED"
    assert target.adler32("/kept.dat") == checksum
