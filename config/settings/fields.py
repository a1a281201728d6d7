"""Types of single settings with their validation. Used by config.settings.model."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationInfo,
)

from config.settings.store_backends import STORE_BACKENDS
from jobs.errors import ScheduleError
from jobs.model_base import Duration
from jobs.problems.findings import strip_url_secrets
from jobs.schedules import Schedule, parse_schedule


def check_store(text: str) -> str:
    kind, has_kind, _ = text.partition(":")
    if text == "azure" or (text.startswith("sqlite:///") and text != "sqlite:///"):
        return text
    if has_kind and kind in STORE_BACKENDS.keys() - {"azure", "sqlite"}:
        return text
    raise ValueError(f"{text!r} is not a store: write sqlite:///path/to/file.db or azure")


def check_address_setting(host: str, info: ValidationInfo) -> str:
    return check_address(host, allow_remote=bool(info.data.get("allow_remote")))


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
