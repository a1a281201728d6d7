"""The schemas of one job and of a job file."""

from __future__ import annotations

from typing import Any, Final

from jobs.definition import NAME_PATTERN
from jobs.policies.group_members import GroupMembers
from jobs.schemas.alerting_section import create_alerting_section, create_objectives_section
from jobs.schemas.flat_form import create_flat_form
from jobs.schemas.full_form import create_full_form

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS: Final = "#/$defs/"
_JOB, _NAMED_JOB = {"$ref": f"{_DEFINITIONS}job"}, {"$ref": f"{_DEFINITIONS}named_job"}


def create_job_schema() -> dict[str, Any]:
    """Return the schema of one job with its name, in the full or in the flat form."""
    return {
        "$schema": DIALECT,
        "title": "A job of the scheduler",
        **_NAMED_JOB,
        "$defs": _create_definitions(),
    }


def create_file_schema() -> dict[str, Any]:
    """Return the schema of a job file: `jobs` by name or as a list, or the jobs themselves at its top."""
    definitions = _create_definitions()
    sections = {
        "$schema": {"type": "string"},
        "defaults": {"anyOf": [_create_defaults(definitions["full_form"]), {"type": "null"}]},
        "groups": {"anyOf": [_create_groups(), {"type": "null"}]},
        "alerting": {"anyOf": [create_alerting_section(definitions), {"type": "null"}]},
        "objectives": create_objectives_section(definitions),
    }
    jobs_by_name = {"type": "object", "propertyNames": {"maxLength": 100}, "additionalProperties": _JOB}
    jobs = {"anyOf": [{"type": "array", "items": _NAMED_JOB}, jobs_by_name, {"type": "null"}]}
    at_top = {"type": "object", "properties": sections, "additionalProperties": _JOB}
    return {
        "$schema": DIALECT,
        "title": "Jobs of the scheduler",
        "if": {"type": "object", "required": ["jobs"]},
        "then": {"properties": {**sections, "jobs": jobs}, "additionalProperties": False},
        "else": {"anyOf": [{"type": "array", "items": _NAMED_JOB}, _NAMED_JOB, at_top]},
        "$defs": definitions,
    }


def _create_definitions() -> dict[str, Any]:
    full_form, definitions = create_full_form()
    # The name is the key above the job, in the flat form also the name of the file.
    name = {"type": "string", "pattern": NAME_PATTERN}
    forms = {
        "if": {"required": ["check"]},
        "then": {"$ref": f"{_DEFINITIONS}full_form"},
        "else": {"$ref": f"{_DEFINITIONS}flat_form"},
    }
    return {
        **definitions,
        "full_form": full_form,
        "flat_form": create_flat_form(),
        "job": {"type": "object", **forms},
        "named_job": {
            "type": "object",
            **forms,
            "anyOf": [{"required": ["name"], "properties": {"name": name}}, {"not": {"required": ["check"]}}],
        },
    }


def _create_defaults(full_form: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of parts of jobs; a check can be incomplete."""
    properties = {key: value for key, value in full_form["properties"].items() if key != "name"}
    return {
        "type": "object",
        "description": "Values of all jobs of the file in the full form that do not set them",
        "properties": properties | {"check": {"type": "object"}},
        "additionalProperties": False,
    }


def _create_groups() -> dict[str, Any]:
    schema = GroupMembers.model_json_schema()
    schema.pop("title", None)
    return {
        "type": "object",
        "description": "The jobs that can join a group, by its name",
        "additionalProperties": schema,
    }
