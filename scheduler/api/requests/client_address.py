"""Finds the address of the client. Used by scheduler.api.access, scheduler.api.requests,
scheduler.api.dependencies and the ping routes."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

from starlette.types import Scope

from scheduler.api.requests.header_values import header_values

_MAX_LENGTH = 60
BEHIND_PROXY = "behind_proxy"
"""Member of the state of a request, set by scheduler.api.middleware.request_ids."""
FUNCTION_NAME: str = "azure_functions.function_name"
"""Key of the ASGI scope in the Functions host; a client cannot set it."""


def find_client_address(scope: Scope) -> str:
    """Return the address without a port; empty if it is unknown.

    In the Functions host, the front end of the platform appends the address that it has observed to X-Forwarded-For, so
    the last entry counts; elsewhere the same is true of a proxy that the settings name. Without either the header is
    ignored: any client can send it.
    """
    is_on_functions = FUNCTION_NAME in scope
    if is_on_functions or scope.get("state", {}).get(BEHIND_PROXY):
        hops = header_values(scope, "x-forwarded-for")
        if hops or is_on_functions:
            return _strip_port(hops[-1].rpartition(",")[2].strip())[:_MAX_LENGTH] if hops else ""
    client = scope.get("client")
    return str(client[0])[:_MAX_LENGTH] if client else ""


def find_client_network(scope: Scope) -> str:
    """Return the address, or the /64 network of an IPv6 address: one client can send from each address of it."""
    address = find_client_address(scope)
    try:
        known = ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return address
    if known.version == 4:
        return address
    return str(known.ipv4_mapped or ip_network(f"{known}/64", strict=False))


def _strip_port(place: str) -> str:
    try:
        ip_address(place)
    except ValueError:
        return re.sub(r":\d+$", "", place)
    return place
