"""The keys of the flat form, in every spelling, and its values, which are numbers or texts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jobs.errors import ScheduleError
from jobs.formats import format_duration
from jobs.policies import MAX_RUN_TIMEOUT
from jobs.problems import describe_unknown_key, describe_wrong_choice, format_value
from jobs.problems.findings import fold_name, suggest_name
from jobs.schedules import load_time_zone

FLAT_KEY_SPELLINGS: dict[str, tuple[str, ...]] = {
    "JobName": ("Name",),
    "Description": (),
    "Enabled": ("IsEnabled",),
    "Tags": (),
    "Endpoint": ("Url", "EndpointUrl"),
    "HttpMethod": ("Method",),
    "Headers": (),
    "QueryParameters": ("QueryParams", "Query"),
    "Body": ("RequestBody",),
    "ContentType": (),
    "VerifySsl": ("SslVerify", "VerifyTls"),
    "FollowRedirects": (),
    "AllowPlainHttp": (),
    "AuthType": ("AuthenticationType",),
    "SecretName": ("AuthSecretName", "KeyVaultSecretName"),
    "TokenSecretName": ("BearerTokenSecretName",),
    "ApiKeySecretName": (),
    "ApiKeyHeader": ("ApiKeyHeaderName",),
    "PasswordSecretName": (),
    "Username": ("UserName",),
    "UsernameSecretName": (),
    "Scope": ("AuthScope",),
    "Resource": ("AuthResource",),
    "Schedule": ("CronExpression", "Cron", "ScheduleExpression"),
    "TimeZone": ("TimeZoneId", "ScheduleTimeZone"),
    "IntervalSeconds": (),
    "TimeoutSeconds": ("Timeout",),
    "MaxRetries": ("RetryCount", "RetryAttempts"),
    "RetryDelaySeconds": (),
    "RetryBackoff": ("BackoffType",),
    "ExpectedStatus": ("ExpectedStatusCode", "ExpectedStatusCodes"),
    "BodyContains": ("ExpectedBody",),
    "MaxResponseTimeMs": (),
    "CircuitBreakerThreshold": (),
    "CircuitBreakerTimeoutSeconds": (),
}
FLAT_KEY_BY_FOLDED_SPELLING = {
    fold_name(spelling): name for name, others in FLAT_KEY_SPELLINGS.items() for spelling in (name, *others)
}
ALL_FLAT_SPELLINGS = tuple(spelling for name, others in FLAT_KEY_SPELLINGS.items() for spelling in (name, *others))

LITERAL_SECRET_KEYS = {
    "password": "PasswordSecretName",
    "token": "TokenSecretName",
    "bearertoken": "TokenSecretName",
    "accesstoken": "TokenSecretName",
    "authtoken": "TokenSecretName",
    "apikey": "ApiKeySecretName",
    "key": "ApiKeySecretName",
    "secret": "SecretName",
    "secretvalue": "SecretName",
    "clientsecret": "SecretName",
}
"""Keys, folded, that would contain a secret value -> the key that references it instead."""

_FULL_FORM_EXPECTATIONS = frozenset({"expect", "conditions", "assertions", "expectations"})
"""Keys, folded, that define expectations in other forms."""
FULL_FORM_ONLY = frozenset(
    {
        "check",
        "expect",
        "timeout",
        "retry",
        "circuit",
        "overlap",
        "concurrency_group",
        "telemetry",
        "alerts",
        "alert_parent",
        "preset",
    }
)
UNMISTAKABLE = frozenset({"jobname", "endpoint", "endpointurl", "httpmethod", "authtype"})
FULL_FORM = FULL_FORM_ONLY | {"name", "description", "enabled", "schedule", "tags"}


def is_flat_job(mapping: Mapping[str, Any]) -> bool:
    """Whether a job has the flat form: it has a key of only this form, and no key of only the full form.

    A key with a mapping does not count: it can be a job named `body` or `query`. An unmistakable key of the flat form,
    such as Endpoint, decides if there is no check.
    """
    if "check" not in mapping and any(
        fold_name(key) in UNMISTAKABLE and isinstance(mapping[key], str) for key in mapping
    ):
        return True
    if any(key in FULL_FORM_ONLY for key in mapping):
        return False
    return any(key not in FULL_FORM and not isinstance(mapping[key], dict) and is_flat_key(key) for key in mapping)


def is_flat_key(key: str) -> bool:
    """Whether the flat form has this key, in any spelling."""
    return fold_name(key) in FLAT_KEY_BY_FOLDED_SPELLING


def describe_unknown_flat_key(key: str) -> tuple[str, str]:
    """Return message and hint for an unknown key of the flat form."""
    if fold_name(key) in _FULL_FORM_EXPECTATIONS:
        return "unknown key", "write ExpectedStatus, BodyContains or MaxResponseTimeMs"
    return describe_unknown_key(
        key, ALL_FLAT_SPELLINGS if suggest_name(key, ALL_FLAT_SPELLINGS) else FLAT_KEY_SPELLINGS
    )


AUTH_TYPES = {
    "none": "none",
    "basic": "basic",
    "bearer": "bearer",
    "apikey": "api_key",
    "managedidentity": "managed_identity",
}
_MAX_NUMBER = 1e15
"""Largest number, so that computed values stay finite."""
_MAX_RETRIES = 19
"""The limit of attempts in RetryPolicy, without the first one."""

BACKOFFS = {"constant": "constant", "fixed": "constant", "linear": "linear", "exponential": "exponential"}


class InvalidFlatValue(Exception):
    """A value is invalid; has message and hint of the finding."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = message, hint


