"""A mail server that delivers nothing: it keeps each mail as a file, where ``scripts/testbed mails`` and tests read it.

Run as ``python -m junotestbed.mail_sink --port PORT --folder FOLDER``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

from junotestbed.settings import Settings, TestbedError

_MAX_MAIL_BYTES = 10_000_000


@dataclass(frozen=True)
class Mail:
    """One mail that was sent. ``time``: when it came in, UTC."""

    number: int
    time: str
    sender: str
    recipients: list[str]
    subject: str
    text: str


def read_mails(settings: Settings) -> list[Mail]:
    """All mails since the last ``wipe``, oldest first."""
    return [_read(number, path) for number, path in enumerate(sorted(settings.mails.glob("*.eml")), 1)]


def _read(number: int, path: Path) -> Mail:
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    body = message.get_body(("plain", "html"))
    return Mail(
        number=number,
        time=f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%d %H:%M:%S}",
        sender=message["X-Sink-From"] or "",
        recipients=(message["X-Sink-To"] or "").split(", "),
        subject=message["Subject"] or "",
        text=body.get_content().replace("\r\n", "\n") if body else "",
    )


def show_mails(settings: Settings, number: int | None, as_json: bool) -> int:
    """Print the list of mails, or one of them; a negative number counts from the last."""
    found = read_mails(settings)
    if as_json:
        print(json.dumps([asdict(mail) for mail in found], indent=2))
    elif number is None:
        print(f"{'no':>4s}  {'time (UTC)':19s}  {'to':24s}  subject")
        for mail in found:
            print(f"{mail.number:4d}  {mail.time:19s}  {', '.join(mail.recipients):24s}  {mail.subject}")
        print(f"{len(found)} mails; 'scripts/testbed mails NUMBER' shows one, -1 the last")
    else:
        index = number - 1 if number > 0 else number
        if not number or not -len(found) <= index < len(found):
            raise TestbedError(f"there is no mail {number}: {len(found)} mails came in, see 'scripts/testbed mails'")
        mail = found[index]
        print(f"From: {mail.sender}\nTo: {', '.join(mail.recipients)}\nDate: {mail.time} UTC\nSubject: {mail.subject}\n")
        print(mail.text)
    return 0


class _Sink:
    """Handler of aiosmtpd: one file a mail, complete from the moment it has its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    async def handle_DATA(self, _server, _session, envelope) -> str:
        self._count += 1
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{self._count:06d}"
        head = f"X-Sink-From: {envelope.mail_from}\r\nX-Sink-To: {', '.join(envelope.rcpt_tos)}\r\n"
        fresh = self._folder / f"{name}.new"
        fresh.write_bytes(head.encode() + envelope.content)
        fresh.rename(self._folder / f"{name}.eml")
        print(f"mail to {', '.join(envelope.rcpt_tos)}", flush=True)
        return "250 OK"


async def serve(port: int, folder: Path) -> None:
    from aiosmtpd.smtp import SMTP

    folder.mkdir(parents=True, exist_ok=True)
    sink = _Sink(folder)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(sink, hostname="localhost", data_size_limit=_MAX_MAIL_BYTES), "127.0.0.1", port
    )
    async with server:
        await server.serve_forever()


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args(words)
    asyncio.run(serve(arguments.port, arguments.folder))


if __name__ == "__main__":
    main()
