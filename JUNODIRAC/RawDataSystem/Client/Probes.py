"""Asks services, all at the same time and with patience for a bounded time, whether they answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise

Probe = Callable[[], None]


class Probes:
    """Runs probes side by side; one that hangs costs its patience once, and is not started again before it has come back.

    :param timeoutSeconds: for all of them together
    """

    def __init__(self, timeoutSeconds: float) -> None:
        self._timeoutSeconds = timeoutSeconds
        self._running: dict[str, threading.Thread] = {}

    def run(self, probes: Mapping[str, Probe]) -> dict[str, str]:
        """What is wrong, by name; a probe that is well is not in it."""
        said: dict[str, str] = {}
        for name, probe in probes.items():
            if name not in self._running:
                # a daemon: a call that hangs for ever must not keep the agent from ending
                thread = threading.Thread(target=_note, args=(name, probe, said), daemon=True, name=f"probe {name}")
                self._running[name] = thread
                thread.start()
        end = monotonic() + self._timeoutSeconds
        failures: dict[str, str] = {}
        for name in probes:
            thread = self._running[name]
            thread.join(max(0.0, end - monotonic()))
            if thread.is_alive():
                failures[name] = f"no answer within {self._timeoutSeconds:.0f} s"
                continue
            del self._running[name]
            # a thread of an earlier run wrote its answer for that run; the next one asks anew
            if said.get(name):
                failures[name] = said[name]
        return failures


def _note(name: str, probe: Probe, said: dict[str, str]) -> None:
    try:
        probe()
    except TemporaryFailure as exc:
        said[name] = exc.detail
    except Exception as exc:  # noqa: BLE001 whatever goes wrong is what is to be known
        said[name] = str(exc) or type(exc).__name__


def serviceProbe(service: str, timeoutSeconds: int, clientFactory: Callable[..., Any] | None = None) -> Probe:
    """Whether a DIRAC service answers a ping; each call makes its own client, which threads may not share."""

    def probe() -> None:
        from DIRAC.Core.Base.Client import Client

        client = (clientFactory or Client)(url=service)
        valueOrRaise(client.ping(timeout=timeoutSeconds), service)

    return probe


def kafkaProbe(brokers: str, options: Mapping[str, Any], timeoutSeconds: float) -> Probe:
    """Whether one of the brokers tells its topics."""

    def probe() -> None:
        from confluent_kafka.admin import AdminClient

        quiet = {"log_level": 2, "client.id": "junodirac-watch"}
        client = AdminClient({**quiet, **options, "bootstrap.servers": brokers})
        client.list_topics(timeout=timeoutSeconds)

    return probe


def storageProbe(seName: str, vo: str, directory: str, storageElement: Callable[[str, str], Any] | None = None) -> Probe:
    """Whether a storage element says if a directory is there; that it is not there is an answer too."""

    def probe() -> None:
        storage = (storageElement or _diracStorageElement)(seName, vo)
        answer = valueOrRaise(storage.exists([directory]), f"storage {seName}")
        if answer["Failed"]:
            raise TemporaryFailure(f"storage {seName}", str(next(iter(answer["Failed"].values()))))

    return probe


def _diracStorageElement(name: str, vo: str) -> Any:
    from DIRAC.Resources.Storage.StorageElement import StorageElement

    return StorageElement(name, vo=vo)