def read_text(value: Any) -> str:
    if isinstance(value, (dict, list, bool)) or value is None:
        raise InvalidFlatValue(f"{format_value(value)} is not a text")
    return str(value)


def read_zone_name(value: Any) -> str:
    try:
        return load_time_zone(value).name
    except ScheduleError as error:
        raise InvalidFlatValue(error.reason) from None


def apply_time_zone(schedule: Any, zone: str) -> Any:
    """Add the time zone to a schedule, or to each of several schedules that has none."""
    if isinstance(schedule, list):
        return [apply_time_zone(one, zone) for one in schedule]
    return {"timezone": zone, **schedule} if isinstance(schedule, dict) else {"cron": schedule, "timezone": zone}


def read_texts(value: Any) -> dict[str, Any]:
    """Read a mapping of texts; numbers and booleans become texts, references to secrets stay."""
    if not isinstance(value, dict):
        raise InvalidFlatValue(f"{format_value(value)} is not a mapping of names to texts")
    return {key: _plain(one) for key, one in value.items() if one is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


def is_json_document(text: str) -> bool:
    """Whether a text is a JSON object or array."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def read_tags(value: Any) -> dict[str, Any]:
    """Read a mapping, or texts such as `team:payments`."""
    if not isinstance(value, list):
        return read_texts(value)
    tags = {}
    for one in value:
        name, separator, rest = one.partition(":") if isinstance(one, str) else ("", "", "")
        if not separator or not name:
            raise InvalidFlatValue(
                f"{format_value(one)} is not a tag", "write it like team:payments, or write a mapping"
            )
        tags[name.strip()] = rest.strip()
    return tags


_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def read_flag(value: Any) -> bool:
    known = _FLAGS.get(str(value).strip().lower()) if isinstance(value, (str, bool)) or value in (0, 1) else None
    if known is None:
        raise InvalidFlatValue(f"{format_value(value)} is not true or false")
    return known


def read_number(value: Any) -> float:
    """Read a finite number, also from a text."""
    try:
        read = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        read = math.nan
    if not math.isfinite(read):
        has_unit = isinstance(value, str) and re.fullmatch(r"\s*\d+(?:\.\d+)?\s*[a-zA-Z]+\s*", value) is not None
        raise InvalidFlatValue(
            f"{format_value(value)} is not a number", "write the number without a unit" if has_unit else ""
        )
    if abs(read) > _MAX_NUMBER:
        raise InvalidFlatValue(f"{read:g} is too large")
    return read


def read_positive(value: Any) -> float:
    read = read_number(value)
    if read <= 0:
        raise InvalidFlatValue(f"{read:g} must be more than 0")
    return read


def read_not_negative(value: Any) -> float:
    read = read_number(value)
    if read < 0:
        raise InvalidFlatValue(f"{read:g} is too small: at least 0")
    return read


def read_whole(value: Any) -> int:
    read = read_number(value)
    if not read.is_integer():
        raise InvalidFlatValue(f"{read:g} is not a whole number")
    return int(read)


def read_retries(value: Any) -> int:
    read = read_whole(value)
    if not 0 <= read <= _MAX_RETRIES:
        raise InvalidFlatValue(f"{read} is out of range: 0 to {_MAX_RETRIES}")
    return read


def read_attempt_deadline(value: Any) -> float:
    seconds = read_positive(value)
    if seconds > MAX_RUN_TIMEOUT:
        raise InvalidFlatValue(f"{seconds:g} is too large: at most {MAX_RUN_TIMEOUT:g} seconds, the limit of a run")
    return seconds


def read_milliseconds(value: Any) -> str:
    return format_duration(read_positive(value) / 1000)


def read_status(value: Any) -> Any:
    """Read one status, a range, or several: a list, or separated by commas."""
    if isinstance(value, str) and "," in value:
        return [part.strip() for part in value.split(",")]
    return value


def resource_scope(value: Any) -> str:
    """Return the scope of a resource such as `api://checkout`."""
    resource = read_text(value)
    return resource if resource.endswith("/.default") else f"{resource.rstrip('/')}/.default"


def read_choice(value: Any, choices: Mapping[str, str]) -> str:
    found = choices.get(fold_name(value)) if isinstance(value, str) else None
    if found is None:
        raise InvalidFlatValue(*describe_wrong_choice(value, tuple(choices)))
    return found


def url_origin(url: str) -> str | None:
    """Return scheme, host and port of a URL, without a user name; None if it has no host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"
