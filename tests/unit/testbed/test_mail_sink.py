"""Mails that were sent on the testbed are all kept and can be read."""

from __future__ import annotations

import asyncio
import json
import smtplib
import socket
import threading
from email.message import EmailMessage

import pytest
from junotestbed.mail_sink import read_mails, serve, show_mails
from junotestbed.settings import Settings, TestbedError

pytestmark = pytest.mark.unit


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(tmp_path)


@pytest.fixture
def port(settings) -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    loop = asyncio.new_event_loop()
    serving = loop.create_task(serve(number, settings.mails))
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([serving])))
    thread.start()
    for _ in range(200):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", number)) == 0:
                break
        threading.Event().wait(0.05)
    yield number
    loop.call_soon_threadsafe(serving.cancel)
    thread.join(10)
    loop.close()


def send(port: int, subject: str, text: str, *recipients: str) -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = subject, "dirac@localhost"
    message.set_content(text)
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.send_message(message, to_addrs=recipients)


def test_each_mail_is_kept_in_order_with_what_was_written_and_to_whom(settings, port):
    send(port, "erste", "Größe: 10 GB\n.\nend\n", "a@localhost", "b@localhost")
    send(port, "second", "x" * 100_000, "a@localhost")
    first, second = read_mails(settings)
    assert (first.number, first.subject, first.text) == (1, "erste", "Größe: 10 GB\n.\nend\n")
    assert first.recipients == ["a@localhost", "b@localhost"]
    assert (second.subject, len(second.text.strip())) == ("second", 100_000)


def test_a_mail_is_shown_by_its_number_or_from_the_end_and_all_as_json(settings, port, capsys):
    send(port, "one", "first", "a@localhost")
    send(port, "two", "last", "a@localhost")
    for number, text in ((1, "first"), (2, "last"), (-1, "last"), (-2, "first")):
        show_mails(settings, number, False)
        assert capsys.readouterr().out.strip().endswith(text)
    show_mails(settings, None, True)
    assert [mail["subject"] for mail in json.loads(capsys.readouterr().out)] == ["one", "two"]


@pytest.mark.parametrize("number", [0, 1, -1])
def test_a_mail_that_does_not_exist_is_an_error_with_the_number_of_mails(settings, number):
    with pytest.raises(TestbedError, match=f"no mail {number}: 0 mails"):
        show_mails(settings, number, False)
