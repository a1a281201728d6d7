"""The schema of a job in the flat form, whose keys have several spellings in any case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args

from jobs.flat.keys import (
    ALL_FLAT_SPELLINGS,
    FLAT_KEY_SPELLINGS,
    FULL_FORM,
    FULL_FORM_ONLY,
    LITERAL_SECRET_KEYS,
    UNMISTAKABLE,
)
from jobs.flat.value_reading import AUTH_TYPES, BACKOFFS
from jobs.schedules.json_schema import SCHEDULE_SCHEMA
from jobs.schemas.conditions import has_any_key
from jobs.schemas.parts import Schema
from jobs.targets.http import HttpMethod

_SEPARATORS: Final = "[-_ ]*"
_METHODS: Final = get_args(HttpMethod)
_NUMBER: Final[Schema] = {
    "type": ["number", "string", "null"],
    "pattern": r"^\s*([+-]?[0-9_.]+([eE][+-]?[0-9]+)?)?\s*$",
}
_TEXT: Final[Schema] = {"type": ["string", "number", "null"]}
_MAPPING: Final[Schema] = {"type": ["object", "string", "null"], "maxLength": 0}


def any_spelling(names: Iterable[str]) -> str:
    """Return a pattern of the names in any case, with `_`, `-` or blanks between their letters."""
    tree: dict[str, Any] = {}
    for name in names:
        node = tree
        for letter in name.lower():
            node = node.setdefault(letter, {})
        node[""] = {}
    return f"^{_SEPARATORS}{_pattern_of(tree)}$"


def _pattern_of(tree: Mapping[str, Any]) -> str:
    """Return the pattern of the rest of the names that begin alike."""
    rests = [f"[{each}{each.upper()}]{_SEPARATORS}{_pattern_of(below)}" for each, below in tree.items() if each]
    rests += [""] if "" in tree else []
    return rests[0] if len(rests) == 1 else f"({'|'.join(rests)})"


def _choice(names: Iterable[str]) -> Schema:
    names = tuple(names)
    # An empty text counts as absent.
    return {"type": ["string", "null"], "pattern": f"^$|{any_spelling(names)}", "examples": list(names)}


_FLAG: Final[Schema] = {
    "type": ["boolean", "string", "number", "null"],
    "pattern": rf"^\s*$|^\s*({any_spelling(['true', 'yes', 'on', 'false', 'no', 'off'])[1:-1]}|0|1)\s*$",
    "minimum": 0,
    "maximum": 1,
}
_VALUES: Final[Mapping[str, Schema]] = {
    **dict.fromkeys(("JobName", "Description", "ContentType", "BodyContains"), _TEXT),
    **dict.fromkeys(("Enabled", "VerifySsl", "FollowRedirects", "AllowPlainHttp"), _FLAG),
    **dict.fromkeys(("IntervalSeconds", "TimeoutSeconds", "MaxRetries", "RetryDelaySeconds"), _NUMBER),
    **dict.fromkeys(("MaxResponseTimeMs", "CircuitBreakerThreshold", "CircuitBreakerTimeoutSeconds"), _NUMBER),
    **dict.fromkeys(("Headers", "QueryParameters"), _MAPPING),
    "Tags": {"type": ["object", "array", "string", "null"], "maxLength": 0},
    "Endpoint": _TEXT,
    "HttpMethod": {
        "type": ["string", "null"],
        "pattern": f"^$|{any_spelling(_METHODS).replace(_SEPARATORS, '')}",
        "examples": list(_METHODS),
    },
    "Schedule": {**SCHEDULE_SCHEMA, "type": [*SCHEDULE_SCHEMA["type"], "null"]},
    "AuthType": _choice(AUTH_TYPES),
    "RetryBackoff": _choice(BACKOFFS),
    "ExpectedStatus": {"type": ["string", "integer", "array", "null"], "examples": [200, "2xx"]},
}
"""Values of keys that are read in each job. Others depend on AuthType."""
_MAPPINGS: Final = ("Body", "Headers", "QueryParameters", "Schedule", "Tags")


def create_flat_form() -> dict[str, Schema]:
    """Return the definitions `flat_form`, of a job, and `flat_keys`, `is_flat` and `is_one_flat`, which are conditions.

    Editors offer the names of keys; each spelling in any case is valid.
    """
    patterns: dict[str, Schema] = {}
    for value in _VALUES.values():
        patterns.setdefault(any_spelling(_spell(name for name in _VALUES if _VALUES[name] == value)), value)
    # A secret belongs elsewhere; the empty value of its key is ignored.
    patterns[any_spelling(LITERAL_SECRET_KEYS)] = {"type": ["string", "null"], "maxLength": 0}
    return {
        "flat_form": {
            "type": "object",
            "description": "A job in the flat form",
            "properties": {name: {} for name in FLAT_KEY_SPELLINGS},
            "patternProperties": patterns,
            **require_flat("Endpoint"),
            # Not next to the patterns: a validator would list them all for an unknown key.
            "else": {"properties": {name: {} for name in _usual_spellings()}, "additionalProperties": False},
        },
        "flat_keys": {"propertyNames": {"pattern": any_spelling([*LITERAL_SECRET_KEYS, *ALL_FLAT_SPELLINGS])}},
        "is_flat": _create_condition(),
        # A value that can be a mapping can look like a job: the body {"query": ...}.
        "is_one_flat": {
            "allOf": [
                {"$ref": "#/$defs/is_flat"},
                {
                    "patternProperties": {any_spelling(_spell(_MAPPINGS)): {}},
                    "additionalProperties": {"not": {"$ref": "#/$defs/is_job"}},
                },
            ]
        },
    }


def require_flat(name: str) -> Schema:
    """Return that the key is required in any spelling, unless a key is unknown."""
    missing = {"propertyNames": {"not": {"pattern": any_spelling(_spell([name]))}}}
    return {"if": {"$ref": "#/$defs/flat_keys"}, "then": {"if": missing, "then": {"required": [name]}}}


def _usual_spellings() -> Iterator[str]:
    """Yield `TimeoutSeconds`, `timeoutSeconds`, `timeout_seconds` and `timeoutseconds` of each key."""
    for name in ALL_FLAT_SPELLINGS:
        snake_case = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        yield from dict.fromkeys((name, name[0].lower() + name[1:], snake_case, name.lower()))


def _spell(names: Iterable[str]) -> list[str]:
    return [spelling for name in names for spelling in (name, *FLAT_KEY_SPELLINGS[name])]


def _create_condition() -> Schema:
    """Return the condition that a job has the flat form; see jobs.flat.is_flat_job."""
    flat_alone = f"^(?!({'|'.join(sorted(FULL_FORM))})$){any_spelling(ALL_FLAT_SPELLINGS)[1:]}"
    is_full = {"anyOf": [has_any_key(*sorted(FULL_FORM_ONLY)), {"patternProperties": {flat_alone: {"type": "object"}}}]}
    has_no_sign = {"patternProperties": {any_spelling(UNMISTAKABLE): {"not": {"type": "string"}}}}
    return {
        "type": "object",
        "anyOf": [{"not": {"anyOf": [has_any_key("check"), has_no_sign]}}, {"not": is_full}],
    }
