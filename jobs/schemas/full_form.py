"""The schema of a job in the full form, from the models."""

from __future__ import annotations

import re
from typing import Any, Final

from jobs.definition import JobDefinition
from jobs.formats.durations import format_duration
from jobs.schemas.alerting_texts import add_texts

_DESCRIPTIONS: Final = {
    "name": "Name of the job, unique among all jobs",
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
_BOUNDS: Final = {"ge": "minimum", "le": "maximum"}


def create_full_form() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of a job that is named by its key, and the definitions to which it refers."""
    schema = JobDefinition.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs")
    for name, each in (("", schema), *definitions.items()):
        clean_schema(each)
        add_texts(name, each)
    for key, text in _DESCRIPTIONS.items():
        schema["properties"][key]["description"] = text
    schema["required"] = ["check"]
    schema["description"] = "A job in the full form"
    return schema, definitions


def clean_schema(schema: Any) -> None:
    """Remove titles, which repeat the keys; write defaults and bounds as a file has them."""
    if isinstance(schema, list):
        for each in schema:
            clean_schema(each)
        return
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("title"), str):
        del schema["title"]
    if isinstance(schema.get("description"), str):
        schema["description"] = re.sub(r"\s*\n\s*", " ", schema["description"])
    for name, standard in _BOUNDS.items():
        bound = schema.pop(name, None)
        if bound is not None and schema.get("type") in ("integer", "number"):
            schema[standard] = bound
    if isinstance(schema.get("default"), float) and schema.get("type") == "string":
        schema["default"] = format_duration(schema["default"])
    for key, value in schema.items():
        if key not in ("default", "examples", "enum", "const"):
            clean_schema(value)
