"""The component, resource group and action groups of the generated resources, from environment variables.

Called by observability.generation.azure.api.tool. As Azure's own tools, the command reads variables that begin with
AZURE_; the credential's are among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from observability.generation.azure.place import ACTION_GROUPS_VARIABLE, COMPONENT_VARIABLE
from observability.generation.core.tool import ToolError

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
