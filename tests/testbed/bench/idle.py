"""CPU of the control plane: agents, services and servers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from junotestbed import components
from junotestbed.testbed import Testbed

_SERVERS = ("mariadb", "kafka", "fts3-standin")
_BUSIEST = 8


class CpuMeter:
    """Measures from its making on."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self._started = time.monotonic()
        self._before = _cpuSeconds(testbed)

    def shares(self) -> dict[str, float]:
        """Shares of one core, by kind and of the busiest; what was restarted meanwhile is missing."""
        after, elapsed = _cpuSeconds(self._testbed), time.monotonic() - self._started
        used = {name: max(0.0, after[name] - self._before.get(name, after[name])) / elapsed for name in after}
        kinds: Counter[str] = Counter()
        for name, share in used.items():
            kinds[f"{name.partition(' ')[0]}s"] += share
        busiest = sorted(used, key=lambda name: -used[name])[:_BUSIEST]
        shares = {"all": sum(used.values()), **kinds, **{name: used[name] for name in busiest}}
        return {name: round(share, 4) for name, share in shares.items()}


def cpuShares(testbed: Testbed, seconds: float) -> dict[str, float]:
    """What is used within some time."""
    meter = CpuMeter(testbed)
    time.sleep(seconds)
    return meter.shares()


def _cpuSeconds(testbed: Testbed) -> Mapping[str, float]:
    pids = {f"{each.kind} {each.full_name}": testbed.dirac.state(each.link).pid for each in components.ALL}
    pids |= {f"server {name}": testbed.infra.state(name).pid for name in _SERVERS}
    return {name: _ofTree(pid) for name, pid in pids.items() if pid}


def _ofTree(pid: int) -> float:
    """A process with all that it has started, and those of them that have ended."""
    import psutil

    try:
        top = psutil.Process(pid)
        times = [process.cpu_times() for process in (top, *top.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(each.user + each.system + each.children_user + each.children_system for each in times)
