"""What the rules of bindings name: hosts, secrets, tags of jobs, and scopes of access tokens. Pure.

A host is `api.example`, `*.internal` or `10.20.0.0/16`, each with or without a port; a tag is `team:checkout`.

Tokens for vaults, storage, management and directories open more than a target, for every Azure cloud, by URL and by
application id. A scope is classified by what it contains, not by its prefix, so that no spelling evades it:
`https://VAULT.azure.net//.default`, a path or a port.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from jobs.checks.addresses import IPNetwork
from jobs.formats import matches_wildcard

ANY_HOST = "*"
_BRACKETED = re.compile(r"\[([^\]]*)\](?::(.*))?")
_NAME = re.compile(r"[a-z0-9*_-]+(\.[a-z0-9*_-]+)*")


class Recipient(NamedTuple):
    """Who receives a request. `host`: normalized by `normalize_host`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @staticmethod
    def from_host(host: str, port: int) -> Recipient:
        """Return the recipient for a host as written in a URL or a job."""
        return Recipient(normalize_host(host), port)


def normalize_host(host: str) -> str:
    """Return a host in the form that comparisons use: lower case, no dot at its end, ASCII.

    An address takes its canonical form, however it was spelled (`127.1`, `0x7f000001`, `::ffff:127.0.0.1`).
    """
    text = host.lower().removeprefix("[").removesuffix("]").rstrip(".")
    if not text.isascii():
        text = _to_ascii(text)
    with suppress(ValueError):
        address = ip_address(text.partition("%")[0])
        return str(getattr(address, "ipv4_mapped", None) or address)
    if text[:1].isdecimal() and not re.search(r"\s", text):
        with suppress(OSError, ValueError):
            return socket.inet_ntoa(socket.inet_aton(text))
    return text


def _to_ascii(text: str) -> str:
    """Encode by the rules that httpx uses. A name that is invalid by them stays unchanged, and matches no pattern."""
    import httpx

    try:
        return httpx.URL(scheme="https", host=text).raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        return text


@dataclass(frozen=True, slots=True)
class HostPattern:
    """A rule's hosts. `name`: `*` stands for any text; `network`: in place of a name; `port` None: any."""

    text: str
    name: str = ""
    network: IPNetwork | None = None
    port: int | None = None

    def matches(self, place: Recipient) -> bool:
        """Return whether the pattern includes the recipient."""
        if self.port is not None and place.port != self.port:
            return False
        if self.network is None:
            return matches_wildcard(place.host, self.name)
        with suppress(ValueError):
            return ip_address(place.host) in self.network
        return False

    def __str__(self) -> str:
        return self.text


def parse_host_pattern(text: str) -> HostPattern:
    """Parse a pattern. Raises ValueError with what to write instead."""
    text = text.strip()
    if "://" in text or re.search(r"[\s@?#]", text):
        raise ValueError(f"{text!r} is not a host: write a name such as *.internal, without scheme and path")
    host, port = _split_port(text)
    with suppress(ValueError):
        return HostPattern(text, network=ip_network(host, strict=False), port=port)
    if "/" in host:
        raise ValueError(f"{text!r} is not a host or a network: write api.internal, *.internal or 10.20.0.0/16")
    if host == ANY_HOST:
        return HostPattern(text, name=ANY_HOST, port=port)
    name = _normalize_pattern(host) if "*" in host else normalize_host(host)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is not a host: write a name such as api.internal or *.internal, or an address")
    if "*" in name and not name.rpartition("*")[2].startswith("."):
        raise ValueError(
            f"{text!r} would also match hosts of strangers: after the last * write a dot and the rest of the name, "
            "such as *.internal; networks are written like 10.20.0.0/16"
        )
    return HostPattern(text, name=name, port=port)


def _normalize_pattern(host: str) -> str:
    return ".".join(label if label.isascii() else _to_ascii(label) for label in host.lower().rstrip(".").split("."))


def _split_port(text: str) -> tuple[str, int | None]:
    """Return host and port of `api.internal:8443`, `[::1]:8443` or `::1`. Raises ValueError."""
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is not None:
        host, port = bracketed[1], bracketed[2]
    elif text.count(":") > 1:
        return text, None
    else:
        host, _, port = text.partition(":")
        port = port if ":" in text else None
    if port is None:
        return host, None
    if not (port.isdecimal() and 1 <= int(port) <= 65535):
        raise ValueError(f"{text!r} has no port from 1 to 65535 after the colon")
    return host, int(port)


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


def normalize_secret_name(name: str) -> str:
    """Return the form that variables, files and the vault share: `checkout-token` for `Checkout_Token`."""
    return name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class RequiredTag:
    """A tag that a job must have; `value` None: with any value."""

    key: str
    value: str | None = None

    def __str__(self) -> str:
        return self.key if self.value is None else f"{self.key}:{self.value}"

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Return whether a job with these tags has it."""
        return self.key in tags and self.value in (None, tags[self.key])


def parse_tag(text: str) -> RequiredTag:
    """Parse `team:checkout`, `team=checkout` or `team`. Raises ValueError."""
    key, separator, value = re.fullmatch(r"([^:=]*)([:=]?)(.*)", text.strip(), re.DOTALL).groups()  # type: ignore[union-attr]
    if not key or (separator and not value):
        raise ValueError(f"{text!r} is not a tag: write team:checkout, or team for any value of it")
    return RequiredTag(key, value if separator else None)
