"""Fixtures for all tests; those that need the testbed start it once and stop it only if it was not running before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

SOURCE_DIR = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE_DIR / "tests/testbed"))


def pytest_configure(config: pytest.Config) -> None:
    """Where several processes share the tests (``pytest -n``), each has a testbed of its own, beside that of the first."""
    number = int(getattr(config, "workerinput", {}).get("workerid", "gw0").removeprefix("gw"))
    if number == 0:
        return
    from junotestbed.settings import DEFAULT_PORT_BASE, Settings

    first = Settings.from_environment()
    state = first.state / "beside" / str(number)
    state.mkdir(parents=True, exist_ok=True)
    if not (state / "tools").is_symlink():
        (state / "tools").symlink_to(first.tools)
    base = first.choices.port_base if first.exists else int(os.environ.get("JUNO_TESTBED_PORT_BASE") or DEFAULT_PORT_BASE)
    os.environ |= {"JUNO_TESTBED_STATE": str(state), "JUNO_TESTBED_PORT_BASE": str(base + 1000 * number)}
    os.environ.pop("JUNO_TESTBED_SUBNET", None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Tests of one folder share a process, since they share a testbed and what modules before them left there.

    Groups by mark do nothing with pytest 9.2, without a word: pytest-xdist 3.8 writes them into a name that nobody reads.
    """
    from xdist.scheduler import LoadScopeScheduling

    class OneKindInOneProcess(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.split("/")[1]

    return OneKindInOneProcess(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder says what a test needs: one whose module forgot its mark is no less a unit test for ``-m unit``."""
    for item in items:
        kind = item.path.relative_to(SOURCE_DIR / "tests").parts[0]
        if kind in ("unit", "integration", "system"):
            item.add_marker(kind)


@pytest.fixture(scope="session")
def testbed() -> Iterator[object]:
    """The running testbed, with this process's environment set for DIRAC as the production manager."""
    from junotestbed.settings import Settings
    from junotestbed.testbed import Testbed

    settings = Settings.from_environment()
    was_up = settings.exists and Testbed(settings).infra.pid and Testbed(settings).dirac.pid
    command = [str(SOURCE_DIR / "scripts/testbed"), "up"] + (["--no-netns"] if os.environ.get("JUNO_TESTBED_NO_NETNS") else [])
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        said = f"the testbed did not start:\n{done.stdout}"
        if "PYTEST_XDIST_WORKER" in os.environ:
            # an end of this process would be a crash for the one that collects the outcomes of all
            pytest.fail(said)
        pytest.exit(said, returncode=3)
    testbed = Testbed(settings)
    os.environ.update(settings.environment(settings.proxies / "prod.pem"))
    import DIRAC

    # tests that were collected before have imported DIRAC, which looked for its configuration then
    DIRAC.initialize(extra_config_files=[settings.dirac_root / "etc/dirac.cfg"])
    yield testbed
    if not was_up:
        subprocess.run([str(SOURCE_DIR / "scripts/testbed"), "down"], check=True, capture_output=True)


@pytest.fixture
def freshDay(testbed) -> str:
    """A day on which no block exists yet, YYYYMMDD."""
    from junotestbed.demo import block_status

    known = {block["Block"] for block in block_status(testbed.settings)}
    day = date(2031, 1, 1)
    while day.strftime("%Y%m%d") in known:
        day += timedelta(days=1)
    return day.strftime("%Y%m%d")


@pytest.fixture
def database(testbed) -> object:
    from junotestbed.observe import Database

    return Database(testbed)
