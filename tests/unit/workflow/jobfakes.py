"""A world for the jobs of chains: storages, a catalogue and a service that answer as DIRAC's do, and can be told to fail."""

from __future__ import annotations

import zlib
from pathlib import Path

from DIRAC import S_ERROR, S_OK

from JUNODIRAC.Workflow.Programs.EventRecords import RecordWriter, makeRecord

AWAY = "Can't connect to dips://host:9381/Production/ChainManager: Connection refused"


def adler(content: bytes) -> str:
    return f"{zlib.adler32(content):08x}"


def eventBytes(path: Path, events, run: int = 5) -> bytes:
    with RecordWriter(path) as writer:
        for event in events:
            writer.write(makeRecord(run, event, bytes([event % 256]) * 50))
    return path.read_bytes()


class FakeStorage:
    """``files``: content by LFN. ``trouble``: what it says instead; ``corrupts``: changes what is written."""

    def __init__(self, files=None):
        self.files = dict(files or {})
        self.trouble = ""
        self.writeTrouble = ""
        self.corrupts = False
        self.asked = []

    def _answer(self, lfn, value):
        self.asked.append(lfn)
        if self.trouble:
            return S_OK({"Successful": {}, "Failed": {lfn: self.trouble}})
        if value is None:
            return S_OK({"Successful": {}, "Failed": {lfn: "No such file or directory"}})
        return S_OK({"Successful": {lfn: value}, "Failed": {}})

    def getFile(self, lfn, localPath=""):
        content = self.files.get(lfn)
        if content is not None and not self.trouble:
            Path(localPath, lfn.rpartition("/")[2]).write_bytes(content)
        return self._answer(lfn, None if content is None else len(content))

    def putFile(self, files):
        ((lfn, local),) = files.items()
        if self.writeTrouble:
            return S_OK({"Successful": {}, "Failed": {lfn: self.writeTrouble}})
        content = Path(local).read_bytes()
        self.files[lfn] = content[:-1] + b"?" if self.corrupts else content
        return self._answer(lfn, len(content))

    def getFileMetadata(self, lfn):
        content = self.files.get(lfn)
        return self._answer(lfn, None if content is None else {"Size": len(content), "Checksum": adler(content)})

    def removeFile(self, lfn):
        self.files.pop(lfn, None)
        return self._answer(lfn, True)


class FakeCatalogue:
    def __init__(self, storages):
        self.storages = storages
        self.down = 0

    def getReplicas(self, lfns):
        if self.down:
            self.down -= 1
            return S_ERROR(AWAY)
        found = {lfn: {se: "" for se, storage in self.storages.items() if lfn in storage.files} for lfn in lfns}
        missing = [lfn for lfn in lfns if not found[lfn]]
        return S_OK({"Successful": {k: v for k, v in found.items() if v}, "Failed": dict.fromkeys(missing, "No such file")})


class FakeService:
    """Production/ChainManager: answers as it is told, notes what it is asked."""

    def __init__(self, begin, commit=None):
        self.begin = begin
        self.commit = commit or {"ProductID": 3, "Registration": {}, "Error": "", "Detail": ""}
        self.note = {"Error": "", "Detail": ""}
        self.calls = []
        self.down = {}

    def _call(self, name, args, value):
        self.calls.append((name, *args))
        if self.down.get(name, 0):
            self.down[name] -= 1
            return S_ERROR(AWAY)
        return S_OK(value)

    def beginTask(self, *args):
        return self._call("beginTask", args, self.begin)

    def noteUpload(self, *args):
        return self._call("noteUpload", args, self.note)

    def commitOutput(self, *args):
        return self._call("commitOutput", args, self.commit)

    def endAttempt(self, *args):
        return self._call("endAttempt", args, {"State": "Failed", "Error": "", "Detail": ""})

    def named(self, name):
        return [call[1:] for call in self.calls if call[0] == name]
