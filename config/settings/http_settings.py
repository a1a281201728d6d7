"""The settings groups `http` and `rate_limits`: the callers of the API, and how often they may call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from config.settings.fields import PositiveDuration, ServiceUrl, split_list
from jobs.checks.binding.names import parse_tag
from jobs.model_base import FrozenModel

OPEN_ENVIRONMENTS = ("dev", "test")
"""Environments whose API needs no authentication on loopback."""
ANY_HOST = "*"
_ROLES_EXAMPLE = '{"Scheduler.Operator": "operator"}'


def _check_tag(text: str) -> str:
    if parse_tag(text).value is None:
        raise ValueError(f"{text!r} is not a tag with a value: write team:payments")
    return text.strip()


class RoleSettings(FrozenModel):
    """The role of an app role, and the tags of the jobs that it may see; without tags, all jobs."""

    role: Literal["metrics", "viewer", "operator", "admin"]
    tags: Annotated[tuple[Annotated[str, AfterValidator(_check_tag)], ...], BeforeValidator(split_list)] = ()


def _expand_grant(value: Any) -> Any:
    """The short form, a role alone, as the long one."""
    return {"role": value} if isinstance(value, str) else value


def _parse_roles(value: Any) -> Any:
    if not isinstance(value, str):
        return {} if value is None else value
    try:
        roles = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error}): write {_ROLES_EXAMPLE}") from None
    if not isinstance(roles, dict):
        raise ValueError(f"is not a JSON object: write {_ROLES_EXAMPLE}")
    return roles


def _check_host_name(text: str) -> str:
    name = text.lower()
    with suppress(ValueError):
        return str(ip_address(name))
    if name != ANY_HOST and not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", name):
        raise ValueError(f"{text!r} is not a host name: write scheduler.example.com, an address, or * for any")
    return name


HostNames = Annotated[tuple[Annotated[str, AfterValidator(_check_host_name)], ...], BeforeValidator(split_list)]


def _check_tenant(text: str) -> str:
    # Tokens of "common" and of domain names cannot be compared with the tenant id that a token contains.
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise ValueError(f"{text!r} is not a tenant id: write its GUID, from `az account show --query tenantId`")
    return text.lower()


Roles = Annotated[Mapping[str, Annotated[RoleSettings, BeforeValidator(_expand_grant)]], BeforeValidator(_parse_roles)]


class EntraSettings(FrozenModel):
    """Bearer tokens of Microsoft Entra ID; off without a tenant and an audience."""

    tenant: Annotated[str, AfterValidator(_check_tenant)] | None = None
    audience: Annotated[tuple[str, ...], BeforeValidator(split_list)] = ()
    """The app's client id, its Application ID URI, or both."""
    authority: ServiceUrl = "https://login.microsoftonline.com"
    roles: Roles = {}
    """By app role. Also for the roles of the platform's authentication."""


class SessionSettings(FrozenModel):
    """Sessions of browsers: the longest life, and how long a session lasts without a request."""

    lifetime: PositiveDuration = 8 * 3600.0
    idle: PositiveDuration = 30 * 60.0


class HttpSettings(FrozenModel):
    """How callers of the API are authenticated (scheduler.app.authentication_setup), and what else it requires."""

    authentication: Literal["auto", "open", "function_keys", "own"] = "auto"
    easy_auth: bool = Field(default=False)
    """Whether the platform authenticates every request (Easy Auth), so that only it can set its headers."""
    behind_proxy: bool = Field(default=False)
    """Whether each request comes from a proxy that appends the client's address to X-Forwarded-For (embedded host)."""
    public_url: ServiceUrl | None = None
    """The address at which users reach the program: messages about incidents link to it."""
    hosts: HostNames = ()
    """Embedded host: host names of requests that are accepted, in addition to loopback's and that of `public_url`."""
    entra: EntraSettings = EntraSettings.model_construct()
    session: SessionSettings = SessionSettings.model_construct()

    @model_validator(mode="after")
    def _require_authentication(self) -> Self:
        if ANY_HOST in self.hosts and self.authentication == "open":
            raise ValueError("hosts must not be * where callers need no credential: list the names")
        return self

    def accepted_hosts(self) -> tuple[str, ...]:
        """Return the configured host names, in lower case."""
        public = urlsplit(self.public_url).hostname if self.public_url else None
        names = (*self.hosts, public) if public else self.hosts
        return tuple(form for name in names for form in _host_forms(name))


def _host_forms(name: str) -> tuple[str, ...]:
    """An IPv6 address stands in brackets in the Host header."""
    return (f"[{name}]",) if ":" in name else (name,)


_RATE = re.compile(r"[1-9][0-9]{0,6}/(second|minute|hour|day)")
OFF = "off"


def _check_rate(value: Any) -> Any:
    """YAML reads `off` as false."""
    if value is False or value == OFF:
        return OFF
    if not isinstance(value, str) or not _RATE.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a rate: write a form such as 600/minute (second, minute, hour, day), or off"
        )
    return value


Rate = Annotated[str, BeforeValidator(_check_rate)]


class RateLimitSettings(FrozenModel):
    """Requests of a principal, and failed authentication of an address; see scheduler.rate_limits."""

    read: Rate = "600/minute"
    operate: Rate = "120/minute"
    manage: Rate = "60/minute"
    failed_authentication: Rate = "20/minute"
