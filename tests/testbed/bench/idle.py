"""CPU of the control plane."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from junotestbed import components
from junotestbed.testbed import Testbed

_SERVERS = ("mariadb", "kafka", "fts3-standin")


def cpuShares(testbed: Testbed, seconds: float) -> dict[str, float]:
    """Shares of one core that agents, services and servers use for some time, and those of the busiest of them."""
    before, started = _cpuSeconds(testbed), time.monotonic()
    time.sleep(seconds)
    after, elapsed = _cpuSeconds(testbed), time.monotonic() - started
    used = {name: max(0.0, after[name] - before.get(name, after[name])) / elapsed for name in after}
    kinds: Counter[str] = Counter()
    for name, share in used.items():
        kinds[name.partition(" ")[0]] += share
    busiest = sorted(used, key=lambda name: -used[name])[:6]
    return {kind: round(share, 4) for kind, share in kinds.items()} | {
        "all": round(sum(used.values()), 4),
        **{name: round(used[name], 4) for name in busiest},
    }


def _cpuSeconds(testbed: Testbed) -> Mapping[str, float]:
    pids = {f"{each.kind} {each.full_name}": testbed.dirac.state(each.link).pid for each in components.ALL}
    pids |= {f"server {name}": testbed.infra.state(name).pid for name in _SERVERS}
    return {name: _ofTree(pid) for name, pid in pids.items() if pid}


def _ofTree(pid: int) -> float:
    """A process with all that it has started."""
    import psutil

    try:
        top = psutil.Process(pid)
        times = [process.cpu_times() for process in (top, *top.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(each.user + each.system for each in times)
