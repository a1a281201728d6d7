"""The schema of a job in the full form, from the models."""

from __future__ import annotations

from typing import Final

from jobs.definition import JobDefinition
from jobs.schemas.conditions import closed, has_any_key, select_by_kind
from jobs.schemas.generator import create_model_schema
from jobs.schemas.parts import Schema
from jobs.targets import KEYS_OF_OTHER_KINDS, TARGETS_BY_KIND

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


def create_full_form() -> tuple[Schema, dict[str, Schema]]:
    """Return the schema of a job without required keys and with any check, and the definitions to which it refers.

    They have the checks: `check`, and `partial_check` for the default values of a file and for what these complete.
    """
    schema, definitions = create_model_schema(JobDefinition)
    for key, text in _DESCRIPTIONS.items():
        schema["properties"][key]["description"] = text
    schema["properties"]["check"] = {"type": "object", "description": _DESCRIPTIONS["check"]}
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
