"""Resources as Azure has them, and as documents: without what Azure adds, the content of a workbook as an object. Pure.

Called by observability.generation.azure.api.tool.
"""

from __future__ import annotations

import json
from typing import Any

from observability.generation.azure.workbook.workbook import CONTENT
from observability.generation.core.document import Json

_ADDED = frozenset({"id", "type", "etag", "systemData", "location"})
_ADDED_PROPERTIES = frozenset(
    {
        "timeModified",
        "userId",
        "revision",
        "createdWithApiVersion",
        "isLegacyLogAnalyticsRule",
        "isWorkspaceAlertsStorageConfigured",
    }
)
"""What Azure sets by itself, and what a person cannot change."""


def to_document_value(resource: dict[str, Any]) -> Json:
    """Return the value of a document, from an answer of Azure. The ids of action groups are one text with commas."""
    value = {key: part for key, part in resource.items() if key not in _ADDED}
    properties = {key: part for key, part in resource.get("properties", {}).items() if key not in _ADDED_PROPERTIES}
    if isinstance(properties.get(CONTENT), str):
        properties[CONTENT] = _parse_content(properties[CONTENT])
    actions = properties.get("actions")
    if isinstance(actions, dict) and isinstance(actions.get("actionGroups"), list):
        properties["actions"] = {**actions, "actionGroups": [",".join(map(str, actions["actionGroups"]))]}
    return {**value, "properties": properties}


def to_resource(value: Json, location: str) -> dict[str, Any]:
    """Return the body of a request, from the value of a document."""
    properties = dict(value["properties"])
    if CONTENT in properties and not isinstance(properties[CONTENT], str):
        properties[CONTENT] = json.dumps(properties[CONTENT], sort_keys=True, ensure_ascii=False)
    actions = properties.get("actions")
    if isinstance(actions, dict) and isinstance(actions.get("actionGroups"), list):
        ids = [part for text in actions["actionGroups"] for part in str(text).split(",") if part]
        properties["actions"] = {**actions, "actionGroups": ids}
    body = {key: part for key, part in value.items() if key not in ("name", "properties")}
    return {**body, "location": location, "properties": properties}


def _parse_content(text: str) -> Json:
    """Return the content of a workbook; the text if a person has made it something else than JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text
