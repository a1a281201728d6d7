"""Converts one flat job into the full form, part by part. Called through jobs.flat.

The first version of the program looked up secrets by the name of the job, so its files contain no names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from jobs.flat import reading
from jobs.flat.reading import (
    AUTH_TYPES,
    BACKOFFS,
    FLAT_KEY_BY_FOLDED_SPELLING,
    LITERAL_SECRET_KEYS,
    InvalidFlatValue,
    describe_unknown_flat_key,
)
from jobs.formats import format_duration
from jobs.policies import MAX_RUN_TIMEOUT, RetryPolicy, Timeouts
from jobs.problems import MAX_LISTED_PROBLEMS, Finding, KeyPath
from jobs.problems.findings import fold_name, join_names

T = TypeVar("T")


class FlatForm:
    """`definition`: the full form so far; `flat_keys`: the flat key of each path in it."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self.findings: list[Finding] = []
        self.warnings: list[Finding] = []
        self.flat_keys: dict[KeyPath, str] = {}
        self.definition: dict[str, Any] = {}
        self._written: dict[str, str] = {}
        """Name of a flat key -> its spelling in this file."""
        self.values: dict[str, Any] = {}
        self._unlisted_keys = 0
        for key, value in mapping.items():
            self._add(key, value)

    def _add(self, key: str, value: Any) -> None:
        name = FLAT_KEY_BY_FOLDED_SPELLING.get(fold_name(key))
        if name is None:
            self._refuse(key, value)
        elif value is None or value == "":
            return
        elif name in self.values and self.values[name] != value:
            self.add_finding(key, f"is the same key as {self._written[name]}", "remove one of them")
        else:
            self.values[name], self._written[name] = value, key

    def _refuse(self, key: str, value: Any) -> None:
        if len(self.findings) >= MAX_LISTED_PROBLEMS:
            self._unlisted_keys += 1
            return
        instead = LITERAL_SECRET_KEYS.get(fold_name(key))
        if instead is None:
            self.add_finding(key, *describe_unknown_flat_key(key))
        elif value not in (None, ""):
            self.add_finding(
                key,
                "must not contain a secret value",
                f"store it in Key Vault or in the variable SCHEDULER_SECRET_<NAME>, and write {instead}: <NAME>",
            )

    def add_finding(self, key: str, message: str, hint: str = "") -> None:
        self.findings.append(Finding((key,), message, hint))

    def spelling(self, name: str) -> str:
        return self._written.get(name, name)

    def read(self, name: str, read: Callable[[Any], T]) -> T | None:
        """Return the value of a flat key; None if absent or wrong (then there is a finding)."""
        if name not in self.values:
            return None
        try:
            return read(self.values[name])
        except InvalidFlatValue as wrong:
            self.add_finding(self.spelling(name), wrong.message, wrong.hint)
            return None

    def copy(self, path: KeyPath, name: str, read: Callable[[Any], Any]) -> None:
        value = self.read(name, read)
        if value is not None:
            self.set_value(path, value, name)

    def set_value(self, path: KeyPath, value: Any, *names: str) -> None:
        """Set a value in the full form; later findings at `path` refer to the first of `names` that is given."""
        at = self.definition
        for part in path[:-1]:
            at = at.setdefault(str(part), {})
        at[str(path[-1])] = value
        self.flat_keys[path] = self.spelling(next((name for name in names if name in self.values), names[0]))

    def finish(self) -> None:
        """Add the finding about unlisted keys."""
        if self._unlisted_keys:
            self.findings.append(Finding((), f"has {self._unlisted_keys} more unknown keys, which are not listed"))


MAX_SECRET_NAME = 127
"""Characters in the name of a Key Vault secret: letters, digits and dashes."""

_VARIABLE_PREFIX = "SCHEDULER_SECRET_"
"""Must equal the prefix in config.settings.layers; a test compares them."""
_HASH_LENGTH = 8
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
"""An acronym (without the capital that starts the next word) or a word, with trailing digits, or digits."""


