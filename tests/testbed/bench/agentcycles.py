"""Agents in a process of their own, which cycle when they are told to and say how long it took: cycles without starts.

Run as a program it is that process: it reads names of agents, one a line, and answers each with a line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

AGENTS = {
    "BlockAgent": "RawData",
    "BlockValidationAgent": "RawData",
    "BlockRepairAgent": "RawData",
    "IngestWatchAgent": "RawData",
    "RequestTaskAgent": "Transformation",
    "TransformationAgent": "Transformation",
}
#: those that chains need, in the order in which a file meets them
CHAIN_AGENTS = {
    "ChainAgent": "Production",
    "TransformationAgent": "Transformation",
    "WorkflowTaskAgent": "Transformation",
    "ChainRecoveryAgent": "Production",
}
#: before a name: DIRAC's own class
STOCK = "DIRAC's "
_SYSTEMS = AGENTS | CHAIN_AGENTS
# a cycle is one pass; and what is counted now and then is counted in each
_MORE_OPTIONS = {"Transformation": {"PassSeconds": "0"}, "Production": {"CountSeconds": "0"}}
# looks at everything, as DIRAC's own class does in each cycle
FULL = "full "
_ANSWER = "CYCLE "


class AgentCycles:
    """The other side of the process."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def seconds(self, agent: str, isFull: bool = False) -> float:
        """Let an agent do one cycle.

        :raises TestbedError: if it fails
        """
        from junotestbed.settings import TestbedError
        from junotestbed.shell import tail

        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{FULL if isFull else ''}{agent}\n")
            self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(_ANSWER):
                answer: dict[str, Any] = json.loads(line.removeprefix(_ANSWER))
                if answer["error"]:
                    raise TestbedError(f"the cycle of {agent} failed: {answer['error']}")
                return float(answer["seconds"])
        raise TestbedError(f"the agents have ended; the end of {self._log}:\n{tail(self._log)}")


@contextmanager
def agentCycles(
    settings: Any, typeName: str, typeOptions: Mapping[str, str], systems: Mapping[str, Any] | None = None
) -> Iterator[AgentCycles]:
    """The agents with the host's credentials, as runit would start them, and with one more Type in their configuration.

    :param systems: options of agents that are not those of our templates, as in /Systems
    """
    from junotestbed.configuration import write_cfg

    folder = settings.run / "bench"
    folder.mkdir(exist_ok=True)
    cfg, log = folder / "agents.cfg", folder / "agents.log"
    types = {"Operations": {"Defaults": {"RawData": {"Types": {typeName: dict(typeOptions)}}}}}
    write_cfg(cfg, types | {"Systems": systems or _agentOptions()})
    root = settings.dirac_root
    command = f"source {root}/bashrc; export X509_USER_PROXY={root}/etc/no-proxy.pem; "
    command += f"export PYTHONPATH={Path(__file__).resolve().parents[1]}:$PYTHONPATH; exec python -m bench.agentcycles {cfg}"
    environment = {
        "JUNO_TESTBED_STATE": str(settings.state),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
    }
    with open(log, "w") as errors:
        process = subprocess.Popen(
            ["bash", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            text=True,
        )
    try:
        yield AgentCycles(process, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _agentOptions() -> dict[str, Any]:
    """As delivered, where the testbed has shorter times, with a few more."""
    from diraccfg import CFG

    delivered: dict[str, Any] = {}
    for system in sorted(set(_SYSTEMS.values())):
        template = CFG()
        template.loadFromFile(str(Path(__file__).resolve().parents[3] / f"JUNODIRAC/{system}System/ConfigTemplate.cfg"))
        delivered |= template["Agents"].getAsDict()
    options: dict[str, Any] = {}
    for name, system in _SYSTEMS.items():
        agents = options.setdefault(system, {"Agents": {}})["Agents"]
        agents[name] = delivered.get(name, {}) | _MORE_OPTIONS.get(system, {})
    return options


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    # what DIRAC logs is no answer
    os.dup2(2, 1)
    import DIRAC
    from DIRAC.FrameworkSystem.private.standardLogging.LogLevels import LogLevel

    DIRAC.initialize(host_credentials=True, extra_config_files=[sys.argv[1]], log_level=LogLevel.INFO)
    agents: dict[str, Any] = {}
    for line in sys.stdin:
        name = line.strip().removeprefix(FULL)
        error, seconds = "", 0.0
        try:
            if name not in agents:
                agents[name] = _load(name)
            if line.startswith(FULL):
                agents[name].repeatFullCycle()
            started = time.monotonic()
            result = agents[name].execute()
            seconds = time.monotonic() - started
            error = "" if result["OK"] else str(result["Message"])
        except Exception as exc:  # noqa: BLE001 whatever it is goes to the other side
            error = repr(exc)
        answers.write(f"{_ANSWER}{json.dumps({'seconds': seconds, 'error': error})}\n")
        answers.flush()


def _load(name: str) -> Any:
    package, name = ("DIRAC" if name.startswith(STOCK) else "JUNODIRAC"), name.removeprefix(STOCK)
    system = _SYSTEMS[name]
    agent = getattr(import_module(f"{package}.{system}System.Agent.{name}"), name)(
        f"{system}/{name}", f"{system}/{name}", False, {}
    )
    result = agent.am_initialize()
    if not result["OK"]:
        raise RuntimeError(result["Message"])
    return agent


if __name__ == "__main__":
    main()
