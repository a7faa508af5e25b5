"""Rows as the JSON that FTS3's REST interface answers. Pure."""

import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

from .submission import storage_element


def timestamp(seconds: float | None) -> str | None:
    """UTC without a zone, as FTS3 writes it: `2026-03-02T10:00:00`."""
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def job_view(row: sqlite3.Row) -> dict[str, Any]:
    params = json.loads(row["params"])
    return {
        "job_id": row["job_id"],
        "job_state": row["state"],
        "job_type": "N",
        "reason": row["reason"],
        "submit_time": timestamp(row["submit_time"]),
        "job_finished": timestamp(row["finish_time"]),
        "user_dn": row["user_dn"],
        "cred_id": row["cred_id"],
        "vo_name": row["vo_name"],
        "source_se": row["source_se"],
        "dest_se": row["dest_se"],
        "priority": row["priority"],
        "retry": row["retry"],
        "retry_delay": row["retry_delay"],
        "verify_checksum": row["verify_checksum"],
        "overwrite_flag": bool(row["overwrite"]),
        "disable_cleanup": not row["cleanup"],
        "job_metadata": json.loads(row["metadata"]),
        "source_space_token": params.get("source_spacetoken"),
        "space_token": params.get("destination_spacetoken"),
        "copy_pin_lifetime": params.get("copy_pin_lifetime"),
        "bring_online": params.get("bring_online"),
    }


def file_view(row: sqlite3.Row) -> dict[str, Any]:
    size, seconds = row["filesize"], row["tx_seconds"]
    return {
        "file_id": row["file_id"],
        "job_id": row["job_id"],
        "file_index": row["file_index"],
        "file_state": row["state"],
        "source_surl": row["source"],
        "dest_surl": row["destination"],
        "source_se": storage_element(row["source"]),
        "dest_se": storage_element(row["destination"]),
        "reason": row["reason"],
        "recoverable": None if row["recoverable"] is None else bool(row["recoverable"]),
        "start_time": timestamp(row["start_time"]),
        "finish_time": timestamp(row["finish_time"]),
        "tx_duration": seconds,
        "throughput": size / seconds / (1 << 20) if size and seconds else None,
        "filesize": size,
        "user_filesize": row["user_filesize"],
        "transferred": size if row["state"] == "FINISHED" else 0,
        "checksum": row["checksum"],
        "file_metadata": json.loads(row["metadata"]),
        "activity": row["activity"],
        "selection_strategy": row["strategy"],
        "priority": row["priority"],
        "retry": row["retry_count"],
        "retry_timestamp": timestamp(row["retry_at"]) if row["retry_at"] else None,
        "transfer_host": "fts3-standin",
    }


def attempt_view(row: sqlite3.Row) -> dict[str, Any]:
    """One entry of ``GET /standin/transfers``; `state` is None while the attempt is under way."""
    return {
        **{key: row[key] for key in row.keys() if key not in ("started", "finished")},  # noqa: SIM118
        "started": timestamp(row["started"]),
        "finished": timestamp(row["finished"]),
        "started_epoch": row["started"],
        "finished_epoch": row["finished"],
    }
