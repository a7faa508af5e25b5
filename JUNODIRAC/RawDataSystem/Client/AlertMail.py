"""Mails to those who look after raw data, through DIRAC's Notification service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from DIRAC.ConfigurationSystem.Client.Helpers import Registry
from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations

from JUNODIRAC.RawDataSystem.Client.DiracAnswer import valueOrRaise

COMPONENT = "Framework/Notification"
_ALERTS = "RawData/Alerts"
_MANAGER = "Shifter/ProductionManager/User"


def alertRecipients(vo: str = "") -> list[str]:
    """Addresses of the option Recipients, else that of the production manager; empty if there is neither."""
    operations = Operations(vo=vo or None)
    addresses = operations.getValue(f"{_ALERTS}/Recipients", [])
    if not addresses:
        manager = operations.getValue(_MANAGER, "")
        addresses = [Registry.getUserOption(manager, "Email", "")] if manager else []
    return [address.strip() for address in addresses if address.strip()]


def alertSender(vo: str = "") -> str:
    """The option Sender; empty: that of the Notification service."""
    sender: str = Operations(vo=vo or None).getValue(f"{_ALERTS}/Sender", "")
    return sender


class AlertMail:
    """Sends a mail to each of several people.

    :param log: a DIRAC logger
    :param timeoutSeconds: for each mail
    :param clientFactory: makes DIRAC's NotificationClient
    """

    def __init__(self, log: Any, timeoutSeconds: int = 30, clientFactory: Callable[..., Any] | None = None) -> None:
        self._log = log
        self._timeoutSeconds = timeoutSeconds
        self._clientFactory = clientFactory or _diracClient

    def send(self, recipients: Sequence[str], subject: str, text: str, sender: str = "") -> None:
        """Send it to all. If only some get it, that is logged and holds as sent: those would get it again and again.

        :raises TemporaryFailure: if nobody gets it because the service does not answer
        :raises ServiceRefusal: if nobody gets it for another reason
        """
        client = self._clientFactory(timeout=self._timeoutSeconds)
        failures: list[tuple[str, Exception]] = []
        for address in recipients:
            # not from this host: a mail server that happens to listen here would make the service's options void
            result = client.sendMail([address], subject, text, fromAddress=sender, localAttempt=False)
            try:
                valueOrRaise(result, COMPONENT)
            except Exception as exc:  # noqa: BLE001 one bad address must not keep the others from knowing
                failures.append((address, exc))
        if failures and len(failures) == len(recipients):
            raise failures[0][1]
        for address, failure in failures:
            self._log.error("Not told of problems:", f"{address}: {failure}")


def _diracClient(**arguments: Any) -> Any:
    from DIRAC.FrameworkSystem.Client.NotificationClient import NotificationClient

    return NotificationClient(**arguments)
