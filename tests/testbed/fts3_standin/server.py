"""Puts the parts together and runs them until SIGTERM."""

import argparse
import logging
import signal
import socketserver
import ssl
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

from cryptography import x509

from . import NAME
from .api import Api, Services
from .credentials import slash_name
from .rest import Handler, handler_for, tls_context
from .rules import RuleBook
from .scheduler import ProxyFiles, Scheduler, Settings
from .store import Store

LOG = logging.getLogger("fts3_standin")


class TlsServer(ThreadingHTTPServer):
    """HTTPS server whose handshakes are made by the threads of the connections."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[Handler], context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # The HTTP server's own version looks up the name of the host, which may take seconds without a name server.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        LOG.warning("connection from %s: %r", client_address[0], sys.exc_info()[1])


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fts3_standin", description=NAME)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8446)
    parser.add_argument("--cert", required=True, help="host certificate, PEM")
    parser.add_argument("--key", required=True, help="its key, PEM")
    parser.add_argument("--ca-dir", required=True, help="folder with the CA certificates of the clients")
    parser.add_argument("--state", required=True, type=Path, help="folder for jobs, proxies and rules; made if missing")
    parser.add_argument("--parallel", type=int, default=20, help="copies at the same time")
    parser.add_argument(
        "--per-link", type=int, default=0, help="copies at the same time from one host to another (0: half of --parallel)"
    )
    parser.add_argument("--retry-delay", type=float, default=120.0, help="seconds before a recoverable failure is tried again")
    parser.add_argument("--copy-timeout", type=int, default=0, help="seconds for a copy (0: 10 minutes and 2 s a MiB, as FTS3)")
    parser.add_argument("--kill-margin", type=float, default=60.0, help="seconds after the timeout until a copy is killed")
    parser.add_argument("--min-delegation", type=int, default=3600, help="seconds a delegated proxy must live for a submission")
    parser.add_argument("--vo", default="juno", help="VO of all callers (VOMS attributes are not read)")
    parser.add_argument("--allow-streaming", action="store_true", help="copy through this machine if the storages cannot")
    parser.add_argument("--allow-instant", action="store_true", help="allow rules that report FINISHED without moving a byte")
    parser.add_argument("--debug", action="store_true", help="log every request")
    return parser.parse_args(arguments)


def _configure_log(debug: bool) -> None:
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler])


def main(arguments: list[str] | None = None) -> int:
    """Run in the foreground until SIGTERM or SIGINT.

    :returns: exit status
    """
    options = parse_arguments(arguments)
    _configure_log(options.debug)
    options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = Store(options.state / "fts3_standin.sqlite", options.retry_delay)
    rules = RuleBook(options.state / "rules.json", store, options.allow_instant)
    # Half, so that the copies to a storage that is down, which hang for minutes, leave places for the others.
    per_link = options.per_link or max(1, options.parallel // 2)
    settings = Settings(options.parallel, per_link, options.copy_timeout, options.kill_margin, options.allow_streaming)
    scheduler = Scheduler(store, rules, ProxyFiles(options.state / "proxies", store), settings)
    certificate = x509.load_pem_x509_certificate(Path(options.cert).read_bytes())
    services = Services(store, rules, scheduler, options.vo, slash_name(certificate.subject), options.min_delegation)
    context = tls_context(options.cert, options.key, options.ca_dir)
    server = TlsServer((options.host, options.port), handler_for(Api(services)), context)

    def stop(number: int, frame: FrameType | None) -> None:
        LOG.info("signal %d: stopping", number)
        # shutdown() waits for serve_forever(), which runs in this very thread.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    interrupted = store.requeue_interrupted()
    LOG.info("%s: https://%s:%d, %d interrupted files will be done again", NAME, options.host, server.server_port, interrupted)
    if options.allow_instant:
        LOG.warning("Rules may report FINISHED without moving a byte (--allow-instant)")
    scheduler.start()
    server.serve_forever()
    server.socket.close()
    scheduler.stop()
    scheduler.join(10)
    store.close()
    LOG.info("stopped, jobs are kept")
    return 0
