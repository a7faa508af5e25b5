"""Which services ingest needs, how each is asked whether it answers, and what to do if it does not.

The names are those that :class:`JUNODIRAC.Core.Logic.Ports.TemporaryFailure` has for them, so that a receiver's trouble
is known to come from a service that is down.
"""

from __future__ import annotations

from collections.abc import Sequence

from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy
from JUNODIRAC.RawDataSystem.Client.KafkaConfiguration import loadKafkaConfiguration
from JUNODIRAC.RawDataSystem.Client.Probes import Probe, kafkaProbe, serviceProbe, storageProbe
from JUNODIRAC.RawDataSystem.Client.TypePolicies import BadTypeConfiguration

DEFAULT_SERVICES = ("DataManagement/FileCatalog", "Transformation/TransformationManager", "RawData/RawDataManager")
LEDGER = "RawData/RawDataDB"
_KAFKA = "Kafka at "
_STORAGE = "storage "


def probes(services: Sequence[str], policies: Sequence[TypePolicy], vo: str, timeoutSeconds: int) -> dict[str, Probe]:
    """A probe for each DIRAC service, for Kafka, and for the source storage of each Type, by name."""
    found = {service: serviceProbe(service, timeoutSeconds) for service in services}
    try:
        kafka = loadKafkaConfiguration(vo)
        found[f"{_KAFKA}{kafka.brokers}"] = kafkaProbe(kafka.brokers, kafka.options, timeoutSeconds)
    except BadTypeConfiguration as exc:
        found["Kafka"] = _failing(exc)
    for policy in policies:
        found.setdefault(f"{_STORAGE}{policy.sourceSE}", storageProbe(policy.sourceSE, vo, f"/{vo}"))
    return found


def remedyOf(name: str) -> str:
    """What a person does about a service that does not answer."""
    if name.startswith("Kafka"):
        return "look after Kafka; the receivers go on by themselves when it is back"
    if name.startswith(_STORAGE):
        se = name.removeprefix(_STORAGE)
        return f"look after the storage, and whether {se} was banned: dirac-dms-show-se-status"
    if name == LEDGER:
        return "look after the database server of RawDataDB; the receivers go on by themselves when it is back"
    return f"read its log and start it again on its host: dirac-restart-component {name.replace('/', ' ')}"


def _failing(exc: Exception) -> Probe:
    def probe() -> None:
        raise exc

    return probe
