"""Who is told, and what happens when the mail does not go out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from JUNODIRAC.Core.Domain.Alert import Problem
from JUNODIRAC.Core.Logic.AlertBook import AlertBook
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.AlertMail import AlertMail, alertRecipients, alertSender
from JUNODIRAC.RawDataSystem.Client.AlertTeller import AlertTeller
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
CONFIGURATION = """
Registry { Users { prod {
DN = /CN=prod
Email = prod@localhost
} } }
Operations { Defaults { Shifter { ProductionManager {
User = prod
Group = juno_prod
} } RawData { Alerts {
Recipients = %s
Sender = %s
} } } }
"""


class Notification:
    """DIRAC's client; refuses some addresses, or does not answer at all."""

    def __init__(self, refused=(), isDown=False):
        self.refused, self.isDown, self.sent = set(refused), isDown, []

    def __call__(self, **_arguments):
        return self

    def sendMail(self, addresses, subject, body, fromAddress=None, localAttempt=True):
        assert not localAttempt
        if self.isDown:
            return {"OK": False, "Message": "Cannot connect: connection refused"}
        if self.refused & set(addresses):
            return {"OK": False, "Message": "Sending mail failed: no such user"}
        self.sent.append((*addresses, subject, fromAddress))
        return {"OK": True, "Value": "sent"}


@pytest.mark.parametrize(
    ("recipients", "told"),
    [("a@x.org, b@x.org", ["a@x.org", "b@x.org"]), ("", ["prod@localhost"])],
)
def test_those_of_the_option_are_told_or_else_the_production_manager(configuration, recipients, told):
    configuration(CONFIGURATION % (recipients, "juno@x.org"))
    assert alertRecipients() == told
    assert alertSender() == "juno@x.org"


def test_where_nobody_is_named_nobody_is_told(configuration):
    configuration("")
    assert alertRecipients() == []


def test_one_bad_address_is_logged_and_the_others_are_told(log):
    service = Notification(refused=["b@x.org"])
    AlertMail(log, clientFactory=service).send(["a@x.org", "b@x.org", "c@x.org"], "subject", "text", "juno@x.org")
    assert [mail[0] for mail in service.sent] == ["a@x.org", "c@x.org"]
    assert service.sent[0][1:] == ("subject", "juno@x.org")
    assert ["b@x.org" in line for line in log.at("error")] == [True]


@pytest.mark.parametrize(("service", "error"), [(Notification(isDown=True), TemporaryFailure),
                                                (Notification(refused=["a@x.org"]), ServiceRefusal)])  # fmt: skip
def test_a_mail_that_nobody_gets_is_an_error(log, service, error):
    with pytest.raises(error, match="Framework/Notification"):
        AlertMail(log, clientFactory=service).send(["a@x.org"], "subject", "text")


class Desk:
    """A teller with a service that can be switched off."""

    def __init__(self, log, recipients=("a@x.org",)):
        self.service, self.book, self.recipients = Notification(), AlertBook(), list(recipients)
        self.teller = AlertTeller(self.book, AlertMail(log, clientFactory=self.service), log, lambda _vo: self.recipients)

    def cycle(self, seconds, *keys, unknown=frozenset()):
        now = START + timedelta(seconds=seconds)
        self.teller.note([Problem(key, "", f"{key} is wrong", "", "help", START) for key in keys], unknown, now)
        self.teller.tell(now, periodSeconds=3600, maxDelaySeconds=60)


@pytest.fixture
def desk(log, configuration):
    configuration("")
    return Desk(log)


def test_while_no_mail_goes_out_that_is_said_once_and_tried_again_within_the_longest_delay(desk, log):
    desk.service.isDown = True
    for seconds in range(0, 600, 10):
        desk.cycle(seconds, "service:X")
    assert len([line for line in log.at("error") if "No mail can be sent" in line]) == 1
    desk.service.isDown = False
    for seconds in range(600, 670, 10):
        desk.cycle(seconds, "service:X")
    assert len(desk.service.sent) == 1
    assert [line for line in log.at("notice") if "Mails go out again" in line]


def test_attempts_become_fewer_while_no_mail_goes_out(desk, monkeypatch):
    desk.service.isDown = True
    attempts = []
    send = desk.service.sendMail
    monkeypatch.setattr(desk.service, "sendMail", lambda *args, **kwargs: attempts.append(1) or send(*args, **kwargs))
    for seconds in range(0, 600, 10):
        desk.cycle(seconds, "service:X")
    assert 600 / 60 <= len(attempts) <= 25


def test_what_happens_while_no_mail_goes_out_is_one_mail_afterwards(desk):
    desk.service.isDown = True
    desk.cycle(0, "service:X")
    desk.service.isDown = False
    desk.cycle(1, "service:X", "service:Y")
    desk.cycle(20, "service:X", "service:Y")
    (mail,) = desk.service.sent
    assert mail[1] == "[JUNODIRAC] service:X is wrong, service:Y is wrong"


def test_where_nobody_can_be_told_one_line_says_so_and_the_problems_are_in_the_log(desk, log):
    desk.recipients = []
    for seconds in range(0, 50, 10):
        desk.cycle(seconds, "service:X")
    desk.cycle(50)
    assert [line.split(":")[0] for line in log.at("error")] == ["Problem service", "Nobody is told of problems"]
    assert "/Operations/Defaults/RawData/Alerts/Recipients" in log.at("error")[1]
    assert any("Problem is over" in line for line in log.at("notice"))
    assert desk.service.sent == []
