"""All parts of the testbed together: up, down, wipe, status."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from junotestbed import components, ledger_tables
from junotestbed.certificates import make_certificates
from junotestbed.configuration import is_old_cs, upgrade_cs
from junotestbed.dirac_server import DiracServer
from junotestbed.infrastructure import Infra, Network, define_all, make_topics
from junotestbed.settings import Settings, TestbedError
from junotestbed.shell import wait_for
from junotestbed.supervision import dirac_tree, infra_tree, kill_leftovers, leftovers

TOPICS = [topic + suffix for topic in ("juno.raw", "juno.rtraw") for suffix in ("", ".status", ".dead")]


class Testbed:
    """All parts together."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.infra = infra_tree(settings)
        self.dirac = dirac_tree(settings)
        self.server = DiracServer(settings, self.dirac)
        self.network = Network(settings)
        self.started = time.monotonic()

    def say(self, line: str) -> None:
        print(f"{time.monotonic() - self.started:6.1f} s  {line}", flush=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One up, down or wipe at a time."""
        self.settings.state.mkdir(parents=True, exist_ok=True)
        with open(self.settings.state / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TestbedError(f"another command is at work on {self.settings.state}: wait for it to end") from None
            yield

    # --- up -----------------------------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Start whatever does not run and wait until it answers."""
        if self.infra.pid and self.dirac.pid and self.server.installed and not self.problems():
            self.say("everything is up already")
            return
        if not self.infra.pid and not self.dirac.pid:
            killed = kill_leftovers(self.settings)
            if killed:
                self.say(f"ended {killed} processes that an earlier run left behind")
        make_certificates(self.settings)
        self.network.up()
        self._upgrade_configuration()
        self.server.write_files()
        parts = define_all(self.settings, self.infra)
        self.infra.start()
        self.infra.control("up", *[part.name for part in parts])
        if not self.server.installed:
            # only the configuration server is linked yet; it does not need the databases
            self.dirac.start()
        for part in parts:
            self._wait_infra(part)
        make_topics(self.settings, TOPICS)
        self._up_dirac()

    def _upgrade_configuration(self) -> None:
        if not is_old_cs(self.settings):
            return
        if self.dirac.pid:
            raise TestbedError("the running testbed was started by an older version: 'scripts/testbed down' first")
        upgrade_cs(self.settings)
        self.say("the central configuration was brought to that of this version")

    def _up_dirac(self) -> None:
        """Start DIRAC; what a new state folder, or one of an older version, does not have yet is installed."""
        server = self.server
        own_services = [c for c in components.OWN if c.kind == "service"]
        if server.installed and ledger_tables.upgrade(self.settings):
            self.say("the ledger was brought to the tables of this version")
        is_upgrade = server.installed and bool(server.missing(components.STOCK))
        if server.missing(components.STOCK):
            self.dirac.start()
            server.install_stock(self.say)
        self.dirac.start()
        self._wait_dirac(components.CONFIGURATION_SERVER, *[c for c in components.STOCK if c.kind == "service"])
        if server.missing(components.OWN):
            if server.installed:
                # it only knows the agents and services that were there when it started
                administrator = next(c for c in components.STOCK if c.name == "SystemAdministrator")
                self.dirac.control("restart", administrator.link)
                self._wait_dirac(administrator)
            server.install_own(self.say)
        self._wait_dirac(*own_services)
        if is_upgrade:
            server.sync_statuses()
        if server.installed:
            server.renew_proxies()
        else:
            server.finish_installation()
        self._wait_dirac(*[c for c in components.ALL if c.kind != "service"])
        self.say("up")

    def _wait_infra(self, part: Infra) -> None:
        wait_for(part.name, part.answers, part.timeout, self.settings.infra / "sv" / part.name / "log/current")
        self.say(f"{part.name:32s} " + (f"answers on port {part.port}" if part.port else "runs"))

    def _wait_dirac(self, *some: components.Component) -> None:
        for component in some:
            self.server.wait_for(component)
            what = (
                f"answers on port {self.settings.port(component.full_name)}"
                if component.kind == "service"
                else "has done a cycle"
                if component.kind == "agent"
                else "runs"
            )
            self.say(f"{component.full_name:32s} {what}")

    # --- down, wipe ---------------------------------------------------------------------------------------------------------

    def down(self) -> None:
        self.dirac.stop(40)
        self.infra.stop(30)
        self.network.down()
        if kill_leftovers(self.settings):
            wait_for("the end of the last processes", lambda: not leftovers(self.settings), 10)
        self.say("down: no process is left")

    def wipe(self, everything: bool) -> None:
        self.down()
        shutil.rmtree(self.settings.run, ignore_errors=True)
        if everything:
            shutil.rmtree(self.settings.tools, ignore_errors=True)
        self.say(f"deleted {self.settings.tools if everything else self.settings.run}")

    # --- status -------------------------------------------------------------------------------------------------------------

    def rows(self) -> list[tuple[str, str, int, int, int]]:
        """Component, state, pid, port and uptime in seconds of everything that should run."""
        rows = []
        for part in define_all(self.settings, self.infra):
            state = self.infra.state(part.name)
            rows.append((part.name, _word(state.state, part.answers), state.pid, part.port, state.uptime))
        for component in components.ALL:
            state = self.dirac.state(component.link)
            port = self.settings.port(component.full_name) if component.kind == "service" else 0
            rows.append(
                (
                    component.full_name,
                    _word(state.state, lambda c=component: self.server.answers(c)),
                    state.pid,
                    port,
                    state.uptime,
                )
            )
        return rows

    def problems(self) -> list[str]:
        return [row[0] for row in self.rows() if row[1] != "up"]

    def status(self) -> int:
        rows = self.rows()
        print(f"{'component':34s} {'state':12s} {'pid':>8s} {'port':>6s} {'uptime':>10s}")
        for name, state, pid, port, uptime in rows:
            print(f"{name:34s} {state:12s} {pid or '-':>8} {port or '-':>6} {_duration(uptime) if pid else '-':>10s}")
        down = [row[0] for row in rows if row[1] != "up"]
        print(f"{len(rows) - len(down)} of {len(rows)} up" + (f"; not up: {', '.join(down)}" if down else ""))
        return 1 if down else 0


def _word(state: str, answers: Callable[[], bool]) -> str:
    if state != "run":
        return state
    return "up" if answers() else "no answer"


def _duration(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
