"""Calls to services wait for nothing but the service."""

from __future__ import annotations

import socket

import pytest
from DIRAC import S_ERROR, S_OK
from DIRAC.Core.DISET.private.Protocols import gProtocolDict
from DIRAC.Core.DISET.private.Transports.SSLTransport import SSLTransport

from JUNODIRAC.RawDataSystem.Client.PromptTransport import PromptTransport, usePromptTransport


class FakeSocket:
    def __init__(self):
        self.options = []

    def setsockopt(self, *option):
        self.options.append(option)


@pytest.fixture
def transport(monkeypatch):
    """A transport without connection; what DIRAC's does is noted on its socket."""

    def initAsClient(self):
        self.oSocket = FakeSocket()
        return S_OK()

    monkeypatch.setattr(SSLTransport, "__init__", lambda self: None)
    monkeypatch.setattr(SSLTransport, "initAsClient", initAsClient)
    monkeypatch.setattr(SSLTransport, "_read", lambda self, *_: self.oSocket.options.append("read") or S_OK(b"x"))
    monkeypatch.setattr(SSLTransport, "serverMode", lambda self: False)
    return PromptTransport()


def test_what_is_sent_is_not_held_back(transport):
    assert transport.initAsClient()["OK"]
    assert transport.oSocket.options == [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


def test_what_comes_is_acknowledged_at_once_by_each_read(transport):
    transport.initAsClient()
    assert transport._read() == S_OK(b"x")
    transport._read()
    quick = (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    assert transport.oSocket.options[1:] == [quick, "read", quick, "read"]


def test_a_connection_that_fails_is_reported(transport, monkeypatch):
    monkeypatch.setattr(SSLTransport, "initAsClient", lambda self: S_ERROR("refused"))
    assert transport.initAsClient()["Message"] == "refused"


def test_it_takes_the_place_of_diracs_once_and_of_nobody_elses(monkeypatch):
    for before, after in ((SSLTransport, PromptTransport), (PromptTransport, PromptTransport), (FakeSocket, FakeSocket)):
        monkeypatch.setitem(gProtocolDict, "dips", {**gProtocolDict["dips"], "transport": before})
        usePromptTransport()
        assert gProtocolDict["dips"]["transport"] is after
