"""The schemas of one job and of a job file, small by definitions of what they repeat.

The file's follows config.job_files.entries, which finds the jobs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from jobs.definition import JobDefinition
from jobs.policies.groups import GROUP_NAME_PATTERN, GroupMembers
from jobs.schemas.forms import (
    create_alerting_section,
    create_flat_form,
    create_full_form,
    create_objectives_section,
    require_flat,
)
from jobs.schemas.generator import Schema, create_model_schema, has_any_key, has_value, list_parts, require_if_known

_OWN: Final = ("description", "default")
"""Keywords that stay next to a reference."""
_SHORTEST_SHARED: Final = 60
"""Characters of a schema that is worth a definition."""


def share_repeated(schema: Schema) -> Schema:
    """Return a copy without unused definitions. Each repeated part is one, named by the first key that has it."""
    schema = deepcopy(schema)
    used: set[str] = set()
    _find_used({word: part for word, part in schema.items() if word != "$defs"}, schema["$defs"], used)
    schema["$defs"] = {name: part for name, part in schema["$defs"].items() if name in used}
    names: dict[str, str | None] = {}
    _find_repeated(schema, "", names, set(schema["$defs"]))
    repeated = {text: name for text, name in names.items() if name is not None}
    shared = {name: json.loads(text) for text, name in repeated.items()}
    for part in (*shared.values(), schema):
        _replace_below(part, repeated)
    schema["$defs"] |= shared
    return schema


def _find_used(schema: Schema, definitions: Mapping[str, Schema], used: set[str]) -> None:
    """Add the names of the definitions to which a schema refers, also through others."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name and name not in used:
        used.add(name)
        _find_used(definitions[name], definitions, used)
    for _, _, part in list_parts(schema):
        _find_used(part, definitions, used)


def _find_repeated(schema: Schema, key: str, names: dict[str, str | None], used_names: set[str]) -> None:
    """Fill `names`: text of a part -> the name of its definition, or None if it is not repeated."""
    for holder, inner, part in list_parts(schema):
        name = inner if isinstance(inner, str) else key
        text = _text_of(part)
        if text not in names:
            names[text] = None
            _find_repeated(part, name, names, used_names)
        elif names[text] is None and len(text) >= _SHORTEST_SHARED and holder not in ("$defs", "if", "then", "else"):
            names[text] = next(
                free for free in (name, *(f"{name}_{n}" for n in range(2, 99))) if free not in used_names
            )
            used_names.add(str(names[text]))


def _replace_below(schema: Schema, names: dict[str, str]) -> None:
    for holder, inner, part in list(list_parts(schema)):
        name = names.get(_text_of(part))
        if name is None or holder == "$defs":
            _replace_below(part, names)
            continue
        reference: Schema = {"$ref": f"#/$defs/{name}", **{word: part[word] for word in _OWN if word in part}}
        if inner is None:
            schema[holder] = reference
        else:
            schema[holder][inner] = reference


def _text_of(part: Schema) -> str:
    return json.dumps({word: value for word, value in part.items() if word not in _OWN})


DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_JOBS_KEY: Final = "^[jJ][oO][bB][sS]$"


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_IS_OBJECT: Final[Schema] = {"type": "object"}
_HAS_PRESET: Final = has_value("preset", {"type": "string"})
_HAS_DEFAULT_CHECK: Final = has_value("defaults", {**_IS_OBJECT, **has_any_key("check")})


def create_job_schema() -> dict[str, Any]:
    """Return the schema of one job with its name, in the full or in the flat form."""
    definitions = _create_definitions()
    job = {"$schema": DIALECT, "title": "A job of the scheduler", **_ref("listed_job"), "$defs": definitions}
    return share_repeated(job)


def create_file_schema() -> dict[str, Any]:
    """Return the schema of a job file: `jobs` by name or as a list, or the jobs themselves at its top."""
    definitions = _create_definitions()
    sections: dict[str, Schema] = {
        "$schema": {"type": "string"},
        "defaults": {"if": {"type": "object"}, "then": _ref("defaults"), "else": {"type": "null"}},
        "groups": _create_groups(),
        "alerting": create_alerting_section(definitions),
        "objectives": create_objectives_section(definitions),
    }
    definitions |= {f"section_{name}": section for name, section in sections.items()}
    is_below = {"not": {"patternProperties": {_JOBS_KEY: _ref("is_job")}}}
    file = {
        "$schema": DIALECT,
        "title": "Jobs of the scheduler",
        "type": ["object", "array"],
        "items": _ref("listed_job"),
        "if": _IS_OBJECT,
        "then": _select(
            (_ref("is_one_flat"), _ref("flat_form")),
            (_ref("is_named"), _ref("named_job")),
            (is_below, _below_jobs(list(sections))),
            (_has_key_of_job(), _ref("named_job")),
            otherwise=_at_top(list(sections)),
        ),
        "$defs": definitions,
    }
    return share_repeated(file)


