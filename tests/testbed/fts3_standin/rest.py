"""HTTPS and the paths of the REST interface; :mod:`fts3_standin.api` does the work."""

import json
import logging
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from . import NAME
from .api import AUTHENTICATION_TIMEOUT, Answer, Api, HttpError, Request, status_text
from .credentials import peer_chain, user_dn

LOG = logging.getLogger("fts3_standin.rest")

_MAX_BODY_BYTES = 64 << 20
_IDLE_SECONDS = 60


@dataclass(frozen=True)
class Route:
    """`anonymous`: served without a client certificate."""

    method: str
    path: re.Pattern[str]
    action: Callable[..., Answer]
    anonymous: bool = False


def _route(method: str, path: str, action: Callable[..., Answer], anonymous: bool = False) -> Route:
    return Route(method, re.compile(path), action, anonymous)


_DLG, _JOB = r"/delegation/([^/]+)", r"/jobs/([^/]+)"
ROUTES = [
    _route("GET", r"/", Api.root, anonymous=True),
    _route("GET", r"/whoami", Api.whoami),
    _route("GET", _DLG, Api.delegation),
    _route("GET", _DLG + "/request", Api.delegation_request),
    _route("PUT", _DLG + "/credential", Api.delegation_credential),
    _route("POST", _DLG + "/credential", Api.delegation_credential),
    _route("DELETE", _DLG, Api.delegation_delete),
    _route("POST", r"/jobs", Api.submit),
    _route("PUT", r"/jobs", Api.submit),
    _route("GET", r"/jobs", Api.jobs),
    _route("GET", _JOB, Api.job),
    _route("GET", _JOB + "/files", Api.job_files),
    _route("GET", _JOB + "/dm", Api.job_dm),
    _route("GET", _JOB + r"/files/(\d+)/retries", Api.file_retries),
    _route("DELETE", _JOB, Api.cancel),
    _route("DELETE", _JOB + r"/files/([\d,]+)", Api.cancel_files),
    _route("GET", r"/standin/rules", Api.rules, anonymous=True),
    _route("POST", r"/standin/rules", Api.add_rules, anonymous=True),
    _route("DELETE", r"/standin/rules", Api.remove_rules, anonymous=True),
    _route("DELETE", r"/standin/rules/([^/]+)", Api.remove_rules, anonymous=True),
    _route("GET", r"/standin/transfers", Api.transfers, anonymous=True),
]


class Handler(BaseHTTPRequestHandler):
    """One connection. :func:`handler_for` makes the class that knows the services."""

    protocol_version = "HTTP/1.1"
    server_version = "fts3-standin"
    timeout = _IDLE_SECONDS
    # One segment for head and body each would wait for the other's acknowledgement (40 ms) without this.
    disable_nagle_algorithm = True
    wbufsize = -1
    api: ClassVar[Api]

    def setup(self) -> None:
        # The handshake is made here, in the connection's own thread: a silent client must not keep others from connecting.
        self.request.settimeout(_IDLE_SECONDS)
        self.request.do_handshake()
        super().setup()
        self.dn = user_dn(peer_chain(self.request))

    def _serve(self) -> None:
        started = time.monotonic()
        try:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 <= length <= _MAX_BODY_BYTES:
                self.close_connection = True
                raise HttpError(413, f"The body may have {_MAX_BODY_BYTES} bytes")
            body = self.rfile.read(length)
            answer = self._dispatch(body)
        except HttpError as error:
            answer = Answer({"status": status_text(error.status), "message": error.message}, error.status)
        except Exception as error:
            LOG.exception("%s %s failed", self.command, self.path)
            answer = Answer({"status": status_text(500), "message": repr(error)}, 500)
        self._send(answer)
        level = logging.DEBUG if answer.status < 400 and self.command == "GET" else logging.INFO
        LOG.log(
            level,
            "%s %s %s %d %.0f ms",
            self.dn or "-",
            self.command,
            self.path,
            answer.status,
            1000 * (time.monotonic() - started),
        )

    def _dispatch(self, body: bytes) -> Answer:
        parts = urlsplit(self.path if not self.path.startswith("//") else "/" + self.path.lstrip("/"))
        path = re.sub(r"/+", "/", parts.path).rstrip("/") or "/"
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        is_local = ip_address(self.client_address[0]).is_loopback
        request = Request(self.dn, is_local, query, body)
        allowed = []
        for route in ROUTES:
            match = route.path.fullmatch(path)
            if match and route.method == self.command:
                if not (self.dn or route.anonymous):
                    raise HttpError(403, "A client certificate (a proxy) is needed")
                return route.action(self.api, request, *(unquote(group) for group in match.groups()))
            if match:
                allowed.append(route.method)
        if allowed:
            raise HttpError(405, f"{path} serves {', '.join(allowed)}")
        raise HttpError(404, f"{path} is not served by the {NAME}")

    def _send(self, answer: Answer) -> None:
        text = isinstance(answer.body, str)
        data = answer.body.encode() if text else json.dumps(answer.body).encode()
        self.send_response(answer.status, None if answer.status != AUTHENTICATION_TIMEOUT else "Authentication Timeout")
        self.send_header("Content-Type", "text/plain" if text else "application/json")
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if answer.status != HTTPStatus.NO_CONTENT:
            self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug(format, *args)


def handler_for(api: Api) -> type[Handler]:
    return type("ApiHandler", (Handler,), {"api": api})


def tls_context(cert: str, key: str, ca_dir: str) -> ssl.SSLContext:
    """Server context that takes, but does not demand, client certificates, RFC proxies included.

    :param ca_dir: folder with CA certificates; hash links are not needed
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    for path in sorted(Path(ca_dir).iterdir()):
        if path.suffix in (".pem", ".crt", ".0"):
            context.load_verify_locations(cafile=str(path))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
    return context
