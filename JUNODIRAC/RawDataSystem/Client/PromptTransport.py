"""Calls to DIRAC's services without the pause of 40 ms that TCP makes in each of them.

After the handshake of TLS 1.3 a server sends session tickets, and then its first answer. That one is small, so that the
server's TCP (Nagle's algorithm) holds it back until the tickets are acknowledged, and the client's TCP acknowledges them
40 ms later (delayed acknowledgement), because it hopes for something to send along. DISET makes a connection for each call:
50 ms a call, of which 4 ms are work. A client that acknowledges at once has the answer at once, whatever the server does.
"""

from __future__ import annotations

import socket
from typing import Any

from DIRAC import gLogger
from DIRAC.Core.DISET.private.Protocols import gProtocolDict
from DIRAC.Core.DISET.private.Transports.SSLTransport import SSLTransport

_PROTOCOL = "dips"
# of Linux; elsewhere calls take as long as ever
_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)


class PromptTransport(SSLTransport):
    """DIRAC's transport, whose sockets neither hold back what they send nor acknowledge late what they receive."""

    def initAsClient(self) -> dict[str, Any]:
        """Connect."""
        result: dict[str, Any] = super().initAsClient()
        if result["OK"]:
            self.oSocket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return result

    def _read(self, bufSize: int = 4096, skipReadyCheck: bool = False) -> dict[str, Any]:
        # before each read, because the kernel takes it back after each write
        if _QUICK_ACK is not None and not self.serverMode():
            self.oSocket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        result: dict[str, Any] = super()._read(bufSize, skipReadyCheck)
        return result


def usePromptTransport() -> None:
    """Have all further calls of this process made so. Where something else was put into DIRAC's table, it is left alone."""
    if gProtocolDict[_PROTOCOL]["transport"] is SSLTransport:
        gProtocolDict[_PROTOCOL]["transport"] = PromptTransport
    elif gProtocolDict[_PROTOCOL]["transport"] is not PromptTransport:
        gLogger.info("DIRAC's transport was replaced by another one, which stays", gProtocolDict[_PROTOCOL]["transport"].__name__)