def format_schema(schema: Schema) -> str:
    """Return the text of a schema, with a line for each definition."""
    definitions = _join_lines({name: _to_text(part) for name, part in schema["$defs"].items()})
    return _join_lines({word: definitions if word == "$defs" else _to_text(value) for word, value in schema.items()})


def _to_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _join_lines(values: Mapping[str, str]) -> str:
    return "{\n" + ",\n".join(f"{_to_text(name)}:{value}" for name, value in values.items()) + "\n}"


def _select(*choices: tuple[Schema, Schema], otherwise: Schema) -> Schema:
    """Return the schema of the first choice whose condition is met."""
    selected = otherwise
    for condition, choice in reversed(choices):
        selected = {"if": condition, "then": choice, "else": selected}
    return selected


def _create_definitions() -> dict[str, Schema]:
    keys, definitions = create_full_form()
    definitions |= {
        "job_keys": keys,
        **create_flat_form(),
        # `check` is a key of this job, not a job of that name.
        "has_check": {"anyOf": [has_value("check", {"not": {**_IS_OBJECT, **has_any_key("check")}}), _HAS_PRESET]},
        "is_job": {"type": "object", "anyOf": [_ref("is_flat"), _ref("has_check")]},
        "is_named": {"allOf": [_ref("has_check"), has_value("name", {"type": "string"})]},
        "defaults": {
            "description": "Values of all jobs of the file in the full form that do not set them",
            "allOf": [*_with_check("partial_check"), {"properties": dict.fromkeys(("name", "preset", "with"), False)}],
        },
    }
    for prefix, required in (("", ["check"]), ("partial_", [])):
        definitions |= _create_jobs(prefix, list(keys["properties"]), required)
    return definitions


def _with_check(name: str) -> list[Schema]:
    return [_ref("job_keys"), {"properties": {"check": _ref(name)}}]


def _create_jobs(prefix: str, keys: list[str], required: list[str]) -> dict[str, Schema]:
    """Return the schemas of jobs. `prefix`: of those that the defaults of the file complete."""
    of_key, of_list, named, jobs = (f"{prefix}{name}" for name in ("job", "listed_job", "named_job", "jobs"))
    of_preset = {"allOf": _with_check("partial_check")}
    full_form = [{"if": _HAS_PRESET, "then": of_preset, "else": {"allOf": _with_check(f"{prefix}check")}}]
    missing = {"if": _HAS_PRESET, "else": require_if_known(keys, required)}
    return {
        of_key: {
            "type": "object",
            **_select(
                (_ref("is_flat"), _ref("flat_form")),
                otherwise={"allOf": [*full_form, missing]},
            ),
        },
        of_list: {
            "type": "object",
            **_select(
                (_ref("is_flat"), {"allOf": [_ref("flat_form"), require_flat("JobName")]}),
                otherwise=_ref(named),
            ),
        },
        named: {"allOf": [*full_form, require_if_known(keys, ["name"]), missing]},
        jobs: {
            "description": "The jobs, by name or as a list",
            "type": ["object", "array", "null"],
            "items": _ref(of_list),
            "additionalProperties": _ref(of_key),
        },
    }


def _below_jobs(sections: list[str]) -> Schema:
    """Return the schema of a file with the key `jobs`, or without jobs."""
    return {
        "properties": {name: _ref(f"section_{name}") for name in sections} | {"jobs": {}},
        "patternProperties": {_JOBS_KEY: {}},
        "additionalProperties": False,
        **_select(
            (_HAS_DEFAULT_CHECK, {"patternProperties": {_JOBS_KEY: _ref("partial_jobs")}}),
            otherwise={"patternProperties": {_JOBS_KEY: _ref("jobs")}},
        ),
    }


def _has_key_of_job() -> Schema:
    """Return the condition that a file without `jobs` is meant as one job: the value of its key is not a mapping."""
    return {"not": {"properties": dict.fromkeys(JobDefinition.model_fields, _IS_OBJECT)}}


def _at_top(sections: list[str]) -> Schema:
    """Return the schema of a file whose jobs are at its top. Without any, another key is unknown."""
    has_jobs = {"not": {"additionalProperties": {"not": _ref("is_job")}}}
    sections_schema: Schema = {"properties": {name: {} for name in sections}}
    or_job = {name: {"if": _ref("is_job"), "else": _ref(f"section_{name}")} for name in sections}
    return {
        "properties": or_job,
        **_select(
            (
                {"not": has_jobs},
                {"properties": {"jobs": {}, **sections_schema["properties"]}, "additionalProperties": False},
            ),
            (_HAS_DEFAULT_CHECK, {**sections_schema, "additionalProperties": _ref("partial_job")}),
            otherwise={**sections_schema, "additionalProperties": _ref("job")},
        ),
    }


def _create_groups() -> Schema:
    members, below = create_model_schema(GroupMembers)
    assert not below
    return {
        "type": ["object", "null"],
        "description": "The jobs that can join a group, by its name",
        "propertyNames": {"pattern": GROUP_NAME_PATTERN.pattern},
        "maxProperties": 1000,
        "additionalProperties": members,
    }
