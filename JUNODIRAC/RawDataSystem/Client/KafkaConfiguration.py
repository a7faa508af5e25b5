"""Where Kafka is and how to talk to it, from ``/Operations/.../RawData/Kafka``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations

from JUNODIRAC.RawDataSystem.Client.TypePolicies import BadTypeConfiguration

_KAFKA = "RawData/Kafka"
_DEFAULT_PREFIX = "junodirac"


@dataclass(frozen=True)
class KafkaConfiguration:
    """What consumers and producers need.

    :param brokers: bootstrap servers, ``host:port`` separated by commas
    :param options: options of librdkafka, for example for TLS and SASL; they may hold a password
    """

    brokers: str
    groupPrefix: str = _DEFAULT_PREFIX
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def groupOf(self, typeName: str) -> str:
        """The consumer group of a Type's receivers."""
        return f"{self.groupPrefix}-{typeName}"


def loadKafkaConfiguration(vo: str = "") -> KafkaConfiguration:
    """Read it for a VO; empty for that of the installation.

    :raises BadTypeConfiguration: if no brokers are named
    """
    operations = Operations(vo=vo or None)
    brokers = ",".join(operations.getValue(f"{_KAFKA}/Brokers", []))
    if not brokers:
        path = f"/Operations/{vo or 'Defaults'}/{_KAFKA}/Brokers"
        raise BadTypeConfiguration(path, "is empty; give host:port of the Kafka brokers")
    return KafkaConfiguration(
        brokers=brokers,
        groupPrefix=operations.getValue(f"{_KAFKA}/GroupPrefix", _DEFAULT_PREFIX),
        options=operations.getOptionsDict(f"{_KAFKA}/Options").get("Value") or {},
    )
