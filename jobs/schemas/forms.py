"""The schemas of a job in the flat and in the full form, and of the sections `alerting` and `objectives`.

The keys of the flat form have several spellings in any case. The full form and the sections follow the models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args

from jobs.definition import JobDefinition
from jobs.definition.alerting_registry import SECTION_PARTS
from jobs.definition.alerting_section import SectionPart
from jobs.definition.job_alerts import OBJECTIVES_SECTION
from jobs.flat.reading import (
    ALL_FLAT_SPELLINGS,
    AUTH_TYPES,
    BACKOFFS,
    FLAT_KEY_SPELLINGS,
    FULL_FORM,
    FULL_FORM_ONLY,
    LITERAL_SECRET_KEYS,
    UNMISTAKABLE,
)
from jobs.schedules.parsing import SCHEDULE_SCHEMA
from jobs.schemas.generator import Schema, closed, create_model_schema, has_any_key, select_by_kind
from jobs.targets import KEYS_OF_OTHER_KINDS, TARGETS_BY_KIND
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


_DESCRIPTIONS: Final = {
    "name": "Name of the job, unique among all jobs",
    "preset": "The preset that the job is made of: `presets list` lists all; other keys of the job override it",
    "with": "Values of the parameters of the preset: {namespace: orders}",
    "description": "Text for people",
    "enabled": "false: the job runs on request only",
    "schedule": "When the job is due: NCRONTAB, an interval, or a calendar rule; a list combines schedules",
    "check": "What to check, and how",
    "depends_on": "Jobs that must have run, with the outcome that is required",
    "expect": "Conditions for the answer; all of them must hold",
    "timeout": "Limits of an attempt and of the whole run",
    "retry": "How often a failed attempt is repeated, and the waits in between",
    "circuit": "When runs are rejected because the target is down",
    "catch_up": "Which missed instants are run after a downtime",
    "overlap": "What happens to a run that is due while the previous one is in-flight",
    "concurrency_group": "A group of jobs that share a limit of parallel runs",
    "effect": "once: the check must never be executed twice for one run",
    "dead_letter": "Whether a run that is down after its last attempt becomes a dead letter",
    "tags": "Keys with texts, for filters, access and telemetry",
    "telemetry": "How much of its runs is published",
    "alerts": "Alert rules; an empty list means none, not even those by selector",
    "slo": "The objective of the job: how much of its runs, or of time, must be good",
    "alert_parent": "Jobs or groups whose failure explains that of this job; default: depends_on",
}


def create_full_form() -> tuple[Schema, dict[str, Schema]]:
    """Return the schema of a job without required keys and with any check, and the definitions to which it refers.

    They have the checks: `check`, and `partial_check` for the default values of a file and for what these complete.
    """
    schema, definitions = create_model_schema(JobDefinition)
    for key, text in _DESCRIPTIONS.items():
        schema["properties"].setdefault(key, {})["description"] = text
    schema["properties"]["check"] = {"type": "object", "description": _DESCRIPTIONS["check"]}
    value: Schema = {"type": ["string", "number", "array"], "items": {"type": "string"}}
    schema["properties"]["with"] = {
        "type": "object",
        "description": _DESCRIPTIONS["with"],
        "additionalProperties": value,
    }
    del schema["type"], schema["if"], schema["then"]
    schema["description"] = "A job in the full form"
    complete, partial = {}, {}
    for kind, model in TARGETS_BY_KIND.items():
        target = definitions[model.__name__]
        partial[kind] = {"$ref": f"#/$defs/{model.__name__}"}
        complete[kind] = {"allOf": [partial[kind], {"if": target.pop("if"), "then": target.pop("then")}]}
    keys = [key for model in TARGETS_BY_KIND.values() for key in definitions[model.__name__]["properties"]]
    # A check without a kind is an HTTP check; see jobs.targets.target_kind.
    is_http = {"anyOf": [has_any_key("url"), {"not": has_any_key(*sorted(KEYS_OF_OTHER_KINDS))}]}
    without_kind = {"if": is_http, "then": complete["http"], "else": closed(keys, ["kind"])}
    definitions["check"] = select_by_kind(complete, without_kind)
    definitions["partial_check"] = select_by_kind(partial, closed(keys, []))
    return schema, definitions


def create_alerting_section(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema. The models to which it refers are added to `definitions`."""
    return {
        "type": ["object", "null"],
        "description": "Alerts: rules by selector, groups, channels, routes, rotas, windows",
        "properties": {part.key: _create_part(part, definitions) for part in SECTION_PARTS},
        "additionalProperties": False,
    }


def create_objectives_section(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the same of the section `objectives`."""
    return _create_part(OBJECTIVES_SECTION, definitions)


def _create_part(part: SectionPart, definitions: dict[str, Any]) -> dict[str, Any]:
    entry, below = create_model_schema(part.model)
    definitions.update(below)
    if part.is_named:
        if "then" not in entry:
            entry["type"] = ["object", "null"]  # an entry without a value has its defaults
        return {
            "type": ["object", "null"],
            "description": part.description,
            "propertyNames": {"pattern": part.name_pattern},
            "maxProperties": part.max_entries,
            "additionalProperties": entry,
        }
    return {
        "type": ["array", "null"],
        "description": part.description,
        "maxItems": part.max_entries,
        "items": entry,
    }
