"""The keys of the flat form, in every spelling. Used by the other modules of jobs.flat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.problems import describe_unknown_key
from jobs.problems.suggestions import fold_name, suggest_name

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
