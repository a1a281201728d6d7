"""Everything that is generated for Azure Monitor. Pure.

scheduler-workbook.json, scheduler-alerts.json   ARM templates with parameters, for a deployment or as modules of Bicep
resources/...                                    the same resources, as `generate apply azure` sends them
place/...                                        the environment variables that these refer to

Bicep takes a template as a module: `module alerts './scheduler-alerts.json' = {...}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from observability.generation.azure.resources import (
    APPLIED_PLACE,
    PLACE_DOCUMENTS,
    RULE_API_VERSION,
    RULE_TYPE,
    TEMPLATE_PLACE,
    AzurePlace,
    LogAlertRule,
    complete_rule,
    make_guid,
)
from observability.generation.azure.rules import make_job_rules, make_objective_rules, make_scheduler_rules
from observability.generation.azure.workbook import (
    CONTENT,
    WORKBOOK_API_VERSION,
    WORKBOOK_TYPE,
    complete_workbook,
    make_workbook_body,
)
from observability.generation.document import DEFAULT_ITEM_KEYS, GeneratedDocument, Json
from observability.generation.portfolio import Portfolio
from observability.service_name import DEFAULT_SERVICE_NAME

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


RULE_KIND, WORKBOOK_KIND = "scheduledQueryRules", "workbooks"

ITEM_KEYS = (*DEFAULT_ITEM_KEYS, ("columnMatch",), ("columnId",), ("timeAggregation",))
"""Of lists in workbooks, and the one condition of a rule."""


def generate_documents(portfolio: Portfolio) -> Sequence[GeneratedDocument]:
    """Return the templates, and the resources that are applied."""
    rules = list_rules(portfolio)
    return [
        GeneratedDocument("scheduler-workbook.json", _make_workbook_template(portfolio)),
        *_make_rule_templates(portfolio, rules),
        *PLACE_DOCUMENTS,
        *_make_resources(portfolio, rules, APPLIED_PLACE),
    ]


def list_rules(portfolio: Portfolio) -> Sequence[LogAlertRule]:
    """Return all rules. They read one deployment if the service has a name, otherwise the whole component."""
    role = portfolio.service if portfolio.service != DEFAULT_SERVICE_NAME else ""
    return [
        *make_scheduler_rules(portfolio, role),
        *make_job_rules(portfolio, role),
        *make_objective_rules(portfolio, role),
    ]


def _make_workbook_template(portfolio: Portfolio) -> Json:
    body = complete_workbook(escape_expressions(make_workbook_body(portfolio)), TEMPLATE_PLACE)
    content = body["properties"][CONTENT]
    body["properties"][CONTENT] = "[string(variables('content'))]"
    resource = {
        "type": WORKBOOK_TYPE,
        "apiVersion": WORKBOOK_API_VERSION,
        "name": _make_workbook_name(portfolio),
        **body,
    }
    return make_template(
        "The workbook of the scheduled jobs.", [resource], has_rules=False, variables={"content": content}
    )


def _make_rule_templates(portfolio: Portfolio, rules: Sequence[LogAlertRule]) -> Sequence[GeneratedDocument]:
    documents = []
    for start in range(0, len(rules), MAX_RESOURCES):
        resources = [
            {
                "type": RULE_TYPE,
                "apiVersion": RULE_API_VERSION,
                "name": rule.name,
                **complete_rule(escape_expressions(rule.make_body()), TEMPLATE_PLACE),
            }
            for rule in rules[start : start + MAX_RESOURCES]
        ]
        number = f"-{start // MAX_RESOURCES + 1}" if start else ""
        template = make_template("The alert rules of the scheduled jobs.", resources, has_rules=True)
        documents.append(GeneratedDocument(f"scheduler-alerts{number}.json", template))
    return documents


def _make_resources(
    portfolio: Portfolio, rules: Sequence[LogAlertRule], place: AzurePlace
) -> Sequence[GeneratedDocument]:
    name = _make_workbook_name(portfolio)
    workbook = {"name": name, **complete_workbook(make_workbook_body(portfolio), place)}
    return [
        GeneratedDocument("resources/workbook.json", workbook, WORKBOOK_KIND, ITEM_KEYS),
        *(
            GeneratedDocument(
                f"resources/rules/{rule.name}.json",
                {"name": rule.name, **complete_rule(rule.make_body(), place)},
                RULE_KIND,
                ITEM_KEYS,
            )
            for rule in rules
        ),
    ]


def _make_workbook_name(portfolio: Portfolio) -> str:
    return make_guid(portfolio, "workbook")