def default_secret_name(job: str, purpose: str) -> str:
    """Return the job's name in kebab-case with the purpose as suffix: `externalAPI` gives `external-api-token`.

    Valid in Key Vault for every name. A long name is cut, with a hash that keeps it unique.
    """
    kebab = "-".join(_WORD.findall(job)).lower() or f"job-{_hash(job)}"
    longest = MAX_SECRET_NAME - len(purpose) - 1
    if len(kebab) > longest:
        kebab = f"{kebab[: longest - _HASH_LENGTH - 1].rstrip('-')}-{_hash(job)}"
    return f"{kebab}-{purpose}"


def _hash(job: str) -> str:
    return hashlib.sha256(job.encode(errors="surrogatepass")).hexdigest()[:_HASH_LENGTH]


def secret_variable(name: str) -> str:
    """Return the environment variable of a secret."""
    return _VARIABLE_PREFIX + name.upper().replace("-", "_")


def convert_auth(form: FlatForm) -> None:
    kind = form.read("AuthType", lambda value: reading.read_choice(value, AUTH_TYPES))
    if kind == "basic":
        _convert_basic(form)
    elif kind == "bearer":
        _convert_secret(form, ("check", "auth", "token"), "TokenSecretName", "token")
    elif kind == "api_key":
        _convert_secret(form, ("check", "auth", "key"), "ApiKeySecretName", "api-key")
        form.copy(("check", "auth", "name"), "ApiKeyHeader", reading.read_text)
    elif kind == "managed_identity":
        _convert_scope(form)
    elif kind is None and "AuthType" not in form.values:
        _report_missing_auth_type(form)
    if kind not in (None, "none"):
        form.set_value(("check", "auth", "kind"), kind, "AuthType")


def _convert_basic(form: FlatForm) -> None:
    path = ("check", "auth", "username")
    if "UsernameSecretName" in form.values:
        form.copy(path, "UsernameSecretName", lambda value: {"secret": reading.read_text(value)})
    elif "Username" in form.values:
        form.copy(path, "Username", reading.read_text)
    else:
        _use_default_secret(form, path, "UsernameSecretName", "username", " for the user name")
    _convert_secret(form, ("check", "auth", "password"), "PasswordSecretName", "password")


def _convert_secret(form: FlatForm, path: KeyPath, name: str, purpose: str) -> None:
    """Set the reference of the secret: by its own key, by the general SecretName, or named after the job."""
    source = name if name in form.values else "SecretName"
    if source in form.values:
        form.copy(path, source, lambda value: {"secret": reading.read_text(value)})
    else:
        _use_default_secret(form, path, name, purpose)


def _use_default_secret(form: FlatForm, path: KeyPath, key: str, purpose: str, what: str = "") -> None:
    """Name the secret after the job, and warn about it."""
    name = default_secret_name(str(form.definition["name"]), purpose)
    form.set_value(path, {"secret": name}, key, "AuthType")
    kind = reading.read_text(form.values["AuthType"]).lower()
    message = (
        f"{kind} names no secret{what}, so the job uses the secret {name}: "
        f"the variable {secret_variable(name)}, else the file {name} in secrets_folder, "
        "else that secret in the Key Vault"
    )
    form.warnings.append(Finding((form.spelling("AuthType"),), message, f"write {key}: {name} to confirm this name"))


def _convert_scope(form: FlatForm) -> None:
    path = ("check", "auth", "scope")
    if "Scope" in form.values:
        form.copy(path, "Scope", reading.read_text)
    elif "Resource" in form.values:
        form.copy(path, "Resource", reading.resource_scope)
    else:
        _use_endpoint_as_scope(form, path)


def _use_endpoint_as_scope(form: FlatForm, path: KeyPath) -> None:
    """Use the origin of the endpoint as the scope, and warn about it; without an origin the scope is missing."""
    endpoint = form.values.get("Endpoint")
    origin = reading.url_origin(endpoint) if isinstance(endpoint, str) else None
    if origin is None:
        form.add_finding("Scope", "is missing", "AuthType managedidentity needs Scope, such as api://checkout/.default")
        return
    scope = reading.resource_scope(origin)
    form.set_value(path, scope, "Scope", "AuthType")
    message = f"managedidentity names no scope, so the token is for the endpoint itself: {scope}"
    form.warnings.append(Finding((form.spelling("AuthType"),), message, f"write Scope: {scope} to confirm it"))


