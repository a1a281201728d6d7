"""Rows of what Azure's APIs return: tables of queries and series of metrics, and how old the newest data is. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

from jobs.checks.azure.verdicts import read_code, unknown
from jobs.fast_frozen import copy_with
from jobs.formats import format_iso_instant, parse_instant
from jobs.runs import Observation

Row = dict[str, Any]

_TIME_COLUMNS = frozenset({"timegenerated", "timestamp", "ingestion_time", "ingestiontime", "newest"})
"""Columns with the time of data, in lower case; also with `max_` before them, as `summarize max(...)` names them."""


class UnexpectedShape(Exception):
    """A response is not what the API describes. The message is a clause."""


def table_rows(table: Any) -> list[Row]:
    """Return the rows of a table with `columns` and `rows` by names. Raises UnexpectedShape."""
    try:
        columns = [(str(column["name"]), str(column.get("type", ""))) for column in table["columns"]]
        return [
            {name: _convert(value, kind) for (name, kind), value in zip(columns, row, strict=True)}
            for row in table["rows"]
        ]
    except (KeyError, TypeError, AttributeError, ValueError):
        raise UnexpectedShape("its table has no columns with a value in each row") from None


def _convert(value: Any, kind: str) -> Any:
    """Return a number or a truth value that is sent as a text as what its column is."""
    if not isinstance(value, str):
        return value
    try:
        if kind in ("long", "int"):
            return int(value)
        if kind in ("real", "decimal"):
            number = float(value)
            return number if abs(number) < float("inf") else None
    except ValueError:
        return value
    return value.lower() == "true" if kind == "bool" and value.lower() in ("true", "false") else value


def find_newest_at(path: str, entries: Iterable[Any]) -> datetime | None:
    """Return the newest instant at a JSONPath of names, such as `$.properties.reportedTime`; None without one."""
    _, *names = path.split(".")
    values = (reduce(_find_member, names, entry) for entry in entries)
    return max(filter(None, map(_read_instant, values)), default=None)


def _find_member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def find_newest(rows: Sequence[Mapping[str, Any]]) -> datetime | None:
    """Return the newest instant in the columns with the time of data; None without one."""
    names = rows[0] if rows else ()
    columns = [name for name in names if name.lower().removeprefix("max_") in _TIME_COLUMNS]
    return max(filter(None, (_read_instant(row.get(name)) for row in rows for name in columns)), default=None)


def _read_instant(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return parse_instant(value)
    except ValueError:
        return None


def metric_rows(document: Mapping[str, Any], resource: str, key: str, bucket_s: float, now: datetime) -> list[Row]:
    """Return a row for each series with data: that of its newest complete bucket.

    `key`: the aggregation. A bucket without data has no value in the response, which is not 0.

    Raises UnexpectedShape.
    """
    rows = []
    try:
        for metric in document["value"]:
            if metric.get("errorCode", "Success") != "Success":
                code = read_code(metric["errorCode"]) or "an unknown code"
                raise UnexpectedShape(f"the metric was not read ({code})")
            for series in metric.get("timeseries", ()):
                if (found := _newest_bucket(series["data"], key, bucket_s, now)) is not None:
                    dimensions = {
                        str(part["name"]["value"]): part["value"] for part in series.get("metadatavalues", ())
                    }
                    rows.append({**dimensions, "resource": resource, "value": found[1], "at": found[0]})
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise UnexpectedShape("it has no series of buckets") from None
    return rows


def _newest_bucket(data: Any, key: str, bucket_s: float, now: datetime) -> tuple[str, float] | None:
    """Return start and value of the newest bucket that has ended and has data."""
    for bucket in reversed(data):
        value = bucket.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            start = parse_instant(bucket["timeStamp"])
            if now - start >= timedelta(seconds=bucket_s):
                return format_iso_instant(start), float(value)
    return None


def age_of(newest: datetime | None, now: datetime) -> float | None:
    """Return the age in seconds, never negative."""
    return None if newest is None else round(max((now - newest).total_seconds(), 0.0), 3)


def observe_rows(seen: Observation, rows: Sequence[Any], key: str, facts: Mapping[str, Any]) -> Observation:
    """Return the observation whose body is `{key: rows}`. `facts`: further ones; None: absent.

    Half of a surrogate pair, which JSON can write and UTF-8 cannot, becomes `?`. Raises Concluded for rows that are not
    valid JSON.
    """
    try:
        text = json.dumps({key: rows}, ensure_ascii=False, separators=(",", ":"), default=str, allow_nan=False)
    except (ValueError, RecursionError):
        raise unknown(seen, "The rows have a number that is too large, or are nested too deeply.") from None
    return with_facts(copy_with(seen, body=text.encode(errors="replace")), row_count=len(rows), **facts)


def with_facts(seen: Observation, **facts: Any) -> Observation:
    """Return the observation with further facts. None: absent."""
    return copy_with(seen, facts={**seen.facts, **{name: value for name, value in facts.items() if value is not None}})
