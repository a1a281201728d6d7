"""ARM templates: resources with parameters instead of a place. Pure. Called by
observability.generation.azure.documents.

Bicep takes a template as a module: `module alerts './scheduler-alerts.json' = {...}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from observability.generation.core.document import Json

_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"

MAX_RESOURCES = 400
"""Resources of one template; Azure Resource Manager accepts 800, and 4 MB."""

_PLACE_PARAMETERS = {
    "componentId": {
        "type": "string",
        "metadata": {"description": "Resource id of the Application Insights component that gets the telemetry."},
    },
    "location": {
        "type": "string",
        "defaultValue": "[resourceGroup().location]",
        "metadata": {"description": "Region of the generated resources."},
    },
}
_RULE_PARAMETERS = {
    "actionGroupIds": {
        "type": "array",
        "defaultValue": [],
        "metadata": {"description": "Resource ids of the action groups that the alert rules notify."},
    },
    "enabled": {
        "type": "bool",
        "defaultValue": True,
        "metadata": {"description": "Whether the alert rules are evaluated."},
    },
}


def escape_expressions(value: Json) -> Json:
    """Return the value so that a template takes it literally: a text in brackets would be an expression."""
    if isinstance(value, str):
        return f"[{value}" if value.startswith("[") and value.endswith("]") else value
    if isinstance(value, list):
        return [escape_expressions(item) for item in value]
    if isinstance(value, Mapping):
        return {key: escape_expressions(item) for key, item in value.items()}
    return value


def make_template(
    description: str, resources: Sequence[Json], *, has_rules: bool, variables: Mapping[str, Json] | None = None
) -> Json:
    """Return a template. `resources`: complete, with a name, a type and an `apiVersion`; expressions are allowed."""
    return {
        "$schema": _SCHEMA,
        "contentVersion": "1.0.0.0",
        "metadata": {"description": description},
        "parameters": {**_PLACE_PARAMETERS, **(_RULE_PARAMETERS if has_rules else {})},
        "variables": dict(variables or {}),
        "resources": list(resources),
        "outputs": {
            "resourceIds": {"type": "array", "value": [_make_id_expression(resource) for resource in resources]}
        },
    }


def _make_id_expression(resource: Json) -> str:
    return f"[resourceId('{resource['type']}', '{resource['name']}')]"
