"""Writes a value as YAML on one line: `{attempts: 3}`, `[{status: 200}]`.

Used by the modules of jobs.problems that suggest a correction.
"""

from __future__ import annotations

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
