"""Links from a response to the operations on what it contains. Called by scheduler.api.description.document.

A client finds the next request by them, and tests follow them.
"""

from __future__ import annotations

from typing import Any, Final

LINKED_FIELDS: Final = {
    "RunModel": ("run_id", "id"),
    "RunList": ("run_id", "runs/0/id"),
    "BackfillModel": ("run_id", "runs/0/id"),
    "JobList": ("name", "jobs/0/name"),
    "JobDetail": ("name", "name"),
    "CircuitList": ("key", "circuits/0/key"),
    "CircuitModel": ("key", "key"),
    "DeadLetterList": ("letter_id", "dead_letters/0/id"),
    "DeadLetterDetail": ("letter_id", "id"),
    "IncidentListModel": ("incident_id", "incidents/0/id"),
    "IncidentDetail": ("incident_id", "id"),
    "SilenceListModel": ("silence_id", "silences/0/id"),
    "SilenceModel": ("silence_id", "id"),
    "CreatedSilenceModel": ("silence_id", "id"),
    "CreatedWindowModel": ("window_id", "id"),
    "ChannelListModel": ("channel", "channels/0/name"),
}
"""Model of a response: the path parameter that a field of it fills, and that field."""

_OTHER_NAMES = ("/api/secrets/",)
"""Prefixes of paths whose parameter `name` is not that of a job."""


def add_links(document: dict[str, Any]) -> None:
    """Add the links of each response whose model has a linked field."""
    targets = list(_linkable_operations(document))
    for methods in document["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                for field in (LINKED_FIELDS[name] for name in _models_of(response) if name in LINKED_FIELDS):
                    _link(response, field, targets, operation["operationId"])


def _link(response: dict[str, Any], field: tuple[str, str], targets: list[tuple[str, str]], own_id: str) -> None:
    parameter, pointer = field
    found = {
        operation_id: {"operationId": operation_id, "parameters": {parameter: f"$response.body#/{pointer}"}}
        for name, operation_id in targets
        if name == parameter and operation_id != own_id
    }
    if found:
        response["links"] = found


def _linkable_operations(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the operations with one path parameter: its name and the operation's id."""
    found = []
    for path, methods in document["paths"].items():
        for operation in methods.values():
            names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]
            if len(names) == 1 and not path.startswith(_OTHER_NAMES):
                found.append((names[0], operation["operationId"]))
    return found


def _models_of(response: dict[str, Any]) -> list[str]:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return [str(each["$ref"]).rpartition("/")[2] for each in (schema, *schema.get("anyOf", ())) if "$ref" in each]
