"""What asks services for the gates of chains, and what switches their transformations."""

from __future__ import annotations

import http.server
import socket
import threading

import pytest

from JUNODIRAC.Core.Logic.ChainHolds import CATALOGUE, CONDITIONS
from JUNODIRAC.Core.Logic.Ports import TemporaryFailure
from JUNODIRAC.ProductionSystem.Client import ServiceProbes as module
from JUNODIRAC.ProductionSystem.Client.FedTransformations import FedTransformations
from JUNODIRAC.ProductionSystem.Client.ServiceProbes import NotConfigured, ServiceProbes, catalogueProbe, endpointProbe
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal

pytestmark = pytest.mark.unit


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self):
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found.server_address[1]
    found.shutdown()
    found.server_close()


def closedPort() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize("status", [200, 204, 401, 403])
def test_a_service_that_answers_is_there_also_if_it_wants_to_know_who_asks(server, status):
    endpointProbe(f"http://127.0.0.1:{server}/{status}", 5)()


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_service_that_answers_with_an_error_is_not(server, status):
    with pytest.raises(ServiceRefusal, match=f"HTTP {status}"):
        endpointProbe(f"http://127.0.0.1:{server}/{status}", 5)()


def test_a_tcp_endpoint_is_there_when_it_takes_a_connection(server):
    endpointProbe(f"tcp://127.0.0.1:{server}", 5)()
    for endpoint in (f"tcp://127.0.0.1:{closedPort()}", f"http://127.0.0.1:{closedPort()}/"):
        with pytest.raises(OSError, match="refused"):
            endpointProbe(endpoint, 5)()


@pytest.mark.parametrize("endpoint", ["tcp://host", "ftp://host/x", "tcp://"])
def test_an_endpoint_that_cannot_be_asked_says_why(endpoint):
    with pytest.raises(NotConfigured, match="cannot be asked"):
        endpointProbe(endpoint, 5)()


def test_a_conditions_service_that_nobody_configured_is_an_error_with_its_remedy(monkeypatch):
    monkeypatch.setattr(module, "conditionsEndpoint", lambda vo: "")
    (why,) = ServiceProbes("juno", 5)([CONDITIONS]).values()
    assert why.startswith("no conditions service is configured: set /Operations/juno/RawData/Chains/Conditions/Endpoint")
    assert "take the gate conditions-up out" in why


def test_a_conditions_service_that_answers_is_up(monkeypatch, server):
    monkeypatch.setattr(module, "conditionsEndpoint", lambda vo: f"http://127.0.0.1:{server}/200")
    assert ServiceProbes("juno", 5)([CONDITIONS]) == {}


def test_what_hangs_costs_its_patience_and_is_a_failure():
    release = threading.Event()
    probes = ServiceProbes("juno", 0.05, lambda name: release.wait if name == "slow" else lambda: None)
    assert list(probes(["slow", "quick"])) == ["slow"]
    release.set()


class Catalogue:
    def __init__(self, answer):
        self.answer = answer

    def __call__(self, **kwargs):
        return self

    def isDirectory(self, directories):
        return self.answer


@pytest.mark.parametrize("failed", [{}, {"/juno": "No such file or directory"}])
def test_a_catalogue_that_says_whether_a_directory_is_there_is_up(failed):
    catalogueProbe("/juno", 5, Catalogue({"OK": True, "Value": {"Successful": {}, "Failed": failed}}))()


@pytest.mark.parametrize(
    "answer",
    [
        {"OK": False, "Message": "Connection refused", "Errno": 0},
        {"OK": True, "Value": {"Successful": {}, "Failed": {"/juno": "MySQL Error: gone away"}}},
    ],
)
def test_a_catalogue_without_its_database_is_not(answer):
    with pytest.raises((TemporaryFailure, ServiceRefusal)):
        catalogueProbe("/juno", 5, Catalogue(answer))()


def test_the_kinds_of_needs_have_probes_of_their_own(monkeypatch):
    made = []
    monkeypatch.setattr(module, "catalogueProbe", lambda *args: made.append("catalogue") or (lambda: None))
    monkeypatch.setattr(module, "storageProbe", lambda se, vo, directory: made.append((se, vo, directory)) or (lambda: None))
    ServiceProbes("juno", 5)([CATALOGUE, "storage CNAF-STORM"])
    assert made == ["catalogue", ("CNAF-STORM", "juno", "/juno")]


# ---- transformations


class Client:
    """DIRAC's TransformationClient; answers what it is given."""

    def __init__(self, **answers):
        self.answers, self.calls = answers, []

    def __getattr__(self, method):
        def call(*args, **kwargs):
            self.calls.append((method, args, kwargs))
            value = self.answers[method]
            return {"OK": True, "Value": value(*args, **kwargs) if callable(value) else value}

        return call


def test_files_are_given_in_pieces_and_what_was_new_or_failed_is_told():
    def add(transformationIDs, lfns):
        return {
            "Successful": {lfn: "Added" if lfn != "/1" else "Present" for lfn in lfns if lfn != "/2"},
            "Failed": {lfn: "no" for lfn in lfns if lfn == "/2"},
        }

    writer = Client(addFilesToTransformations=add)
    lfns = [f"/{number}" for number in range(12_000)]
    assert FedTransformations(Client(), writer).attach([7, 8], lfns) == (11_998, {"/2": "no"})
    assert [len(args[1]) for _, args, _ in writer.calls] == [5000, 5000, 2000]


def test_a_status_is_changed_by_the_writer_alone():
    reader, writer = Client(), Client(setTransformationParameter=1)
    FedTransformations(reader, writer).setStatus(7, "Stopped")
    assert writer.calls == [("setTransformationParameter", (7, "Status", "Stopped"), {})]
    assert reader.calls == []


def test_what_is_not_processed_is_unfinished_whatever_its_status():
    counted = [({"TransformationID": 7, "Status": status}, 1) for status in ("Processed", "Assigned", "Odd")]
    reader = Client(getCounters=counted, getTransformationFiles=[{"LFN": "/1"}])
    transformations = FedTransformations(reader, Client())
    assert transformations.fileCounts([7]) == {7: {"Processed": 1, "Assigned": 1, "Odd": 1}}
    assert transformations.unfinished(7) == ["/1"]
    assert reader.calls[-1][2]["condDict"] == {"TransformationID": 7, "Status": ["Assigned", "Odd"]}
    reader.answers["getCounters"] = counted[:1]
    assert transformations.unfinished(7) == []


def test_nothing_is_asked_of_no_transformations():
    reader = Client()
    assert FedTransformations(reader, Client()).fileCounts([]) == {}
    assert reader.calls == []
