"""Translates a condition in text form, as in Gatus, into the equivalent entry of `expect`.

read_condition("status == 200")             # {status: 200}
read_condition("[RESPONSE_TIME] < 300")     # {response_time_below: 300ms}
"""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z$/_][A-Za-z0-9$_./ -]*")
_NUMBER_WITH_UNIT = re.compile(r"\d+(?:ms|s|m|h|d|xx|-\d+)", re.IGNORECASE)
_CONSTANTS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "~"})


def to_yaml(value: Any) -> str:
    """Return the value in YAML's flow style; texts are quoted where YAML requires it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {to_yaml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(to_yaml, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, str):
        return str(value)
    plain = _PLAIN.fullmatch(value) or _NUMBER_WITH_UNIT.fullmatch(value) or _is_url(value)
    if plain and value.strip() == value and value.lower() not in _CONSTANTS:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_url(value: str) -> bool:
    return re.fullmatch(r"https?://[^\s{}\[\],#\"']+", value) is not None


_CONDITION = re.compile(r"\s*(.+?)\s*(==|!=|<=|>=|=|<|>|\bcontains\b|\bmatches\b|:)\s*(.+?)\s*")
_STATUS = re.compile(r"\[?(?:http[_ ]?)?status(?:[_ ]?code)?\]?", re.IGNORECASE)
_TIME = re.compile(r"\[?(?:response|total)?[_ ]?(?:time|duration|latency)(?:[_ ]?ms)?\]?", re.IGNORECASE)
_CERTIFICATE = re.compile(r"\[?certificate[_ ]expir(?:ation|y)\]?", re.IGNORECASE)
_BODY = re.compile(r"\[?(?:response[_ ])?body\]?", re.IGNORECASE)
_VALUE = re.compile(r"(?:\[BODY\]|\$|json|body)(?P<path>(?:\.|\[).+)", re.IGNORECASE)
_RCODE = re.compile(r"\[?(?:dns_)?rcode\]?", re.IGNORECASE)
_ANY = re.compile(r"any\((.+)\)", re.IGNORECASE)
_PATTERN = re.compile(r"pat\((.+)\)", re.IGNORECASE)
_HOLDS = re.compile(r"pat\(\*([^*?]+)\*\)", re.IGNORECASE)
_MAX_CONDITION_CHARACTERS = 300
"""Characters of a condition."""
_EQUALS = ("==", "=", ":")
_HIGHEST, _LOWEST = 599, 100


def read_condition(text: str) -> str | None:
    """Return the entry to write in a job file; None if the condition is not understood."""
    if len(text) > _MAX_CONDITION_CHARACTERS:
        return None
    bare = read_status_condition(text)
    if bare is not None:
        return bare
    found = _CONDITION.fullmatch(text)
    if found is None:
        return None
    left, sign, right = found.groups()
    for subject, read in _SUBJECTS:
        if subject.fullmatch(left):
            entry = read(left, sign.lower(), right.strip("'\""))
            return None if entry is None else to_yaml(entry)
    return None


def read_status_condition(text: str) -> str | None:
    """Return the entry of a bare `200`, `2xx` or `200-299`."""
    if re.fullmatch(r"\s*(?:[1-5]\d\d|[1-5]xx)(?:\s*[-,]\s*(?:[1-5]\d\d|[1-5]xx))*\s*", text, re.IGNORECASE):
        return to_yaml({"status": _number(text.strip())})
    return None


def _status(_: str, sign: str, right: str) -> dict[str, Any] | None:
    several = _ANY.fullmatch(right)
    if several and sign in _EQUALS:
        return {"status": [_number(one.strip()) for one in several[1].split(",")]}
    if read_status_condition(right) is None:
        return None
    if sign in _EQUALS:
        return {"status": _number(right)}
    if sign == "!=":
        return {"status_not": _number(right)}
    if not right.isdigit():
        return None
    number = int(right)
    below = {"<": number - 1, "<=": number}.get(sign)
    above = {">": number + 1, ">=": number}.get(sign)
    if below is None and above is None:
        return None
    return {"status": f"{_LOWEST if above is None else above}-{_HIGHEST if below is None else below}"}


def _response_time(_: str, sign: str, right: str) -> dict[str, Any] | None:
    length = _length(right, "ms")
    return {"response_time_below": length} if sign in ("<", "<=") and length else None


def _certificate(_: str, sign: str, right: str) -> dict[str, Any] | None:
    length = _length(right, "d")
    return {"certificate_valid_for": length} if sign in (">", ">=") and length else None


def _body(_: str, sign: str, right: str) -> dict[str, Any] | None:
    holds = _HOLDS.fullmatch(right)
    if holds or sign == "contains":
        key = "body_not_contains" if sign == "!=" else "body_contains"
        return {key: holds[1] if holds else right}
    if sign == "matches":
        return {"body_matches": right}
    if _PATTERN.fullmatch(right):
        return None
    return {"body": {"equals": right}} if sign in _EQUALS else None


def _json(path_text: str, sign: str, right: str) -> dict[str, Any] | None:
    found = _VALUE.fullmatch(path_text)
    assert found is not None, "the subject was matched by the same pattern"
    path = f"${found['path']}"
    several, holds = _ANY.fullmatch(right), _HOLDS.fullmatch(right)
    if several and sign in _EQUALS:
        return {"json": path, "one_of": [_number(one.strip()) for one in several[1].split(",")]}
    if holds and sign in _EQUALS:
        return {"json": path, "contains": holds[1]}
    if _PATTERN.fullmatch(right):
        return None
    key = {"==": "equals", "=": "equals", ":": "equals", "!=": "not_equals", "<": "below", ">": "above"}.get(sign)
    key = key or {"<=": "at_most", ">=": "at_least", "contains": "contains", "matches": "matches"}[sign]
    return {"json": path, key: _number(right)}


def _rcode(_: str, sign: str, right: str) -> dict[str, Any] | None:
    return {"rcode": right.upper()} if sign in _EQUALS else None


_SUBJECTS = (
    (_STATUS, _status),
    (_TIME, _response_time),
    (_CERTIFICATE, _certificate),
    (_BODY, _body),
    (_VALUE, _json),
    (_RCODE, _rcode),
)


def _length(text: str, unit: str) -> str | None:
    """Return a duration; a bare number gets this unit."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", text.strip(), re.IGNORECASE)
    return f"{found[1]}{(found[2] or unit).lower()}" if found else None


def _number(text: str) -> Any:
    """Read a number, true, false or null; otherwise return the text without its quotes."""
    plain = text.strip("'\"")
    try:
        return json.loads(plain) if plain == text and re.match(r"-?\d|true$|false$|null$", plain) else plain
    except ValueError:
        return plain
