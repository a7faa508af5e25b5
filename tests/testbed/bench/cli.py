"""Benchmarks on the testbed, which is started if it is not up."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
from importlib import import_module

from junotestbed.settings import Settings, TestbedError
from junotestbed.testbed import Testbed

from bench.report import showTable

# name -> its module and what it measures
BENCHMARKS = {
    "ingest": ("bench.ingest", "files a second from Kafka to ledger, catalogue and three transfers, beside what limits them"),
    "ingest-latency": ("bench.latency", "seconds from the announcement of a file until it is attached to its three transfers"),
    "latency": ("bench.path_latency", "seconds from the announcement of a file until its copies are known and Processed"),
    "replay": ("bench.replay", "a week of RTRAW files through everything, with copies that take no time: files/s by stage"),
    "chains": (
        "bench.chains",
        "tasks of a chain made and submitted as jobs each second, beside DIRAC's own agents; cycles with many files",
    ),
    "blocks": ("bench.blocks", "seconds of a cycle of each agent, and of the status command, with 1,000 living blocks"),
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    commands = top.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, (module, what) in BENCHMARKS.items():
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--json", action="store_true", help="print one JSON object")
        import_module(module).addArguments(command)
    return top


def main() -> int:
    arguments = parser().parse_args()
    # so that whatever was stopped is started again
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    settings = Settings.from_environment()
    # before anything imports DIRAC, which reads some of it once
    os.environ.update(settings.environment(settings.proxies / "prod.pem"))
    try:
        # what DIRAC and the testbed print is no part of the result
        with contextlib.redirect_stdout(sys.stderr):
            import DIRAC

            DIRAC.initialize(extra_config_files=[settings.dirac_root / "etc/dirac.cfg"])
            result = import_module(BENCHMARKS[arguments.name][0]).run(Testbed(settings), arguments)
    except TestbedError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(json.dumps(result, indent=2) if arguments.json else showTable(result))
    return 0
