"""Testbed only: DIRAC's services bind to every address of the machine and have no option for it; here they get 127.0.0.1."""

import socket

_bind = socket.socket.bind
# a service takes a socket of IPv6 where there is one: then 127.0.0.1 in the words of IPv6
_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::ffff:127.0.0.1"}


def _bind_to_loopback(self, address):
    if self.family in _LOOPBACK and isinstance(address, tuple) and address[0] in ("", "0.0.0.0", "::"):
        address = (_LOOPBACK[self.family], *address[1:])
    return _bind(self, address)


socket.socket.bind = _bind_to_loopback
