"""For tests: make the stand-in misbehave, and see what it was asked to do."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class StandinRules:
    """Rules and transfers of a running stand-in, over the loopback.

    :param endpoint: `https://127.0.0.1:8446`
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        # The loopback needs no protection, and the throwaway CA is not known to this client.
        self._context = ssl.create_default_context()
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._endpoint + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise ValueError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def add(self, action: str, **fields: Any) -> str:
        """Add a rule; the fields are those of :mod:`fts3_standin.rules`.

        :returns: its id
        :raises ValueError: if the stand-in does not take it
        """
        return self._call("POST", "/standin/rules", {"action": action, **fields})[0]

    def remove(self, rule_id: str) -> None:
        self._call("DELETE", f"/standin/rules/{rule_id}")

    def clear(self) -> None:
        self._call("DELETE", "/standin/rules")

    def list_rules(self) -> list[dict[str, Any]]:
        """The rules in force, with `matched`, the number of times each was applied."""
        return self._call("GET", "/standin/rules")

    @contextmanager
    def rule(self, action: str, **fields: Any) -> Iterator[str]:
        """A rule for the length of a `with` block."""
        rule_id = self.add(action, **fields)
        try:
            yield rule_id
        finally:
            self.remove(rule_id)

    def transfers(self, after: int = 0) -> list[dict[str, Any]]:
        """Attempts at copies in the order in which they began.

        :param after: only those with a higher `attempt_id`
        """
        return self._call("GET", f"/standin/transfers?after={after}")

    def info(self) -> dict[str, Any]:
        """What ``GET /`` says of the stand-in itself."""
        return self._call("GET", "/")["standin"]
