"""Counts the storage operations in Azurite's access log. Used by bench._hosts for bench.lateness."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from threading import Lock

HOST = "host: receive, renew and delete messages"
"""The operations that the Functions host makes by itself."""

_REQUEST = re.compile(r'"(\w+) (\S+) HTTP/')


def kind_of(line: str, prefix: str | None = None) -> str | None:
    """Return the kind of operation of a line of the access log; None for a line without a request.

    `prefix`: of tables, which the kinds then name, but not for transactions: the log has no table of theirs.
    """
    found = _REQUEST.search(line)
    if found is None:
        return None
    method, (path, _, query) = found[1], found[2].partition("?")
    if "/messages" in path:
        return _queue_kind(method, query)
    if "comp=metadata" in query:
        return "queue: read the length"
    if path.endswith("/$batch"):
        return "table: transaction"
    if method == "GET":
        kind = "table: query" if path.endswith("()") else "table: point read"
        table = path.rpartition("/")[2].partition("(")[0]
        return kind if prefix is None else f"{kind} of {table.removeprefix(prefix)}"
    return "other"


def _queue_kind(method: str, query: str) -> str:
    if method == "POST":
        return "queue: send"
    return "queue: peek" if method == "GET" and "peekonly" in query else HOST


class Operations:
    """Counts by kind. `read` is called in the thread that reads the log, `counts` in any.

    `prefix`: see kind_of.
    """

    def __init__(self, prefix: str | None = None) -> None:
        self._prefix = prefix
        self._lock = Lock()
        self._observed: list[tuple[float, str]] = []

    def read(self, line: str) -> None:
        """Count the request of a line; its time is now, as Azurite writes the line when it has answered."""
        kind = kind_of(line, self._prefix)
        if kind is not None:
            with self._lock:
                self._observed.append((time.time(), kind))

    def counts(self, since: float, seconds: float) -> Mapping[str, int]:
        """The operations of `seconds` seconds from `since` (Unix seconds) on, most frequent first."""
        with self._lock:
            counted = Counter(kind for at, kind in self._observed if since <= at < since + seconds)
        return dict(counted.most_common())
