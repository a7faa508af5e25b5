"""Asks the services that the gates of chains name whether they answer."""

from __future__ import annotations

import os
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Mapping
from typing import Any

from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations
from DIRAC.DataManagementSystem.Utilities.DMSHelpers import DMSHelpers

from JUNODIRAC.Core.Logic.ChainHolds import CATALOGUE, CONDITIONS, STORAGE
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, valueOrRaise
from JUNODIRAC.RawDataSystem.Client.Probes import Probe, Probes, serviceProbe, storageProbe
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import CATALOGUE as CATALOGUE_SERVICE

CONDITIONS_OPTION = "RawData/Chains/Conditions/Endpoint"
# the service is there, and wants to know who asks
_ANSWERS_TOO = frozenset({401, 403})


class NotConfigured(Exception):
    """There is nothing to ask."""


class ServiceProbes:
    """Implements :data:`JUNODIRAC.Core.Logic.ChainPorts.Prober`, in a bounded time.

    :param vo: whose storages and configuration
    :param timeoutSeconds: for all of them together
    :param makeProbe: gives the probe of a name; for tests
    """

    def __init__(self, vo: str, timeoutSeconds: float, makeProbe: Callable[[str], Probe] | None = None) -> None:
        self._vo, self._timeoutSeconds = vo, timeoutSeconds
        self._makeProbe = makeProbe or self._probeOf
        self._probes = Probes(timeoutSeconds)

    def __call__(self, names: Collection[str]) -> Mapping[str, str]:
        """Why not, of each that does not answer."""
        return self._probes.run({name: self._makeProbe(name) for name in sorted(names)})

    def _probeOf(self, name: str) -> Probe:
        if name == CATALOGUE:
            return catalogueProbe(f"/{self._vo}", int(self._timeoutSeconds))
        if name == CONDITIONS:
            return conditionsProbe(self._vo, self._timeoutSeconds)
        return storageProbe(name.removeprefix(STORAGE), self._vo, f"/{self._vo}")


def catalogueProbe(directory: str, timeoutSeconds: int, clientFactory: Callable[..., Any] | None = None) -> Probe:
    """Whether the file catalogue answers a question for which it has to look into its database."""

    def probe() -> None:
        from DIRAC.Resources.Catalog.FileCatalogClient import FileCatalogClient

        client = (clientFactory or FileCatalogClient)(url=CATALOGUE_SERVICE, timeout=timeoutSeconds)
        answer = valueOrRaise(client.isDirectory([directory]), CATALOGUE_SERVICE)
        for why in answer["Failed"].values():
            if "no such" not in str(why).lower():
                raise ServiceRefusal(CATALOGUE_SERVICE, str(why))

    return probe


def conditionsEndpoint(vo: str) -> str:
    """Where the conditions service is, empty if the configuration does not say it."""
    return str(Operations(vo=vo or None).getValue(CONDITIONS_OPTION, "")).strip()


def conditionsRemedy(vo: str) -> str:
    """What to do if it does not."""
    return (
        f"no conditions service is configured: set /Operations/{vo or 'Defaults'}/{CONDITIONS_OPTION} to its URL (https://...,"
        " tcp://host:port) or to a DIRAC service (System/Name), or take the gate conditions-up out of the chain"
    )


def conditionsProbe(vo: str, timeoutSeconds: float) -> Probe:
    """Whether the conditions service answers."""

    def probe() -> None:
        endpoint = conditionsEndpoint(vo)
        if not endpoint:
            raise NotConfigured(conditionsRemedy(vo))
        endpointProbe(endpoint, timeoutSeconds)()

    return probe


def endpointProbe(endpoint: str, timeoutSeconds: float) -> Probe:
    """Whether what is at an address answers: to a GET (``http(s)://...``), a connection (``tcp://host:port``), or a ping
    (``System/Name``)."""
    scheme = urllib.parse.urlsplit(endpoint).scheme
    if scheme in ("http", "https"):
        return lambda: _get(endpoint, timeoutSeconds)
    if scheme == "tcp":
        return lambda: _connect(endpoint, timeoutSeconds)
    if scheme:
        return lambda: _refuse(endpoint, f"its scheme is {scheme}, and known are https, http and tcp")
    return serviceProbe(endpoint, int(timeoutSeconds))


def _get(url: str, timeoutSeconds: float) -> None:
    context = ssl.create_default_context(capath=os.environ.get("X509_CERT_DIR") or None)
    try:
        with urllib.request.urlopen(url, timeout=timeoutSeconds, context=context):
            return
    except urllib.error.HTTPError as error:
        if error.code not in _ANSWERS_TOO:
            raise ServiceRefusal(url, f"HTTP {error.code} {error.reason}") from error


def _connect(endpoint: str, timeoutSeconds: float) -> None:
    parts = urllib.parse.urlsplit(endpoint)
    if not parts.hostname or not parts.port:
        _refuse(endpoint, "it names no host and port: write tcp://host:port")
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=timeoutSeconds):
        return


def _refuse(endpoint: str, why: str) -> None:
    raise NotConfigured(f"the endpoint {endpoint} cannot be asked: {why}")


def storagesOfSites(vo: str) -> Callable[[str], Collection[str]]:
    """Gives the storage elements of a DIRAC site, those of ``/Resources/Sites/<grid>/<site>/SE``."""

    def storagesOf(site: str) -> Collection[str]:
        found = sorted(valueOrRaise(DMSHelpers(vo=vo).getSEsAtSite(site), "Configuration"))
        if not found:
            raise ServiceRefusal("Configuration", f"site {site} has no storage element; set SE of it in /Resources/Sites")
        return found

    return storagesOf