def _report_missing_auth_type(form: FlatForm) -> None:
    given = [name for name in form.values if name.endswith("SecretName") or name in ("Scope", "Resource")]
    if given:
        form.add_finding(
            "AuthType", f"is missing, and {form.spelling(given[0])} is given", f"one of {join_names(AUTH_TYPES)}"
        )


@dataclass(frozen=True, slots=True)
class FlatJob:
    """The full form, and the mapping back to flat keys for later findings."""

    definition: dict[str, Any]
    findings: tuple[Finding, ...]
    flat_keys: Mapping[KeyPath, str] = field(default_factory=dict)
    warnings: tuple[Finding, ...] = ()
    """Warnings with flat keys; the job can be used."""

    def to_flat_path(self, path: KeyPath) -> KeyPath:
        """Translate a path of the full form to the flat form."""
        for end in range(len(path), 0, -1):
            if (key := self.flat_keys.get(path[:end])) is not None:
                return (key, *path[end:]) if path[:end] in _MAPPINGS else (key,)
        return ()


_JSON = "application/json"

_MAPPINGS: frozenset[KeyPath] = frozenset({("check", "headers"), ("check", "query"), ("tags",)})


def convert_flat_job(name: str, mapping: Mapping[str, Any]) -> FlatJob:
    """Convert one flat job into the full form. All problems are in `findings`; the definition is incomplete then.

    `name`: the job's key in the file, and its name unless JobName is set.
    """
    form = FlatForm(mapping)
    form.copy(("name",), "JobName", reading.read_text)
    form.definition.setdefault("name", name)
    form.copy(("description",), "Description", reading.read_text)
    form.copy(("enabled",), "Enabled", reading.read_flag)
    form.copy(("tags",), "Tags", reading.read_tags)
    for convert in _PARTS:
        convert(form)
    form.finish()
    return FlatJob(form.definition, tuple(form.findings), form.flat_keys, tuple(form.warnings))


def _convert_request(form: FlatForm) -> None:
    form.definition["check"] = {"kind": "http"}
    if "Endpoint" not in form.values:
        form.add_finding("Endpoint", "is missing", "the URL to call")
    form.copy(("check", "url"), "Endpoint", reading.read_text)
    form.copy(("check", "method"), "HttpMethod", lambda value: reading.read_text(value).upper())
    form.copy(("check", "headers"), "Headers", reading.read_texts)
    form.copy(("check", "query"), "QueryParameters", reading.read_texts)
    form.copy(("check", "tls", "verify"), "VerifySsl", reading.read_flag)
    form.copy(("check", "allow_plain_http"), "AllowPlainHttp", reading.read_flag)
    if form.read("FollowRedirects", reading.read_flag) is False:
        form.set_value(("check", "redirects"), 0, "FollowRedirects")


def _convert_body(form: FlatForm) -> None:
    content_type = form.read("ContentType", reading.read_text)
    body = form.values.get("Body")
    if isinstance(body, str):
        content_type = content_type or (_JSON if reading.is_json_document(body) else None)
        content = {"text": body} | ({"content_type": content_type} if content_type else {})
        form.set_value(("check", "body"), content, "Body")
        return
    if body is not None:
        form.set_value(("check", "body"), {"json": body}, "Body")
    headers = form.definition["check"].get("headers", {})
    if content_type and not any(name.lower() == "content-type" for name in headers):
        form.set_value(("check", "headers"), headers | {"Content-Type": content_type}, "Headers", "ContentType")


