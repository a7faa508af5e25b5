"""The command ``scripts/testbed``."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
import time
from contextlib import contextmanager
from collections.abc import Iterator

from junotestbed import components
from junotestbed.certificates import USERS, make_certificates
from junotestbed.dirac_server import DiracServer, show_logs
from junotestbed.infrastructure import Infra, Network, define_all, make_topics
from junotestbed.settings import SITES, Settings, TestbedError
from junotestbed.shell import tail, wait_for
from junotestbed.supervision import dirac_tree, infra_tree, kill_leftovers, leftovers

TOPICS = ["juno.raw", "juno.rtraw"]


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
        if not self.server.installed:
            self.server.install_stock(self.say)
        self.dirac.start()
        self._wait_dirac(components.CONFIGURATION_SERVER, *[c for c in components.STOCK if c.kind == "service"])
        if not self.server.installed:
            self.server.install_own(self.say)
            self._wait_dirac(*[c for c in components.OWN if c.kind == "service"])
            self.server.finish_installation()
        else:
            self._wait_dirac(*[c for c in components.OWN if c.kind == "service"])
            self.server.renew_proxies()
        self._wait_dirac(*[c for c in components.ALL if c.kind == "agent"])
        self.say("up")

    def _wait_infra(self, part: Infra) -> None:
        wait_for(part.name, part.answers, part.timeout, self.settings.infra / "sv" / part.name / "log/current")
        self.say(f"{part.name:32s} answers on port {part.port}")

    def _wait_dirac(self, *some: components.Component) -> None:
        for component in some:
            self.server.wait_for(component)
            what = f"answers on port {self.settings.port(component.full_name)}" if component.kind == "service" else "has done a cycle"
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
            rows.append((component.full_name, _word(state.state, lambda c=component: self.server.answers(c)), state.pid, port, state.uptime))
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


def _word(state: str, answers) -> str:  # noqa: ANN001
    if state != "run":
        return state
    return "up" if answers() else "no answer"


def _duration(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="scripts/testbed", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="install what is missing, start everything and wait until it answers")
    demo = commands.add_parser("demo", help="the main job on generated files, with a live view")
    for command in (up, demo):
        command.add_argument(
            "--no-netns", dest="netns", action="store_const", const=False, help="all sites on ports of 127.0.0.1 instead of network namespaces"
        )
    demo.add_argument("--blocks", type=int, default=3, help="RAW blocks (default %(default)s)")
    demo.add_argument("--files", type=int, default=15, help="files of each RAW block; the RTRAW block has twice as many (default %(default)s)")
    demo.add_argument("--size", default="200k", help="size of a file, with an optional k, M or G (default %(default)s)")
    demo.add_argument("--timeout", type=int, default=900, help="give up after this many seconds (default %(default)s)")
    commands.add_parser("down", help="stop everything")
    commands.add_parser("status", help="table of all components; exit status 1 if one is down")
    wipe = commands.add_parser("wipe", help="stop everything and delete all state")
    wipe.add_argument("--all", action="store_true", help="also delete what was installed")
    execute = commands.add_parser("exec", help="run a command with the testbed's environment and a user's proxy")
    execute.add_argument("--as", dest="user", default="prod", choices=[user.name for user in USERS], help="whose proxy (default %(default)s)")
    execute.add_argument("words", nargs=argparse.REMAINDER, metavar="CMD")
    logs = commands.add_parser("logs", help="the end of a component's log")
    logs.add_argument("name", nargs="?", default="", help="System/Component or a process of the infrastructure; without: a list")
    logs.add_argument("-n", "--lines", type=int, default=40)
    logs.add_argument("-f", "--follow", action="store_true")
    renew = commands.add_parser("renew-proxies", help="make fresh proxies (the testbed does so by itself)")
    renew.add_argument("--every", type=int, default=0, metavar="SECONDS", help="go on for ever")
    site = commands.add_parser("site", help="cut a site off the network, or join it again")
    site.add_argument("action", choices=["cut", "join"])
    site.add_argument("se", choices=[site.se for site in SITES])
    return top


def main() -> int:
    arguments = parser().parse_args()
    try:
        return run_command(arguments)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def run_command(arguments: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    if arguments.command in ("up", "demo"):
        settings.choose(arguments.netns)
    elif arguments.command in ("down", "wipe") and not settings.exists:
        if arguments.command == "wipe" and arguments.all:
            shutil.rmtree(settings.tools, ignore_errors=True)
        print(f"nothing to do: no testbed in {settings.state}")
        return 0
    testbed = Testbed(settings)
    match arguments.command:
        case "up" | "down" | "wipe" | "demo":
            with testbed.locked():
                if arguments.command == "wipe":
                    testbed.wipe(arguments.all)
                elif arguments.command == "down":
                    testbed.down()
                else:
                    testbed.up()
        case "status":
            return testbed.status()
        case "exec":
            return execute(testbed, arguments.user, arguments.words)
        case "logs":
            return show_logs(settings, arguments.name, arguments.lines, arguments.follow)
        case "renew-proxies":
            return renew_proxies(testbed, arguments.every)
        case "site":
            if not settings.choices.netns:
                raise TestbedError("this testbed was made without namespaces: a site cannot be cut off the network")
            {"cut": testbed.network.cut, "join": testbed.network.join}[arguments.action](_site(arguments.se))
    if arguments.command == "demo":
        from junotestbed.demo import demo

        return demo(testbed, arguments)
    return 0


def _site(se: str):  # noqa: ANN202
    return next(site for site in SITES if site.se == se)


def execute(testbed: Testbed, user: str, words: list[str]) -> int:
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        raise TestbedError("exec needs a command, for example: scripts/testbed exec dirac-juno-block-status")
    env = testbed.settings.environment(testbed.server.proxy(user))
    try:
        os.execvpe(words[0], words, env)
    except FileNotFoundError:
        raise TestbedError(f"there is no command '{words[0]}'") from None


def renew_proxies(testbed: Testbed, every: int) -> int:
    while True:
        # what is supervised was started by `up`, which has just made fresh ones
        time.sleep(every)
        try:
            testbed.server.renew_proxies()
            testbed.say("proxies renewed")
        except TestbedError as error:
            print(error, flush=True)
            if not every:
                raise
        if not every:
            return 0


__all__ = ["Testbed", "main", "tail"]
