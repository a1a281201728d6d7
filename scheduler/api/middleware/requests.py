"""What the middleware reads of a request, headers and client, and how it answers a request that it rejects."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address, ip_network

from starlette.types import Scope, Send

from scheduler.api.scopes import mask_token
from scheduler.connections.problem_responses import PROBLEM_MEDIA_TYPE, problem_body
from scheduler.identity.principal import Principal, format_tag_limits


def header_values(scope: Scope, name: str) -> list[str]:
    """Return all values of a header by its lowercase name."""
    key = name.encode("ascii")
    return [value.decode("latin-1") for given, value in scope["headers"] if given == key]


def header_reader(scope: Scope) -> partial[list[str]]:
    """Return a function that returns all values of a header by its lowercase name."""
    return partial(header_values, scope)


_MAX_LENGTH = 60
BEHIND_PROXY = "behind_proxy"
"""Member of the state of a request, set by scheduler.api.middleware.stack."""
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
        ip = ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return address
    if ip.version == 4:
        return address
    return str(ip.ipv4_mapped or ip_network(f"{ip}/64", strict=False))


def _strip_port(place: str) -> str:
    try:
        ip_address(place)
    except ValueError:
        return re.sub(r":\d+$", "", place)
    return place


def find_client_id(scope: Scope) -> str:
    """Return the id of the principal that the authentication found, with the tags that limit what it sees; without a
    principal, the client's address.
    """
    principal = _find_principal(scope)
    if principal is None:
        return f"address:{find_client_address(scope)}"
    return "\n".join((principal.id, *format_tag_limits(principal.tags)))


def find_limited_client(scope: Scope) -> str:
    """Return whose requests are counted together: those of a principal; without one, of the client's network."""
    principal = _find_principal(scope)
    return f"address:{find_client_network(scope)}" if principal is None else principal.id


def _find_principal(scope: Scope) -> Principal | None:
    principal: Principal | None = (scope.get("state") or {}).get("principal")
    return principal


Headers = Iterable[tuple[bytes, bytes]]


class RequestRejected(Exception):
    """A request is rejected before its route."""

    def __init__(self, status: HTTPStatus, detail: str, *, retry_after: str = "") -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after


async def reject(
    scope: Scope, send: Send, status: HTTPStatus, detail: str, *, retry_after: str = "", headers: Headers = ()
) -> None:
    """Send a problem response."""
    body = problem_body(status, detail, mask_token(scope["path"]))
    sent = [(b"content-type", PROBLEM_MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode()), *headers]
    if retry_after:
        sent.append((b"retry-after", retry_after.encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": sent})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
