"""Types of single settings with their validation, of lists (in YAML, or with commas in a variable), and of the rules of
the groups `secrets` and `identity`: which hosts may get which secret, and which token.

A rule is a list of hosts, or a mapping with `hosts` and `tags`. An environment variable holds all rules as JSON.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, SecretStr, ValidationInfo

from jobs.checks.addresses import find_forbidden_kind
from jobs.checks.binding.names import normalize_scope, normalize_secret_name, parse_host_pattern, parse_tag
from jobs.errors import ScheduleError
from jobs.model_base import Duration, FrozenModel
from jobs.problems.findings import strip_url_secrets
from jobs.schedules import Schedule, parse_schedule

STORE_BACKENDS: Mapping[str, str] = {
    "sqlite": "scheduler.stores.sqlite.store",
    "azure": "scheduler.stores.azure.opening",
}
"""The module of each backend, by the text before the colon of the setting. Imported when the store is opened."""


def check_store(text: str) -> str:
    kind, has_kind, _ = text.partition(":")
    if text == "azure" or (text.startswith("sqlite:///") and text != "sqlite:///"):
        return text
    if has_kind and kind in STORE_BACKENDS.keys() - {"azure", "sqlite"}:
        return text
    raise ValueError(f"{text!r} is not a store: write sqlite:///path/to/file.db or azure")


def check_address_setting(host: str, info: ValidationInfo) -> str:
    return check_address(host, allow_remote=bool(info.data.get("allow_remote")))


MAX_PROCESSES = 64
"""Processes of the embedded host that execute runs."""


def parse_processes(value: object) -> int | Literal["auto"]:
    """Return the number of processes, or `auto`. Raises ValueError."""
    text = str(value)
    if text == "auto":
        return "auto"
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_PROCESSES:
        return int(text)
    raise ValueError(f"expected auto or a number from 1 to {MAX_PROCESSES}, got {text!r}")


def check_address(host: str, *, allow_remote: bool) -> str:
    """Return the address to listen on. Raises ValueError."""
    if host in LOOPBACK_HOSTS:
        return host
    if not allow_remote:
        raise ValueError(
            "the API is served on loopback only: 127.0.0.1, ::1 or localhost; allow_remote allows other addresses, "
            "where every caller needs an API key or a token"
        )
    try:
        return str(ip_address(host))
    except ValueError:
        raise ValueError(f"{host!r} is not an address: write an IP address such as 0.0.0.0, or localhost") from None


LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")


def _check_service_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{strip_url_secrets(text)!r} is not a URL: {error}") from None
    loopback = parts.hostname in LOOPBACK_HOSTS
    if not parts.hostname or parts.scheme not in (("https", "http") if loopback else ("https",)):
        raise ValueError(f"{strip_url_secrets(text)!r} is not an https URL")
    return text


ServiceUrl = Annotated[str, AfterValidator(_check_service_url)]
"""https; plain http on loopback only."""


def to_lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def reject_query(url: str) -> str:
    """A signature in a setting would appear in the location of every job."""
    if urlsplit(url).query or urlsplit(url).fragment:
        raise ValueError("must not have a query: it is read with the app's identity or the storage connection string")
    return url


def check_ping_url(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not a URL: write https://host/path")
    return value


def check_storage_connection(value: SecretStr) -> SecretStr:
    """Microsoft's client would reject it later, when it is opened or first signs a request."""
    text = value.get_secret_value().strip().rstrip(";")
    parts = {key.strip().lower(): rest for key, _, rest in (part.partition("=") for part in text.split(";"))}
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        return value
    named = "accountname" in parts or {"tableendpoint", "queueendpoint"} <= parts.keys()
    signed = "sharedaccesssignature" in parts or ("accountname" in parts and _is_base64(parts.get("accountkey", "")))
    if not (named and signed):
        raise ValueError(
            "is not the connection string of a storage account: "
            "DefaultEndpointsProtocol=https;AccountName=...;AccountKey=...;EndpointSuffix=core.windows.net"
        )
    return value


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


def _parse_default_schedule(value: Any) -> Schedule | None:
    if value is None or (isinstance(value, str) and value.strip().lower() == "none"):
        return None
    try:
        schedule = parse_schedule(value)
    except ScheduleError as error:
        raise ValueError(f"{error}; or none, for flat jobs that run on demand") from None
    if schedule.next_after(datetime.now(UTC)) is None:
        raise ValueError(f"{schedule.text!r} is never due: write another schedule, or none")
    return schedule


DefaultScheduleField = Annotated[
    Schedule | None,
    PlainValidator(_parse_default_schedule),
    PlainSerializer(lambda schedule: schedule and schedule.spec, return_type=Any),
]
"""Any schedule that a job may have; None, or the text `none`, for none."""


PositiveDuration = Annotated[Duration, Field(gt=0)]


_TCP_REFERENCE = re.compile(r"tcp://(?:[^\s/:\[\]@]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})")


def split_list(value: Any) -> Any:
    """A text with commas as a list; a number alone as a list of one; null as none."""
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, int) else value


def _parse_network(value: Any) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = str(value).strip()
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a network: write it like 10.0.0.0/8 or fd00::/8, or an address alone"
        ) from None
    if "/" in text and ip_address(text.partition("/")[0]) != network.network_address:
        raise ValueError(
            f"{text!r} is not the first address of its network: write {network}, or the address without a prefix"
        )
    if (nature := find_forbidden_kind(network)) is not None:
        raise ValueError(f"{text!r} is never allowed: {nature.description}")
    return network


