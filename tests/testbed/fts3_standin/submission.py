"""Checks a submitted job and turns it into what the store keeps. Pure."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_CHECKSUM_MODES = {
    None: "none", False: "none", "": "none", "none": "none", "n": "none",
    True: "both", "both": "both", "t": "both", "source": "source", "target": "target",
}  # fmt: skip


class BadSubmission(Exception):
    """The body is not a job. The message names the entry and the reason, the REST layer answers 400 with it."""


@dataclass(frozen=True)
class FileEntry:
    """One pair of source and destination; entries with the same `index` are alternative sources of one file."""

    index: int
    source: str
    destination: str
    checksum: str
    user_filesize: int | None
    metadata: Any
    activity: str
    strategy: str


@dataclass(frozen=True)
class Submission:
    """A job that passed the checks."""

    priority: int
    retry: int
    retry_delay: int
    verify_checksum: str
    overwrite: bool
    cleanup: bool
    timeout: int
    metadata: Any
    params: dict[str, Any]
    files: list[FileEntry] = field(default_factory=list)


def storage_host(url: str) -> str:
    """FTS3 tells storages apart by scheme and host; the port plays no part."""
    return urlsplit(url).hostname or ""


def storage_element(url: str) -> str:
    """`root://host`, as in the fields source_se and dest_se."""
    return f"{urlsplit(url).scheme}://{storage_host(url)}"


def url_path(url: str) -> str:
    """Path of a URL with single slashes: `root://host//eos/a` -> `/eos/a`."""
    return re.sub(r"/+", "/", urlsplit(url).path)


def parse_submission(body: Any) -> Submission:
    """
    :param body: the decoded JSON of ``POST /jobs``
    :raises BadSubmission: with the entry and the reason
    """
    if not isinstance(body, dict):
        raise BadSubmission("The submission must be a JSON object")
    if body.get("delete") or body.get("staging"):
        raise BadSubmission("Deletion and staging jobs are not served by the stand-in; send 'files'")
    entries = body.get("files")
    if not isinstance(entries, list) or not entries:
        raise BadSubmission("No transfers or namespace operations specified: 'files' must be a list that is not empty")
    params = body.get("params") or {}
    if not isinstance(params, dict):
        raise BadSubmission("'params' must be a JSON object")
    if params.get("multihop") or params.get("reuse"):
        raise BadSubmission("Multihop and session reuse jobs are not served by the stand-in")
    mode = params.get("verify_checksum")
    if not isinstance(mode, (str, bool, type(None))) or mode not in _CHECKSUM_MODES:
        raise BadSubmission(f"verify_checksum {mode!r} is not one of source, target, both, none")
    files = [parsed for index, entry in enumerate(entries) for parsed in _parse_file(index, entry)]
    return Submission(
        priority=min(5, max(1, _integer(params, "priority", 3))),
        retry=_integer(params, "retry", 0),
        retry_delay=_integer(params, "retry_delay", 0),
        verify_checksum=_CHECKSUM_MODES[mode],
        overwrite=bool(params.get("overwrite")),
        cleanup=not params.get("disable_cleanup"),
        timeout=_integer(params, "timeout", 0),
        metadata=params.get("job_metadata"),
        params=params,
        files=files,
    )


def _integer(params: dict[str, Any], name: str, default: int) -> int:
    value = params.get(name)
    if value is None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise BadSubmission(f"Invalid value for {name}: {value!r} is not a whole number") from error


def _parse_file(index: int, entry: Any) -> list[FileEntry]:
    if not isinstance(entry, dict):
        raise BadSubmission(f"File {index}: not a JSON object")
    sources, destinations = entry.get("sources"), entry.get("destinations")
    if not isinstance(sources, list) or not sources:
        raise BadSubmission(f"File {index}: no source paths specified")
    if not isinstance(destinations, list) or len(destinations) != 1:
        raise BadSubmission(f"File {index}: exactly one destination path is needed")
    for url in [*sources, *destinations]:
        _check_url(index, url)
    return [
        FileEntry(
            index=index,
            source=source.strip(),
            destination=destinations[0].strip(),
            checksum=str(entry.get("checksum") or ""),
            user_filesize=_integer(entry, "filesize", 0) or None,
            metadata=entry.get("metadata"),
            activity=str(entry.get("activity") or "default"),
            strategy=str(entry.get("selection_strategy") or "auto"),
        )
        for source in sources
    ]


def _check_url(index: int, url: Any) -> None:
    if not isinstance(url, str):
        raise BadSubmission(f"File {index}: a URL must be a string, not {url!r}")
    parts = urlsplit(url.strip())
    if not parts.scheme:
        raise BadSubmission(f"Invalid value within the request: Missing scheme ({url})")
    if parts.scheme == "file":
        raise BadSubmission(f"Invalid value within the request: Can not transfer local files ({url})")
    if not parts.hostname:
        raise BadSubmission(f"Invalid value within the request: Missing host ({url})")
    if not parts.path.strip("/"):
        raise BadSubmission(f"Invalid value within the request: Missing path ({url})")


def split_checksum(checksum: str) -> tuple[str, str]:
    """`ADLER32:1a2b` -> ("ADLER32", "1a2b"); the value is in lower case, which XRootD's third-party copy needs."""
    algorithm, _, value = checksum.partition(":")
    return (algorithm or "ADLER32").upper(), value.strip().lower()
