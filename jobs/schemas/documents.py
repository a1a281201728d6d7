"""The schemas of one job and of a job file. The file's follows config.job_files.entries, which finds the jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from jobs.definition import JobDefinition
from jobs.policies.concurrency_groups import GROUP_NAME_PATTERN
from jobs.policies.group_members import GroupMembers
from jobs.schemas.alerting_section import create_alerting_section, create_objectives_section
from jobs.schemas.conditions import has_any_key, has_value, require_if_known
from jobs.schemas.flat_form import create_flat_form, require_flat
from jobs.schemas.full_form import create_full_form
from jobs.schemas.generator import create_model_schema
from jobs.schemas.parts import Schema
from jobs.schemas.sharing import share_repeated

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_JOBS_KEY: Final = "^[jJ][oO][bB][sS]$"


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_IS_OBJECT: Final[Schema] = {"type": "object"}
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
        "has_check": has_value("check", {"not": {**_IS_OBJECT, **has_any_key("check")}}),
        "is_job": {"type": "object", "anyOf": [_ref("is_flat"), _ref("has_check")]},
        "is_named": {"allOf": [_ref("has_check"), has_value("name", {"type": "string"})]},
        "defaults": {
            "description": "Values of all jobs of the file in the full form that do not set them",
            "allOf": [*_with_check("partial_check"), {"properties": {"name": False}}],
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
    full_form = _with_check(f"{prefix}check")
    return {
        of_key: {
            "type": "object",
            **_select(
                (_ref("is_flat"), _ref("flat_form")),
                otherwise={"allOf": [*full_form, require_if_known(keys, required)]},
            ),
        },
        of_list: {
            "type": "object",
            **_select(
                (_ref("is_flat"), {"allOf": [_ref("flat_form"), require_flat("JobName")]}),
                otherwise=_ref(named),
            ),
        },
        named: {"allOf": [*full_form, require_if_known(keys, ["name", *required])]},
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
    known: Schema = {"properties": {name: {} for name in sections}}
    or_job = {name: {"if": _ref("is_job"), "else": _ref(f"section_{name}")} for name in sections}
    return {
        "properties": or_job,
        **_select(
            ({"not": has_jobs}, {"properties": {"jobs": {}, **known["properties"]}, "additionalProperties": False}),
            (_HAS_DEFAULT_CHECK, {**known, "additionalProperties": _ref("partial_job")}),
            otherwise={**known, "additionalProperties": _ref("job")},
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