def _check_host(text: str) -> str:
    if not re.fullmatch(r"[^\s/@?#]+", text):
        raise ValueError(
            f"{text!r} is not a host: write a name, or a pattern such as *.internal, without scheme and path"
        )
    return text


def _check_folder(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"{str(path)!r} is not an absolute path: write it like /etc/ssl/certs")
    return path


def _port_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_port(text: str) -> str:
    low, _, high = text.replace(" ", "").partition("-")
    if not (low.isdecimal() and (high or low).isdecimal() and 1 <= int(low) <= int(high or low) <= 65535):
        raise ValueError(f"{text!r} is not a port from 1 to 65535: write it like 443, or 8000-8999")
    return f"{low}-{high}" if high else low


def parse_port_range(text: str) -> tuple[int, int]:
    """`443` as (443, 443), `8000-8999` as (8000, 8999); a text that was validated."""
    low, _, high = text.partition("-")
    return int(low), int(high or low)


_Network = Annotated[
    IPv4Network | IPv6Network, BeforeValidator(_parse_network), PlainSerializer(str, return_type=str, when_used="json")
]
_Host = Annotated[str, AfterValidator(_check_host)]
_Port = Annotated[str, BeforeValidator(_port_as_text), AfterValidator(_check_port)]

_Folder = Annotated[Path, AfterValidator(_check_folder)]


def _check_reference(text: str) -> str:
    found = _TCP_REFERENCE.fullmatch(text)
    if found is not None and 0 < int(found["port"]) < 65536:
        return text
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        is_url = False
    if is_url and not (parts.username or parts.query or parts.fragment):
        return text
    raise ValueError(f"{strip_url_secrets(text)!r} is not a reference: write https://host/path or tcp://host:443")


Networks = Annotated[tuple[_Network, ...], BeforeValidator(split_list)]
Hosts = Annotated[tuple[_Host, ...], BeforeValidator(split_list)]
Ports = Annotated[tuple[_Port, ...], BeforeValidator(split_list)]
Folders = Annotated[tuple[_Folder, ...], BeforeValidator(split_list)]
Schemes = Annotated[tuple[Literal["http", "https"], ...], BeforeValidator(split_list)]
References = Annotated[
    tuple[Annotated[str, AfterValidator(_check_reference)], ...], BeforeValidator(split_list), Field(max_length=10)
]


_SECRET_NAME = re.compile(r"[A-Za-z0-9*][A-Za-z0-9*_-]*")
_RULES_EXAMPLE = '{"checkout-token": ["*.internal"]}'


def _as_list(value: Any) -> Any:
    """A text alone as a list of one."""
    return [value] if isinstance(value, str) else value


def _check_host_pattern(text: str) -> str:
    parse_host_pattern(text)
    return text.strip()


def _check_tag(text: str) -> str:
    parse_tag(text)
    return text.strip()


class HostRule(FrozenModel):
    """The hosts that may get it, and the tags of which a job needs one; without tags, any job may send it."""

    hosts: Annotated[tuple[Annotated[str, AfterValidator(_check_host_pattern)], ...], BeforeValidator(_as_list)]
    tags: Annotated[tuple[Annotated[str, AfterValidator(_check_tag)], ...], BeforeValidator(_as_list)] = ()


def _expand_rule(value: Any) -> Any:
    """The short form, hosts alone, as the long one."""
    return value if isinstance(value, Mapping | HostRule) else {"hosts": value}


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _parse_rules(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        rules = json.loads(value, object_pairs_hook=_unique_object)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error}): write {_RULES_EXAMPLE}") from None
    if not isinstance(rules, dict):
        raise ValueError(f"is not a JSON object: write {_RULES_EXAMPLE}")
    return rules


def _check_secret_names(rules: Mapping[str, HostRule] | None) -> Mapping[str, HostRule] | None:
    _reject_equal_names(rules, normalize_secret_name)
    for name in rules or ():
        if not _SECRET_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a secret's name: letters, digits, - and _; * stands for any text")
    return rules


def _check_scopes(rules: Mapping[str, HostRule] | None) -> Mapping[str, HostRule] | None:
    _reject_equal_names(rules, normalize_scope)
    for scope in rules or ():
        if not normalize_scope(scope) or re.search(r"\s", scope):
            raise ValueError(f"{scope!r} is not a scope: write it as jobs do, such as api://checkout/.default")
    return rules


def _reject_equal_names(rules: Mapping[str, HostRule] | None, plain: Callable[[str], str]) -> None:
    """Two rules for one thing, by two spellings: it would not be clear which of them counts."""
    spelt: dict[str, str] = {}
    for name in rules or ():
        other = spelt.setdefault(plain(name), name)
        if other != name:
            raise ValueError(f"{name!r} and {other!r} name the same: keep one of them")


_HostRules = Mapping[str, Annotated[HostRule, BeforeValidator(_expand_rule)]]
SecretRules = Annotated[_HostRules | None, BeforeValidator(_parse_rules), AfterValidator(_check_secret_names)]
ScopeRules = Annotated[_HostRules | None, BeforeValidator(_parse_rules), AfterValidator(_check_scopes)]
Unbound = Literal["allow", "deny"]


class SecretSettings(FrozenModel):
    """Which hosts may get the secrets that jobs name. `unbound`: whether one without a rule may go anywhere."""

    unbound: Unbound = "allow"
    allow: SecretRules = None


class IdentitySettings(FrozenModel):
    """Which hosts may get an access token of the app's identity. Without a rule, one may go to its scope's own host."""

    unbound: Unbound = "allow"
    allow: ScopeRules = None
