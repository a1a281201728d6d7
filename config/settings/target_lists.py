"""Lists of the settings groups `targets` and `self_checks`: in YAML, or with commas in a variable."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from jobs.checks.addresses import find_forbidden_kind
from jobs.problems.findings import strip_url_secrets

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