def _convert_schedule(form: FlatForm) -> None:
    if "Schedule" in form.values and "IntervalSeconds" in form.values:
        form.add_finding(
            form.spelling("IntervalSeconds"), f"and {form.spelling('Schedule')} are both given", "keep one of them"
        )
    elif "Schedule" in form.values:
        form.set_value(("schedule",), _expression(form, form.values["Schedule"]), "Schedule")
    elif "TimeZone" in form.values:
        form.add_finding(form.spelling("TimeZone"), "belongs to Schedule", "an interval is the same in every zone")
    elif (interval := form.read("IntervalSeconds", reading.read_positive)) is not None:
        form.set_value(("schedule",), {"every": format_duration(interval)}, "IntervalSeconds")


def _expression(form: FlatForm, schedule: Any) -> Any:
    """The schedule on the clock of the zone that the job names, if it does."""
    zone = form.read("TimeZone", reading.read_zone_name)
    if zone is None:
        return schedule
    return reading.apply_time_zone(schedule, zone)


def _convert_retries(form: FlatForm) -> None:
    policy = RetryPolicy()
    retries = form.read("MaxRetries", reading.read_retries)
    attempts = policy.attempts if retries is None else retries + 1
    delay = form.read("RetryDelaySeconds", reading.read_not_negative)
    initial = policy.initial if delay is None else delay
    longest = max(policy.max, initial)
    if retries is not None:
        form.set_value(("retry", "attempts"), attempts, "MaxRetries")
    if delay is not None:
        form.set_value(("retry", "initial"), format_duration(delay), "RetryDelaySeconds")
        form.set_value(("retry", "max"), format_duration(longest), "RetryDelaySeconds")
    backoff = form.read("RetryBackoff", lambda value: reading.read_choice(value, BACKOFFS))
    if backoff is not None:
        form.set_value(("retry", "backoff"), backoff, "RetryBackoff")
    waits = sum(_wait(backoff or policy.backoff, initial, longest, number) for number in range(1, attempts))
    _convert_deadlines(form, attempts, waits)


def _convert_deadlines(form: FlatForm, attempts: int, waits: float) -> None:
    """TimeoutSeconds limits one attempt; the deadline of the run has room for all attempts."""
    attempt = form.read("TimeoutSeconds", reading.read_attempt_deadline)
    if attempt is not None:
        form.set_value(("timeout", "attempt"), format_duration(attempt), "TimeoutSeconds")
    run = min(MAX_RUN_TIMEOUT, attempts * (attempt or Timeouts().attempt) + waits)
    form.set_value(("timeout", "run"), format_duration(run), "TimeoutSeconds")


def _convert_expectations(form: FlatForm) -> None:
    expected: list[dict[str, Any]] = []
    for name, key, read in (
        ("ExpectedStatus", "status", reading.read_status),
        ("BodyContains", "body_contains", reading.read_text),
        ("MaxResponseTimeMs", "response_time_below", reading.read_milliseconds),
    ):
        value = form.read(name, read)
        if value is not None:
            form.flat_keys["expect", len(expected)] = form.spelling(name)
            expected.append({key: value})
    if expected:
        form.definition["expect"] = expected


def _convert_circuit(form: FlatForm) -> None:
    threshold = form.read("CircuitBreakerThreshold", reading.read_whole)
    open_for = form.read("CircuitBreakerTimeoutSeconds", reading.read_positive)
    if threshold is not None:
        form.set_value(("circuit", "consecutive_failures"), threshold, "CircuitBreakerThreshold")
    elif "CircuitBreakerTimeoutSeconds" in form.values and "CircuitBreakerThreshold" not in form.values:
        form.add_finding(
            "CircuitBreakerThreshold", "is missing", "the number of consecutive failed runs that open the circuit"
        )
    if threshold is not None and open_for is not None:
        form.set_value(("circuit", "open_for"), format_duration(open_for), "CircuitBreakerTimeoutSeconds")


def _wait(backoff: str, initial: float, longest: float, number: int) -> float:
    """Return the longest wait after this attempt, in seconds; see RetryPolicy."""
    factor = {"constant": 1, "linear": number}.get(backoff, 1 << (number - 1))
    return min(longest, initial * factor)


_PARTS = (
    _convert_request,
    _convert_body,
    convert_auth,
    _convert_schedule,
    _convert_retries,
    _convert_expectations,
    _convert_circuit,
)
"""In this order: each reads the parts before it."""
