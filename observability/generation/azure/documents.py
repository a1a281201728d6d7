"""Everything that is generated for Azure Monitor. Pure. Called by
observability.generation.azure.target.

scheduler-workbook.json, scheduler-alerts.json   ARM templates with parameters, for a deployment or as modules of Bicep
resources/...                                    the same resources, as `generate apply azure` sends them
place/...                                        the environment variables that these refer to
"""

from __future__ import annotations

from collections.abc import Sequence

from observability.generation.azure.arm import MAX_RESOURCES, escape_expressions, make_template
from observability.generation.azure.place import APPLIED_PLACE, PLACE_DOCUMENTS, TEMPLATE_PLACE, AzurePlace
from observability.generation.azure.resource_names import make_guid
from observability.generation.azure.rules.alert_rule import RULE_API_VERSION, RULE_TYPE, LogAlertRule, complete_rule
from observability.generation.azure.rules.job_rules import make_job_rules
from observability.generation.azure.rules.objective_rules import make_objective_rules
from observability.generation.azure.rules.scheduler_rules import make_scheduler_rules
from observability.generation.azure.workbook.workbook import (
    CONTENT,
    WORKBOOK_API_VERSION,
    WORKBOOK_TYPE,
    complete_workbook,
    make_workbook_body,
)
from observability.generation.core.document import DEFAULT_ITEM_KEYS, GeneratedDocument, Json
from observability.generation.core.portfolio import Portfolio
from observability.service_name import DEFAULT_SERVICE_NAME

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
