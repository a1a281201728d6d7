"""The schema of a job in the flat form, whose keys have several spellings."""

from __future__ import annotations

from typing import Any, Final

from jobs.flat.keys import FLAT_KEY_SPELLINGS

_ANY_VALUE: Final = {"type": ["string", "number", "boolean", "null"]}
_MAPPING: Final = {"type": ["object", "string", "null"]}
_BY_KEY: Final[dict[str, dict[str, Any]]] = {
    "Tags": {"type": ["object", "array", "string", "null"]},
    "Headers": _MAPPING,
    "QueryParameters": _MAPPING,
    "Body": {},
    "Endpoint": {"type": ["string", "null"], "description": "The URL to call"},
    "Schedule": {"type": ["string", "object", "array", "null"], "description": "NCRONTAB, or an interval"},
    "ExpectedStatus": {"type": ["string", "integer", "array", "null"], "examples": [200, "2xx"]},
}


def create_flat_form() -> dict[str, Any]:
    """Return the schema. A key is valid in any case, also with `_`, `-` or blanks between its letters."""
    properties = {name: _schema_of(name) for name in FLAT_KEY_SPELLINGS}
    patterns = {
        _pattern_of(spelling): _BY_KEY.get(name, _ANY_VALUE)
        for name, others in FLAT_KEY_SPELLINGS.items()
        for spelling in (name, *others)
    }
    return {
        "type": "object",
        "description": "A job in the flat form",
        "properties": properties,
        "patternProperties": patterns,
        "additionalProperties": False,
        "minProperties": 1,
    }


def _schema_of(name: str) -> dict[str, Any]:
    return dict(_BY_KEY.get(name, _ANY_VALUE))


def _pattern_of(spelling: str) -> str:
    """Return a pattern for all spellings that are equal to this one."""
    letters = "[-_ ]*".join(f"[{each.lower()}{each.upper()}]" for each in spelling)
    return f"^[-_ ]*{letters}[-_ ]*$"
