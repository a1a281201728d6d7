"""The Tool of Azure Monitor: workbooks and alert rules in a resource group. Called by
observability.generation.azure.target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from urllib.parse import quote

from jobs.responses.reading import BlockingClient
from observability.generation.azure.api.account import CLIENT_VARIABLE, AzureAccount, read_account
from observability.generation.azure.api.arm_client import ArmClient
from observability.generation.azure.api.resources import to_document_value, to_resource
from observability.generation.azure.api.tokens import fetch_access_token
from observability.generation.azure.documents import RULE_KIND, WORKBOOK_KIND
from observability.generation.azure.place import (
    ACTION_GROUPS_KIND,
    ACTION_GROUPS_VARIABLE,
    COMPONENT_KIND,
    COMPONENT_VARIABLE,
    make_place_value,
)
from observability.generation.azure.rules.alert_rule import RULE_API_VERSION
from observability.generation.azure.workbook.workbook import WORKBOOK_API_VERSION
from observability.generation.core.document import GeneratedDocument, Json
from observability.generation.core.tool import ToolDocument, ToolError

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
