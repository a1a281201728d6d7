"""Corrections of common mistakes in a job: `retry: 3` becomes `retry: {attempts: 3}`.

Called by error_formatting.py for the hints of error messages. There is a correction only where the value shows the
intention.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from jobs.problems.condition_reader import read_condition
from jobs.problems.yaml_form import to_yaml

_DURATION = re.compile(r"\s*\d+(?:\.\d+)?(?:ms|s|m|h|d)\s*", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_HOST = re.compile(r"([A-Za-z0-9._-]+):(\d{1,5})")
_MOST_OFFER_CHARACTERS = 200
"""Characters of a correction; longer ones are omitted."""
_COMPARISONS = ("equals", "contains", "starts_with", "ends_with", "matches", "like", "one_of", "below", "above")
_WITH_OTHERS = frozenset(
    {*_COMPARISONS, *(f"not_{one}" for one in _COMPARISONS), "at_least", "at_most", "length", "age_below", "exists"}
    | {"severity", "missing"}
)
"""Keys of an entry of `expect` in addition to the one that identifies it."""


def correct_value(key: str | int, value: Any, parent: str | int = "") -> str | None:
    """Return the correction for the value of this key, such as `retry: {attempts: 3}`; None if it is unknown.

    `parent`: the key of the list, for an entry in a list.
    """
    if isinstance(key, int):
        text = _entry(value) if parent == "expect" else None
        return shorten_correction(text)
    read = _CORRECTIONS.get(key)
    text = read(value) if read is not None else None
    if key == "body" and isinstance(parent, int):  # of an entry of `expect`
        text = to_yaml({"equals": value}) if isinstance(value, str) else None
    return shorten_correction(None if text is None else f"{key}: {text}")


def shorten_correction(text: str | None) -> str | None:
    return text if text is not None and len(text) <= _MOST_OFFER_CHARACTERS and text.isprintable() else None


def _retry(value: Any) -> str | None:
    count = whole_number(value)
    if count is not None and count > 0:
        return to_yaml({"attempts": count})
    if isinstance(value, list) and value and all(map(_is_duration, value)):
        return to_yaml({"delays": value})
    return to_yaml({"attempts": 1}) if value is False or count == 0 else None


def correct_timeout(value: Any) -> str | None:
    length = duration_text(value)
    return to_yaml({"attempt": length}) if length else None


def _circuit(value: Any) -> str | None:
    count = whole_number(value)
    if count is not None and count > 0:
        return to_yaml({"consecutive_failures": count})
    return to_yaml({"consecutive_failures": 5}) if value is True else None


def _catch_up(value: Any) -> str | None:
    if isinstance(value, bool):
        return to_yaml({"policy": "last" if value else "none"})
    if value in ("none", "last", "all"):
        return to_yaml({"policy": value})
    return to_yaml({"policy": "last", "within": value.strip()}) if _is_duration(value) else None


def _group(value: Any) -> str | None:
    count = whole_number(value)
    return None if count is None else f"{{name: NAME, limit: {max(count, 1)}}}"


def _tags(value: Any) -> str | None:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list) or not items or not all(isinstance(one, str) for one in items):
        return None
    pairs = [re.split(r"[:=]", one, maxsplit=1) for one in items]
    return to_yaml({name[0].strip(): name[1].strip() if len(name) > 1 else "true" for name in pairs})


def _depends_on(value: Any) -> str | None:
    if isinstance(value, str):
        names = [one.strip() for one in value.split(",")]
        return to_yaml(names) if all(map(_NAME.fullmatch, names)) else None
    if not isinstance(value, dict) or not value:
        return None
    if "job" in value:
        return to_yaml([value])
    conditions = ("succeeded", "failed", "finished")
    if all(isinstance(one, dict) for one in value.values()):
        return to_yaml([{"job": name, **one} for name, one in value.items()])
    if all(one in conditions for one in value.values()):
        return to_yaml([{"job": name, "condition": one} for name, one in value.items()])
    return None


def correct_expect(value: Any) -> str | None:
    if isinstance(value, dict):
        if not value:
            return None
        alone = [value] if _WITH_OTHERS & value.keys() else [{key: one} for key, one in value.items()]
        return to_yaml(alone)
    if isinstance(value, list):
        entries = [_entry(one) for one in value]
        return f"[{', '.join(map(str, entries))}]" if entries and all(entries) else None
    entry = _entry(value)
    return None if entry is None else f"[{entry}]"


def _entry(value: Any) -> str | None:
    if isinstance(value, str):
        return read_condition(value)
    if isinstance(value, dict):
        return to_yaml(value)
    count = whole_number(value)
    return to_yaml({"status": count}) if count is not None and 100 <= count <= 599 else None


def _check(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    if re.match(r"https?://", value, re.IGNORECASE) and "@" not in value and "?" not in value:
        return to_yaml({"url": value})
    place = _HOST.fullmatch(value)
    return to_yaml({"kind": "tcp", "host": place[1], "port": int(place[2])}) if place else None


def _auth(value: Any) -> str | None:
    kinds = {
        "none": "{kind: none}",
        "bearer": "{kind: bearer, token: {secret: NAME}}",
        "basic": "{kind: basic, username: USER, password: {secret: NAME}}",
        "api_key": "{kind: api_key, key: {secret: NAME}, name: X-API-Key}",
        "apikey": "{kind: api_key, key: {secret: NAME}, name: X-API-Key}",
    }
    return kinds.get(value.lower()) if isinstance(value, str) else None


def _body(value: Any) -> str | None:
    return to_yaml({"text": value}) if isinstance(value, str) else to_yaml({"json": value}) if value else None


def _tls(value: Any) -> str | None:
    return to_yaml({"verify": value}) if isinstance(value, bool) else None


_CORRECTIONS: Mapping[str, Callable[[Any], str | None]] = {
    "retry": _retry,
    "timeout": correct_timeout,
    "circuit": _circuit,
    "catch_up": _catch_up,
    "concurrency_group": _group,
    "tags": _tags,
    "depends_on": _depends_on,
    "expect": correct_expect,
    "check": _check,
    "auth": _auth,
    "body": _body,
    "tls": _tls,
}


def whole_number(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9 else None


def duration_text(value: Any) -> str | None:
    """Return a duration; a bare number is seconds, as in most programs."""
    if _is_duration(value):
        return str(value.strip())
    count = whole_number(value)
    return f"{count}s" if count is not None and count > 0 else None


def _is_duration(value: Any) -> bool:
    return isinstance(value, str) and _DURATION.fullmatch(value) is not None
