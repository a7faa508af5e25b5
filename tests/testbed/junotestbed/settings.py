"""Where everything of the testbed is: folders, ports and addresses, all derived from a few environment variables."""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

SOURCE_DIR = Path(__file__).resolve().parents[3]
VO = "juno"
CS_NAME = "JUNO-Testbed"
DEFAULT_PORT_BASE = 19000

# offsets from the base port
PORTS = {
    "mariadb": 6,
    "kafka": 92,
    "kafka-controller": 93,
    "fts3": 46,
    "mail-sink": 25,
    "Configuration/Server": 135,
    "Framework/ComponentMonitoring": 190,
    "Framework/SystemAdministrator": 162,
    "Framework/ProxyManager": 152,
    "Framework/Notification": 154,
    "DataManagement/FileCatalog": 197,
    "DataManagement/FTS3Manager": 193,
    "Transformation/TransformationManager": 131,
    "RequestManagement/ReqManager": 140,
    "ResourceStatus/ResourceStatus": 160,
    "Accounting/DataStore": 133,
    "Accounting/ReportGenerator": 134,
    "opensearch-standin": 20,
    "WorkloadManagement/JobManager": 132,
    "WorkloadManagement/JobMonitoring": 130,
    "WorkloadManagement/JobStateUpdate": 136,
    "WorkloadManagement/Matcher": 170,
    "WorkloadManagement/OptimizationMind": 175,
    "WorkloadManagement/SandboxStore": 196,
    "Production/ProductionManager": 180,
    "RawData/RawDataManager": 380,
    "Production/ChainManager": 381,
}


class TestbedError(Exception):
    """Something that the user has to know, with its remedy; shown without a traceback."""

    __test__ = False  # pytest takes the name for that of a test


@dataclass(frozen=True)
class Site:
    """One data centre: its SE and the XRootD server behind it.

    ``path`` is the SE's base path: the physical name of a file is ``path`` + LFN. ``processors`` is what its worker node
    says that it has, 0 where there is none.
    """

    se: str
    dirac_name: str
    path: str
    number: int
    processors: int = 0

    @property
    def short_name(self) -> str:
        return self.dirac_name.split(".")[1]


SITES = (
    Site("IHEP-JUNOEOS", "DIRAC.IHEP.cn", "/eos", 1),
    Site("CNAF-STORM", "DIRAC.CNAF.it", "/storage/gpfs", 2, processors=8),
    Site("IN2P3-DCACHE", "DIRAC.IN2P3.fr", "/pnfs", 3),
    Site("JINR-EOS", "DIRAC.JINR.ru", "/eos", 4, processors=8),
)


@dataclass(frozen=True)
class Choices:
    """What the first ``up`` fixes for the life of the state folder."""

    port_base: int
    netns: bool
    subnet: str
    fts3_endpoint: str
    database_password: str
    database_root_password: str


def _port_base(text: str) -> int:
    if not text.isdecimal() or not 1024 < int(text) < 65000:
        raise TestbedError(f"JUNO_TESTBED_PORT_BASE={text} is out of range: take a number between 1025 and 64999")
    return int(text)


def _subnet(text: str) -> str:
    if not re.fullmatch(r"\d{1,3}\.\d{1,3}\.\d{1,3}", text) or any(int(number) > 255 for number in text.split(".")):
        raise TestbedError(f"JUNO_TESTBED_SUBNET={text}: give the first three numbers of an address, for example 10.91.190")
    return text


