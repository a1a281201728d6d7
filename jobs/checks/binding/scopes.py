"""Which access tokens open more than a target: tokens for vaults, storage, management and directories. Pure.

For every Azure cloud, by URL and by application id. A scope is classified by what it contains, not by its prefix, so
that no spelling evades it: `https://VAULT.azure.net//.default`, a path or a port.
"""

from __future__ import annotations

import re
from enum import Enum
from urllib.parse import unquote, urlsplit

from jobs.checks.binding.host_patterns import normalize_host

_DEFAULT_SUFFIX = "/.default"
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class ProtectedResource(Enum):
    """What a token opens, as in a message."""

    NONE = ""
    VAULT = "key vaults"
    STORAGE = "storage accounts"
    MANAGEMENT = "the management of Azure resources"
    DIRECTORY = "the directory and Microsoft Graph"
    REGISTRY = "container registries"
    UNCLEAR = "a resource that its text does not show"


_MARKERS: tuple[tuple[ProtectedResource, tuple[str, ...]], ...] = (
    (
        ProtectedResource.VAULT,
        (
            "vault.azure.net",
            "vault.azure.cn",
            "vault.usgovcloudapi.net",
            "vault.microsoftazure.de",
            "managedhsm.azure.net",
            "managedhsm.azure.cn",
            "managedhsm.usgovcloudapi.net",
            "cfa8b339-82a2-471a-a3c9-0fc0be7a4093",
            "589d5083-6f11-4d30-a62a-a4b316a14abf",
        ),
    ),
    (
        ProtectedResource.MANAGEMENT,
        (
            "management.azure.com",
            "management.core.windows.net",
            "management.usgovcloudapi.net",
            "management.core.usgovcloudapi.net",
            "management.chinacloudapi.cn",
            "management.core.chinacloudapi.cn",
            "management.microsoftazure.de",
            "management.core.cloudapi.de",
            "797f4846-ba00-4fd7-ba43-dac1f8f63013",
        ),
    ),
    (
        ProtectedResource.STORAGE,
        (
            "storage.azure.com",
            "storage.azure.net",
            "storage.azure.us",
            "storage.azure.cn",
            "core.windows.net",
            "core.usgovcloudapi.net",
            "core.chinacloudapi.cn",
            "core.cloudapi.de",
            "disk.azure.com",
            "cosmos.azure.com",
            "table.cosmos.azure",
            "e406a681-f3d4-42a8-90b6-c2b029497af1",
        ),
    ),
    (
        ProtectedResource.DIRECTORY,
        (
            "graph.microsoft.com",
            "graph.microsoft.us",
            "graph.microsoft.de",
            "microsoftgraph.chinacloudapi.cn",
            "graph.windows.net",
            "graph.microsoftazure.us",
            "graph.chinacloudapi.cn",
            "graph.cloudapi.de",
            "00000003-0000-0000-c000-000000000000",
            "00000002-0000-0000-c000-000000000000",
        ),
    ),
    (ProtectedResource.REGISTRY, ("containerregistry.azure.", "azurecr.io", "azurecr.us", "azurecr.cn")),
)


def normalize_scope(scope: str) -> str:
    """Return a scope in the form that rules compare: lower case, without `/.default`."""
    return scope.strip().lower().removesuffix(_DEFAULT_SUFFIX).rstrip("/")


def classify_scope(scope: str) -> ProtectedResource:
    """Return which protected resource a token of this scope opens; NONE for any other API."""
    if not _PRINTABLE.fullmatch(scope):
        return ProtectedResource.UNCLEAR
    text = unquote(scope).lower()
    return next((kind for kind, parts in _MARKERS if any(part in text for part in parts)), ProtectedResource.NONE)


def scope_host(scope: str) -> str:
    """Return the host of a scope that is a URL, such as `https://api.example/.default`; empty for any other."""
    try:
        parts = urlsplit(scope)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None:
            return ""
        return normalize_host(parts.hostname)
    except ValueError:
        return ""
