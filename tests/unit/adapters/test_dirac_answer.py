"""Answers of DIRAC: what is out of order is tried again, what is refused is not."""

import errno

import pytest
from DIRAC import S_ERROR, S_OK
from DIRAC.Core.Utilities import DErrno

from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, isUnavailable, valueOrRaise

# as DIRAC's transports, reactor and MySQL class write them
OUT_OF_ORDER = [
    "Can't connect to dips://localhost:9197/DataManagement/FileCatalog: ConnectionRefusedError(111, 'Connection refused')",
    "Error connecting to localhost:9197: [Errno 111] Connection refused",
    "Connection closed by peer",
    "Peer closed connection",
    "Connection seems stalled. Closing...",
    "Socket read timeout exceeded",
    "Exception while reading from peer: [Errno 104] Connection reset by peer",
    "Error in handhsake: unexpected eof SSLError()",
    "Network error while receiving data: x",
    "Maximum number of connections reached. Try later",
    "URL for service DataManagement/FileCatalog not found",
    'MySQL Error ( 1131 : Could not connect: (2003, "Can\'t connect to MySQL server"))',
    "MySQL Error ( 1131 : Execution failed.: ((2006, 'Server has gone away') ))",
    "MySQL Error ( 1131 : Execution failed.: ((1205, 'Lock wait timeout exceeded') ))",
    "MySQL Error ( 1131 : Execution failed.: ((1114, \"The table 'FC_Files' is full\") ))",
    "Failed post insert check",
]
REFUSALS = [
    "File already registered with alternative metadata",
    "Unauthorized query ( 1111 : Unauthorized query)",
    "You do not have permission to add a Transformation",
    "MySQL Error ( 1131 : Execution failed.: ((1406, \"Data too long for column 'FileName' at row 1\") ))",
    "Metadata conflict detected for Block for directory /juno/raw/2023",
]


@pytest.mark.parametrize("message", OUT_OF_ORDER)
def test_what_cannot_be_reached_is_a_temporary_failure(message):
    with pytest.raises(TemporaryFailure, match="FileCatalog is not available"):
        valueOrRaise(S_ERROR(message), "FileCatalog")


@pytest.mark.parametrize("message", REFUSALS)
def test_a_refusal_is_not_temporary_and_keeps_its_words(message):
    with pytest.raises(ServiceRefusal) as caught:
        valueOrRaise(S_ERROR(message), "FileCatalog")
    assert message in str(caught.value)


def test_error_numbers_count_where_the_words_say_nothing():
    assert isUnavailable("whatever", DErrno.EDISET)
    assert isUnavailable("whatever", DErrno.EMYSQL)
    assert not isUnavailable("whatever", errno.ENOENT)


def test_a_value_passes():
    assert valueOrRaise(S_OK([1]), "x") == [1]
