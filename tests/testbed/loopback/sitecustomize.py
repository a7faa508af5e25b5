"""Testbed only: DIRAC's services bind to every address of the machine and have no option for it; here they get 127.0.0.1."""

import socket

_bind = socket.socket.bind


def _bind_to_loopback(self, address):
    if self.family == socket.AF_INET and isinstance(address, tuple) and address[0] in ("", "0.0.0.0"):
        address = ("127.0.0.1", *address[1:])
    return _bind(self, address)


socket.socket.bind = _bind_to_loopback