class Settings:
    """Folders, ports and addresses of one testbed.

    :param state: the state folder; ``tools`` in it is what was installed, ``run`` all that ``wipe`` deletes
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        self.tools = state / "tools"
        self.run = state / "run"
        self.venv = self.tools / "venv"
        self.dirac_root = self.run / "dirac"
        self.infra = self.run / "infra"
        self.ca = self.run / "ca"
        self.users = self.run / "users"
        self.proxies = self.run / "proxies"
        self.storage = self.run / "storage"
        self.mails = self.run / "mails"
        self.workers = self.run / "workers"
        self.sandboxes = self.run / "sandboxes"
        self.mysql_socket = self.run / "mysql.sock"

    @classmethod
    def from_environment(cls) -> Settings:
        state = Path(os.environ.get("JUNO_TESTBED_STATE") or SOURCE_DIR / ".testbed").resolve()
        if "runit" in str(state):
            # DIRAC's installer derives its control folder by replacing this word anywhere in the path
            raise TestbedError(f"the state folder {state} must not have 'runit' in its path: set JUNO_TESTBED_STATE to another")
        if re.search(r"[^\w./@+-]", str(state)):
            # shell scripts that DIRAC's installer writes have the path without quotes
            raise TestbedError(
                f"the path of the state folder '{state}' has a blank or a sign that shells take for something else: "
                "set JUNO_TESTBED_STATE to another"
            )
        if len(str(state)) > 80:
            raise TestbedError(
                f"the path of the state folder {state} is too long for a Unix socket: set JUNO_TESTBED_STATE to a shorter one"
            )
        return cls(state)

    def choose(self, netns: bool | None) -> None:
        """Fix the choices of this state folder, or check that they are the ones that were made before."""
        if self.choices_file.exists():
            if netns is not None and netns != self.choices.netns:
                raise TestbedError(f"{self.run} was made {'with' if self.choices.netns else 'without'} namespaces: 'wipe' first")
            return
        base = _port_base(os.environ.get("JUNO_TESTBED_PORT_BASE") or str(DEFAULT_PORT_BASE))
        choices = Choices(
            port_base=base,
            netns=os.geteuid() == 0 if netns is None else netns,
            subnet=_subnet(os.environ.get("JUNO_TESTBED_SUBNET") or f"10.91.{base // 100 % 256}"),
            fts3_endpoint=os.environ.get("JUNO_FTS3_ENDPOINT", ""),
            database_password=secrets.token_hex(12),
            database_root_password=secrets.token_hex(12),
        )
        self.run.mkdir(parents=True, exist_ok=True)
        self.choices_file.touch(mode=0o600)
        self.choices_file.write_text(json.dumps(asdict(choices), indent=2))

    @property
    def choices_file(self) -> Path:
        return self.run / "choices.json"

    @cached_property
    def choices(self) -> Choices:
        try:
            return Choices(**json.loads(self.choices_file.read_text()))
        except FileNotFoundError:
            raise TestbedError(f"there is no testbed in {self.state}: run 'scripts/testbed up' first") from None

    @property
    def exists(self) -> bool:
        return self.choices_file.exists()

    def port(self, name: str) -> int:
        return self.choices.port_base + PORTS[name]

    def site_address(self, site: Site) -> tuple[str, int]:
        """Host and port of a site's XRootD server."""
        if self.choices.netns:
            return f"{self.choices.subnet}.{10 + site.number}", 1094
        return "127.0.0.1", self.choices.port_base + 10 + site.number

    def site_url(self, site: Site) -> str:
        host, port = self.site_address(site)
        return f"root://{host}:{port}/{site.path}"

    @property
    def site_packages(self) -> Path:
        return next(self.venv.glob("lib/python3*/site-packages"))

    @property
    def gateway(self) -> str:
        return f"{self.choices.subnet}.1"

    @property
    def kafka_brokers(self) -> str:
        return f"127.0.0.1:{self.port('kafka')}"

    @property
    def fts3_endpoint(self) -> str:
        """The FTS3 server that DIRAC is told: a real one where JUNO_FTS3_ENDPOINT names it, else the stand-in."""
        return self.choices.fts3_endpoint or f"https://localhost:{self.port('fts3')}"

    @property
    def has_standin(self) -> bool:
        return not self.choices.fts3_endpoint

    def environment(self, proxy: Path | None = None) -> dict[str, str]:
        """Environment of a command that talks to this testbed, with the proxy of a user."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("X509_", "DIRAC", "PYTHON"))}
        env |= {
            "JUNO_TESTBED_STATE": str(self.state),
            "DIRAC_ROOT_PATH": str(self.dirac_root),
            "DIRAC": str(self.dirac_root),
            "PATH": f"{self.venv}/bin:{self.dirac_root}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "X509_CERT_DIR": str(self.dirac_root / "etc/grid-security/certificates"),
            "MYSQL_UNIX_PORT": str(self.mysql_socket),
            "PYTHONUNBUFFERED": "yes",
            # this source tree, also where several of them share what was installed
            "PYTHONPATH": str(SOURCE_DIR),
            # XRootD's client looks up the names of bare addresses: where nobody answers, not to wait long for it
            "RES_OPTIONS": "timeout:1 attempts:1",
        }
        if proxy:
            env["X509_USER_PROXY"] = str(proxy)
        return env
