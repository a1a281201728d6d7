"""The target `azure`: everything that is generated for Azure Monitor, and its Tool, which writes workbooks and alert
rules to a resource group.

scheduler-workbook.json, scheduler-alerts.json   ARM templates with parameters, for a deployment or as modules of Bicep
resources/...                                    the same resources, as `generate apply azure` sends them
place/...                                        the environment variables that these refer to

Bicep takes a template as a module: `module alerts './scheduler-alerts.json' = {...}`. The component, the resource group
and the action groups come from environment variables. As Azure's own tools, the command reads variables that begin
with AZURE_; the credential's are among them. A resource becomes a document without what Azure adds, with the content
of a workbook as an object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlsplit

from jobs.responses import BlockingClient
from observability.generation.azure.arm_client import ArmClient, fetch_access_token
from observability.generation.azure.resources import (
    ACTION_GROUPS_KIND,
    ACTION_GROUPS_VARIABLE,
    APPLIED_PLACE,
    COMPONENT_KIND,
    COMPONENT_VARIABLE,
    PLACE_DOCUMENTS,
    RULE_API_VERSION,
    RULE_TYPE,
    TEMPLATE_PLACE,
    AzurePlace,
    LogAlertRule,
    complete_rule,
    make_guid,
    make_place_value,
)
from observability.generation.azure.rules import make_job_rules, make_objective_rules, make_scheduler_rules
from observability.generation.azure.workbook import (
    CONTENT,
    WORKBOOK_API_VERSION,
    WORKBOOK_TYPE,
    complete_workbook,
    make_workbook_body,
)
from observability.generation.document import (
    DEFAULT_ITEM_KEYS,
    GeneratedDocument,
    GenerationTarget,
    Json,
    ToolDocument,
    ToolError,
)
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
    ids = [f"[resourceId('{resource['type']}', '{resource['name']}')]" for resource in resources]
    return {
        "$schema": _SCHEMA,
        "contentVersion": "1.0.0.0",
        "metadata": {"description": description},
        "parameters": {**_PLACE_PARAMETERS, **(_RULE_PARAMETERS if has_rules else {})},
        "variables": dict(variables or {}),
        "resources": list(resources),
        "outputs": {"resourceIds": {"type": "array", "value": ids}},
    }


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


RESOURCE_GROUP_VARIABLE: Final = "AZURE_RESOURCE_GROUP"
LOCATION_VARIABLE: Final = "AZURE_LOCATION"
URL_VARIABLE: Final = "AZURE_RESOURCE_MANAGER_URL"
CLIENT_VARIABLE: Final = "AZURE_CLIENT_ID"
DEFAULT_URL = "https://management.azure.com"
_COMPONENT = re.compile(
    r"/subscriptions/(?P<subscription>[0-9a-f-]{36})/resourceGroups/(?P<group>[^/]{1,90})"
    r"/providers/Microsoft\.Insights/components/[^/]{1,260}",
    re.IGNORECASE,
)
_ACTION_GROUP = re.compile(
    r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]{1,90}/providers/Microsoft\.Insights/actionGroups/[^/]{1,260}",
    re.IGNORECASE,
)
_GROUP_NAME = re.compile(r"[\w().-]{1,90}")


@dataclass(frozen=True, slots=True)
class AzureAccount:
    """`resource_group`: the id of that of the generated resources. `location`: empty for that of the component.

    `url`: of Azure Resource Manager, which differs in Azure's other clouds.
    """

    component: str
    resource_group: str
    action_groups: tuple[str, ...] = ()
    location: str = ""
    url: str = DEFAULT_URL


def read_account(environ: Mapping[str, str]) -> AzureAccount:
    """Return the account. Raises ToolError: a variable is missing or invalid."""
    component = environ.get(COMPONENT_VARIABLE, "").strip()
    parts = _COMPONENT.fullmatch(component)
    if parts is None:
        problem = f"got {component!r}" if component else "it is not set"
        raise ToolError(
            f"{COMPONENT_VARIABLE} must be the resource id of the Application Insights component, such as "
            f"/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.Insights/components/NAME; {problem}"
        )
    group = environ.get(RESOURCE_GROUP_VARIABLE, "").strip() or parts["group"]
    if not _GROUP_NAME.fullmatch(group):
        raise ToolError(f"{RESOURCE_GROUP_VARIABLE} must be the name of a resource group, got {group!r}")
    return AzureAccount(
        component,
        f"/subscriptions/{parts['subscription']}/resourceGroups/{group}",
        _read_action_groups(environ),
        environ.get(LOCATION_VARIABLE, "").strip(),
        read_url(environ),
    )


def _read_action_groups(environ: Mapping[str, str]) -> tuple[str, ...]:
    groups = tuple(part.strip() for part in environ.get(ACTION_GROUPS_VARIABLE, "").split(",") if part.strip())
    for group in groups:
        if not _ACTION_GROUP.fullmatch(group):
            raise ToolError(
                f"{ACTION_GROUPS_VARIABLE} must be resource ids of action groups with commas, such as "
                f"/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.Insights/actionGroups/NAME; got {group!r}"
            )
    return groups


def read_url(environ: Mapping[str, str]) -> str:
    """Return the address of Azure Resource Manager. Raises ToolError: it is invalid."""
    url = (environ.get(URL_VARIABLE, "").strip() or DEFAULT_URL).rstrip("/")
    parts = urlsplit(url)
    # The access token must not be sent in the clear; tests have a server on loopback.
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1"))
    if not (is_safe and parts.hostname and parts.path == "" and not parts.query):
        raise ToolError(f"{URL_VARIABLE} must be an address such as {DEFAULT_URL}, got {url!r}")
    return url


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


_COMPONENT_API_VERSION = "2020-02-02"
_PARAMETERS: Mapping[str, Mapping[str, str]] = {
    RULE_KIND: {"api-version": RULE_API_VERSION},
    WORKBOOK_KIND: {"api-version": WORKBOOK_API_VERSION},
}


@contextmanager
def open_azure(environ: Mapping[str, str], fetch_token: Callable[[], str] | None = None) -> Iterator[AzureTool]:
    """Open the resource group that the environment variables name. Raises ToolError: one is missing or invalid.

    `fetch_token`: None for the credential of the person or pipeline that runs the command.
    """
    import httpx

    account = read_account(environ)
    fetch = fetch_token or partial(fetch_access_token, account.url, environ.get(CLIENT_VARIABLE) or None)
    with BlockingClient(httpx.AsyncClient(base_url=account.url)) as client:
        yield AzureTool(account, ArmClient(client, fetch))


class AzureTool:
    """The id of a document is its resource id, or the value of the environment variable that it stands for."""

    def __init__(self, account: AzureAccount, client: ArmClient) -> None:
        self._account = account
        self._arm = client
        self._location = account.location
        self._etags: dict[str, str] = {}
        self._places = {
            COMPONENT_KIND: ToolDocument(account.component, make_place_value(COMPONENT_VARIABLE)),
            ACTION_GROUPS_KIND: ToolDocument(",".join(account.action_groups), make_place_value(ACTION_GROUPS_VARIABLE)),
        }

    def fetch(self, kind: str, tool_id: str) -> ToolDocument | None:
        if kind in self._places:
            return self._places[kind]
        parameters = {**_PARAMETERS[kind], **({"canFetchContent": "true"} if kind == WORKBOOK_KIND else {})}
        resource = self._arm.get(tool_id, parameters)
        if resource is None:
            return None
        if isinstance(resource.get("etag"), str):
            self._etags[tool_id] = resource["etag"]
        return ToolDocument(tool_id, to_document_value(resource))

    def find(self, document: GeneratedDocument) -> ToolDocument | None:
        return self.fetch(document.kind, "" if document.kind in self._places else self._make_id(document))

    def write(self, document: GeneratedDocument, value: Json, tool_id: str | None) -> ToolDocument:
        target = tool_id or self._make_id(document)
        etag = self._etags.pop(target, None) if tool_id else None
        parameters = {**_PARAMETERS[document.kind]}
        if document.kind == WORKBOOK_KIND:
            parameters["sourceId"] = self._account.component
        self._arm.put(target, parameters, to_resource(value, self._find_location()), etag)
        written = self.fetch(document.kind, target)
        if written is None:
            raise ToolError(f"Azure has no resource {target} after it was written; apply again")
        return written

    def delete(self, kind: str, tool_id: str) -> None:
        self._arm.delete(tool_id, _PARAMETERS[kind])

    def _make_id(self, document: GeneratedDocument) -> str:
        name = quote(document.value["name"], safe="")
        return f"{self._account.resource_group}/providers/Microsoft.Insights/{document.kind}/{name}"

    def _find_location(self) -> str:
        if not self._location:
            found = self._arm.get(self._account.component, {"api-version": _COMPONENT_API_VERSION})
            if found is None or not isinstance(found.get("location"), str):
                raise ToolError(f"there is no Application Insights component {self._account.component}")
            self._location = found["location"]
        return self._location


TARGET = GenerationTarget("azure", generate_documents, open_azure)
