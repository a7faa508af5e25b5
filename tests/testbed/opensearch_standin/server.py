"""Documents over HTTP, kept in one SQLite file.

DIRAC keeps the parameters of jobs in OpenSearch alone, and without them StalledJobAgent never gives up a job that died. A real
OpenSearch is too large for a testbed on a small machine. This answers what ``JobParametersDB`` asks: one document by its number,
or several; no search.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

INFO = {
    "name": "standin",
    "cluster_name": "opensearch-standin",
    "version": {"distribution": "opensearch", "number": "2.11.0"},
    "tagline": "This is not OpenSearch",
}


class Documents:
    """The documents of all indices."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # what a power cut takes away is only test data
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute("CREATE TABLE IF NOT EXISTS Indices (Name TEXT PRIMARY KEY)")
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS Documents (Name TEXT, ID TEXT, Body TEXT, PRIMARY KEY (Name, ID)) WITHOUT ROWID"
        )
        self.lock = threading.RLock()

    def has_index(self, name: str) -> bool:
        with self.lock:
            return bool(self.connection.execute("SELECT 1 FROM Indices WHERE Name = ?", (name,)).fetchone())

    def add_index(self, name: str) -> None:
        with self.lock:
            self.connection.execute("INSERT OR IGNORE INTO Indices VALUES (?)", (name,))

    def get(self, name: str, number: str) -> dict | None:
        with self.lock:
            row = self.connection.execute("SELECT Body FROM Documents WHERE Name = ? AND ID = ?", (name, number)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, name: str, number: str, body: dict) -> None:
        with self.lock:
            self.add_index(name)
            self.connection.execute("REPLACE INTO Documents VALUES (?, ?, ?)", (name, number, json.dumps(body)))

    def update(self, name: str, number: str, changes: dict) -> bool:
        """Change some fields of a document that exists."""
        with self.lock:
            body = self.get(name, number)
            if body is None:
                return False
            self.put(name, number, body | changes)
            return True

    def delete(self, name: str, number: str) -> bool:
        with self.lock:
            return self.connection.execute("DELETE FROM Documents WHERE Name = ? AND ID = ?", (name, number)).rowcount > 0


class Handler(BaseHTTPRequestHandler):
    """One request; what is not known is answered with 501 and its path."""

    protocol_version = "HTTP/1.1"
    # the head and the body of an answer are two small writes: do not let the second wait for the receipt of the first
    disable_nagle_algorithm = True
    documents: Documents

    def log_message(self, format: str, *args: object) -> None:
        """Only errors are worth a line."""

    def do_HEAD(self) -> None:
        self._answer(*self._found())

    def do_GET(self) -> None:
        self._answer(*self._found())

    def do_PUT(self) -> None:
        self._answer(*self._change())

    def do_POST(self) -> None:
        self._answer(*self._change())

    def do_DELETE(self) -> None:
        match self._path():
            case [name, "_doc", number]:
                gone = self.documents.delete(name, number)
                self._answer(200 if gone else 404, {"_id": number, "result": "deleted" if gone else "not_found"})
            case _:
                self._answer(*self._unknown())

    def _found(self) -> tuple[int, dict]:
        match self._path():
            case []:
                return 200, INFO
            case [name, "_doc", number]:
                body = self.documents.get(name, number)
                answer = {"_index": name, "_id": number, "found": body is not None}
                return (404, answer) if body is None else (200, answer | {"_source": body})
            case [name]:
                return (200 if self.documents.has_index(name) else 404), {}
        return self._unknown()

    def _change(self) -> tuple[int, dict]:
        content = self._body()
        match self._path():
            case ["_index_template", _]:
                return 200, {"acknowledged": True}
            case ["_mget"]:
                return 200, {"docs": [self._one_of_many(wanted) for wanted in content["docs"]]}
            case [name, "_update", number] if "doc" in content:
                if self.documents.update(name, number, content["doc"]):
                    return 200, {"_index": name, "_id": number, "result": "updated"}
                missing = {"type": "document_missing_exception", "reason": f"[{number}]: document missing"}
                return 404, {"error": missing, "status": 404}
            case [name, "_doc", number]:
                self.documents.put(name, number, content)
                return 201, {"_index": name, "_id": number, "result": "created"}
            case [name]:
                self.documents.add_index(name)
                return 200, {"acknowledged": True, "index": name}
        return self._unknown()

    def _one_of_many(self, wanted: dict) -> dict:
        name, number = wanted["_index"], str(wanted["_id"])
        body = self.documents.get(name, number)
        found = {"_index": name, "_id": number, "found": body is not None}
        return found if body is None else found | {"_source": body}

    def _path(self) -> list[str]:
        return [unquote(part) for part in urlsplit(self.path).path.split("/") if part]

    def _body(self) -> dict:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

    def _unknown(self) -> tuple[int, dict]:
        reason = f"the stand-in does not know {self.command} {self.path}"
        print(reason, flush=True)
        return 501, {"error": {"type": "unsupported", "reason": reason}, "status": 501}

    def _answer(self, status: int, content: dict) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


def make_server(port: int, path: Path) -> ThreadingHTTPServer:
    handler = type("BoundHandler", (Handler,), {"documents": Documents(path)})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    return server


def main() -> None:
    parser = argparse.ArgumentParser(prog="opensearch_standin", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True, help="the SQLite file of the documents")
    arguments = parser.parse_args()
    make_server(arguments.port, arguments.file).serve_forever()
