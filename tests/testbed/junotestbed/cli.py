"""The command ``scripts/testbed``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time

from junotestbed.certificates import USERS
from junotestbed.chaindemo import chainDemo
from junotestbed.demo import check, demo
from junotestbed.dirac_server import show_logs
from junotestbed.mail_sink import show_mails
from junotestbed.settings import SITES, Settings, TestbedError
from junotestbed.testbed import Testbed
from junotestbed.traffic import site_of


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="scripts/testbed", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="install what is missing, start everything and wait until it answers")
    demo = commands.add_parser("demo", help="the main job on generated files, with a live view")
    for command in (up, demo):
        command.add_argument(
            "--no-netns",
            dest="netns",
            action="store_const",
            const=False,
            help="all sites on ports of 127.0.0.1 instead of network namespaces",
        )
    demo.add_argument("--blocks", type=int, default=3, help="RAW blocks (default %(default)s)")
    demo.add_argument(
        "--files", type=int, default=15, help="files of each RAW block; the RTRAW block has twice as many (default %(default)s)"
    )
    demo.add_argument("--size", default="200k", help="size of a file, with an optional k, M or G (default %(default)s)")
    demo.add_argument(
        "--chain",
        action="store_true",
        help="instead: one RTRAW block of two streams, so many files each, through the chain with merging",
    )
    demo.add_argument("--timeout", type=int, default=900, help="give up after this many seconds (default %(default)s)")
    commands.add_parser("down", help="stop everything")
    commands.add_parser("status", help="table of all components; exit status 1 if one is down")
    wipe = commands.add_parser("wipe", help="stop everything and delete all state")
    wipe.add_argument("--all", action="store_true", help="also delete what was installed")
    execute = commands.add_parser("exec", help="run a command with the testbed's environment and a user's proxy")
    execute.add_argument(
        "--as", dest="user", default="prod", choices=[user.name for user in USERS], help="whose proxy (default %(default)s)"
    )
    execute.add_argument("words", nargs=argparse.REMAINDER, metavar="CMD")
    logs = commands.add_parser("logs", help="the end of a component's log")
    logs.add_argument("name", nargs="?", default="", help="System/Component or a process of the infrastructure; without: a list")
    logs.add_argument("-n", "--lines", type=int, default=40)
    logs.add_argument("-f", "--follow", action="store_true")
    mails = commands.add_parser("mails", help="the mails that DIRAC sent; none leaves this machine")
    mails.add_argument("number", nargs="?", type=int, help="show this one, -1 is the last; without: a list")
    mails.add_argument("--json", action="store_true", help="all of them as JSON")
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
    if arguments.command == "demo":
        # not only after minutes of starting
        check(arguments)
    if arguments.command in ("up", "demo"):
        settings.choose(arguments.netns)
    elif arguments.command in ("down", "wipe") and not settings.exists:
        if arguments.command == "wipe" and arguments.all:
            shutil.rmtree(settings.tools, ignore_errors=True)
        print(f"nothing to do: no testbed in {settings.state}")
        return 0
    # before anything imports DIRAC, which reads some of it once
    os.environ.update(settings.environment(settings.proxies / "prod.pem"))
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
        case "mails":
            return show_mails(settings, arguments.number, arguments.json)
        case "renew-proxies":
            return renew_proxies(testbed, arguments.every)
        case "site":
            if not settings.choices.netns:
                raise TestbedError("this testbed was made without namespaces: a site cannot be cut off the network")
            {"cut": testbed.network.cut, "join": testbed.network.join}[arguments.action](site_of(arguments.se))
    if arguments.command == "demo":
        return chainDemo(testbed, arguments) if arguments.chain else demo(testbed, arguments)
    return 0


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
