"""Where explanations get their facts from: the ledger, DIRAC's services, storages and Kafka, each of which may be away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from DIRAC import S_OK

from JUNODIRAC.Core.Domain.TransferFacts import TransferFacts
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.Core.Domain.WhyFacts import CATALOGUE, FTS3, KAFKA, REQUESTS, TRANSFORMATIONS, storageName
from JUNODIRAC.Core.Logic.Ports import Refusal, Storage, TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransferFactsReader import GONE, Clients, TransferFactsReader
from JUNODIRAC.RawDataSystem.Client.TransferMonitor import TransferMonitor
from JUNODIRAC.RawDataSystem.Client.TypePolicies import BadTypeConfiguration

T = TypeVar("T")

# requests that are looked into for the files of one site: the answer must come in seconds
_MAX_REQUESTS = 12
_FILE_COLUMNS = ["LFN", "Status", "LastUpdate"]
_FAILURES = (TemporaryFailure, Refusal, BadTypeConfiguration)


class _Patient:
    """A client of DIRAC whose failed calls give an answer without content, and are noted.

    :param neutral: makes that answer of a call's arguments, by method
    """

    def __init__(self, client: Any, component: str, unavailable: dict[str, str], neutral: Mapping[str, Callable[..., Any]]):
        self._client = client
        self._component = component
        self._unavailable = unavailable
        self._neutral = neutral

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = getattr(self._client, name)(*args, **kwargs)
            if result["OK"]:
                return result
            self._unavailable.setdefault(self._component, str(result["Message"]))
            return S_OK(self._neutral[name](*args, **kwargs))

        return call


def _notAsked(lfns: Sequence[str], **_kwargs: Any) -> dict[str, dict[str, str]]:
    return {"Successful": {}, "Failed": dict.fromkeys(lfns, "not asked")}


@dataclass
class WhySources:
    """The sources of one explanation.

    :param monitor: reads DIRAC's services
    :param clients: of DIRAC
    :param storageOf: a storage element by its name
    :param lagOf: of a Type's topic, see :meth:`TopicLag.ofGroup`
    :param unavailable: what a source said that did not answer, by its name
    """

    ledger: Any
    monitor: TransferMonitor
    clients: Clients
    storageOf: Callable[[str], Storage]
    lagOf: Callable[[TypePolicy], Mapping[str, Any]]
    unavailable: dict[str, str] = field(default_factory=dict)

    def ask(self, component: str, call: Callable[[], T]) -> T | None:
        """What a source says; None if it does not answer, which is noted."""
        try:
            return call()
        except _FAILURES as error:
            self.unavailable.setdefault(component, str(getattr(error, "detail", "") or error))
            return None

    def lag(self, policy: TypePolicy) -> int | None:
        """Messages of the Type's topic that the receiver has not finished."""
        found = self.ask(KAFKA, lambda: self.lagOf(policy))
        return None if found is None else int(found["Lag"])

    def transferFacts(self, transformationID: int, se: str, lfns: Sequence[str]) -> dict[str, TransferFacts]:
        """See :meth:`TransferFactsReader.read`; what a service that is away would have told is unknown."""
        patient = Clients(
            transformations=self._patient(
                self.clients.transformations,
                TRANSFORMATIONS,
                getTransformationFiles=lambda **_: [],
                getTransformationTasks=lambda **_: [],
            ),
            requests=self._patient(
                self.clients.requests, REQUESTS, getBulkRequestStatus=lambda _: {}, peekRequest=lambda _: None
            ),
            fts3=self._patient(self.clients.fts3, FTS3, getOperationsFromRMSOpID=lambda _: []),
            catalogue=self._patient(self.clients.catalogue, CATALOGUE, getReplicas=_notAsked),
        )
        found: dict[str, TransferFacts] = {}
        with suppress(TemporaryFailure, ServiceRefusal):  # each call's failure is noted where it was made
            found = TransferFactsReader(patient, maxRequests=_MAX_REQUESTS).read(transformationID, se, lfns)
        if REQUESTS in self.unavailable:
            found = {
                lfn: replace(each, requestStatus=None) if each.requestStatus == GONE else each for lfn, each in found.items()
            }
        return found

    def withCopy(self, facts: TransferFacts, sizeBytes: int | None, checksum: str) -> TransferFacts:
        """The same with what the storage says of the file."""
        if sizeBytes is None:
            return facts
        reader = TransferFactsReader(self.clients, self.storageOf)
        declared = {facts.lfn: (sizeBytes, checksum)}
        found = self.ask(storageName(facts.se), lambda: reader.withCopies([facts], declared))
        return found[facts.lfn] if found else facts

    def filesOf(self, transformationID: int, statuses: Sequence[str] = ()) -> list[Mapping[str, Any]]:
        """LFN, Status and LastUpdate of the files of a transformation, the oldest news first; with statuses only those."""
        condition: dict[str, Any] = {"TransformationID": transformationID}
        if statuses:
            condition["Status"] = list(statuses)

        def rows() -> list[Mapping[str, Any]]:
            answer = self.clients.transformations.getTransformationFiles(condDict=condition, columns=_FILE_COLUMNS)
            found: list[Mapping[str, Any]] = valueOrRaise(answer, TRANSFORMATIONS)
            return sorted(found, key=lambda row: (str(row["LastUpdate"]), row["LFN"]))

        return self.ask(TRANSFORMATIONS, rows) or []

    def replicasAt(self, se: str, lfns: Sequence[str]) -> set[str] | None:
        """Those of these files that have a replica at a site; None if the catalogue does not answer."""

        def read() -> set[str]:
            answer = valueOrRaise(self.clients.catalogue.getReplicas(list(lfns), allStatus=True), CATALOGUE)
            return {lfn for lfn, replicas in answer["Successful"].items() if se in replicas}

        return self.ask(CATALOGUE, read)

    def _patient(self, client: Any, component: str, **neutral: Callable[..., Any]) -> _Patient:
        return _Patient(client, component, self.unavailable, neutral)
