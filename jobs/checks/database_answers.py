"""What servers answer to database checks: explanations of errors, and rows as JSON, both bounded.

Used by jobs.checks.databases and by the kinds of jobs.checks.kinds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from datetime import time as day_time
from decimal import Decimal
from itertools import islice
from typing import Any

from jobs.checks.errors import ProtocolViolation
from jobs.runs import ErrorClass
from jobs.targets.databases import SqlTarget

MAX_BODY = 1024 * 1024
"""Bytes of the rows as JSON."""
MAX_TEXT = 4096
"""Characters of a value of a row."""
MAX_MESSAGE = 600
"""Characters of an error message, which can end with a text of the server."""
MAX_NAME = 128
"""Characters of a column's name."""

Explanation = tuple[ErrorClass, str]
"""An error class, and a predicate about the server with the fields `text` and `limit`."""
CLOSED: Explanation = (ErrorClass.CONNECTION_RESET, "closed the connection: the server or a proxy before it ended it")
FAILED: Explanation = (ErrorClass.STATEMENT_FAILED, "answered with an error: {text}")
FULL: Explanation = (ErrorClass.TOO_MANY_CONNECTIONS, "has no connection left: {text}")
NO_TLS: Explanation = (ErrorClass.TLS_FAILURE, "offers no TLS: enable it there, or set tls: none")
REFUSED: Explanation = (ErrorClass.AUTH_FAILED, "refused the sign-in: {text}")
SLOW: Explanation = (ErrorClass.RESPONSE_TIMEOUT, "ended the statement after {limit} (statement_timeout)")


class ServerSentTooMuch(ProtocolViolation):
    """The server sent more than a bound; the message names it."""


def describe_answer(text: object) -> str:
    """Return a text of the server as the end of a clause, on one line: not yet redacted."""
    return " ".join(str(text)[:MAX_TEXT].split()).rstrip(".")


def explain_code(known: Mapping[Any, Explanation], code: object, text: object, target: SqlTarget) -> Explanation:
    """Return the explanation of a server's error code, or that of a failed statement."""
    error_class, sentence = known.get(code, FAILED)
    return error_class, sentence.format(text=describe_answer(text), limit=f"{target.statement_timeout:g} s")


def name_columns(names: Iterable[object], rows: Iterable[Sequence[Any]], most: int) -> list[Mapping[str, Any]]:
    """Return rows by the names of their columns. Raises ServerSentTooMuch: there are more than `most`."""
    columns = [str(name)[:MAX_NAME] for name in names]
    found: list[Mapping[str, Any]] = [dict(zip(columns, row, strict=True)) for row in islice(rows, most + 1)]
    if len(found) > most:
        raise ServerSentTooMuch(f"returned more than {most} rows (max_rows): let the statement read fewer")
    return found


def encode_rows(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the rows as JSON. Raises ServerSentTooMuch: they are larger than MAX_BODY."""
    body = json.dumps({"rows": [{name: _to_json(row[name]) for name in row} for row in rows]}).encode()
    if len(body) > MAX_BODY:
        raise ServerSentTooMuch(f"returned rows of more than {MAX_BODY // 1024} KiB: let the statement read less")
    return body


def _to_json(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, (float, Decimal)):
        number = float(value)
        return number if math.isfinite(number) else str(value)
    if isinstance(value, (datetime, date, day_time)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [_to_json(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _to_json(each) for name, each in value.items()}
    return (value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else str(value))[:MAX_TEXT]
