"""The target `azure`, and its Tool: workbooks and alert rules in a resource group.

The component, the resource group and the action groups come from environment variables. As Azure's own tools, the
command reads variables that begin with AZURE_; the credential's are among them. A resource becomes a document without
what Azure adds, with the content of a workbook as an object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlsplit

from jobs.responses import BlockingClient
from observability.generation.azure.arm_client import ArmClient, fetch_access_token
from observability.generation.azure.documents import RULE_KIND, WORKBOOK_KIND, generate_documents
from observability.generation.azure.resources import (
    ACTION_GROUPS_KIND,
    ACTION_GROUPS_VARIABLE,
    COMPONENT_KIND,
    COMPONENT_VARIABLE,
    RULE_API_VERSION,
    make_place_value,
)
from observability.generation.azure.workbook import CONTENT, WORKBOOK_API_VERSION
from observability.generation.document import GeneratedDocument, GenerationTarget, Json, ToolDocument, ToolError

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
    found = _COMPONENT.fullmatch(component)
    if found is None:
        problem = f"got {component!r}" if component else "it is not set"
        raise ToolError(
            f"{COMPONENT_VARIABLE} must be the resource id of the Application Insights component, such as "
            f"/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.Insights/components/NAME; {problem}"
        )
    group = environ.get(RESOURCE_GROUP_VARIABLE, "").strip() or found["group"]
    if not _GROUP_NAME.fullmatch(group):
        raise ToolError(f"{RESOURCE_GROUP_VARIABLE} must be the name of a resource group, got {group!r}")
    return AzureAccount(
        component,
        f"/subscriptions/{found['subscription']}/resourceGroups/{group}",
        _read_action_groups(environ),
        environ.get(LOCATION_VARIABLE, "").strip(),
        _read_url(environ),
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


def _read_url(environ: Mapping[str, str]) -> str:
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
        found = self._arm.get(tool_id, parameters)
        if found is None:
            return None
        if isinstance(found.get("etag"), str):
            self._etags[tool_id] = found["etag"]
        return ToolDocument(tool_id, to_document_value(found))

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
