"""Paths of Azure's resources and lists: which are accepted, and which resource they are about. Pure."""

from __future__ import annotations

import re
import string
from urllib.parse import unquote

_PATH = re.compile(r"/[A-Za-z0-9._~()!$'@%+,;=&/:-]+")
_ENCODED = re.compile(r"%.{0,2}")
_PLAIN = frozenset(string.ascii_letters + string.digits + "-._~%/\\")
"""Characters that a path does not encode: encoded ones would hide which API it is."""
_SUBSCRIPTION = re.compile(r"/subscriptions/[0-9A-Fa-f-]{36}(?=/|$)", re.IGNORECASE)


def check_path(path: str) -> str:
    """Return the path of a resource or a list. Raises ValueError."""
    if "?" in path or "#" in path:
        raise ValueError("must not have a query: write its parameters under query, and the version as api_version")
    if not _PATH.fullmatch(path) or "//" in path or any(part in (".", "..") for part in path.split("/")):
        raise ValueError("is not the path of a resource: write it like /subscriptions/<id>/resourceGroups/<name>/...")
    for code in _ENCODED.findall(path):
        if len(character := unquote(code)) > 1 or character in _PLAIN or not character.isprintable():
            raise ValueError(f"has {code}: write the character itself, or remove it")
    return path.rstrip("/")


def check_arm_path(path: str) -> str:
    """Return the same below a subscription. Raises ValueError."""
    if not _SUBSCRIPTION.match(check_path(path)):
        raise ValueError("is not the id of a resource: write it like /subscriptions/<id>/resourceGroups/<name>/...")
    return path.rstrip("/")


def shorten_path(path: str) -> str:
    """Return the path from its last provider on: `Microsoft.ServiceBus/namespaces/shop/queues`."""
    return path.rpartition("/providers/")[2].lstrip("/")


def find_resource_id(path: str) -> str:
    """Return the id of the resource that a path is about: of a list, its parent; of a subresource, its owner."""
    found = _SUBSCRIPTION.match(path)
    if found is None:
        return ""
    # A second provider is about the resource before it: its health, its metrics.
    parts = re.split(r"(?=/providers/)", path, flags=re.IGNORECASE)
    if len(parts) < 2:
        return path
    scope, names = parts[0], parts[1].strip("/").split("/")
    if names[2:3] == ["locations"]:  # not a resource, so roles cannot be assigned there
        return scope
    whole = 2 + (len(names) - 2) // 2 * 2
    return f"{scope}/{'/'.join(names[:whole])}" if whole > 2 else scope
