"""The flat form of a job, as existing deployments have it, turned into the full form. Called by config.job_files.

    {"JobName": "databaseHealth", "Endpoint": "https://...", "HttpMethod": "GET", "AuthType": "none",
     "TimeoutSeconds": 10}

Keys count in any case, with or without underscores and hyphens; what is null or an empty text counts as absent.
`JobName` names the job; without it the key in the file does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from jobs.durations import format_duration
from jobs.policies import LONGEST_RUN, RetryPolicy, Timeouts
from jobs.problems import Finding, Path, shown_value, unknown_key, wrong_choice
from jobs.problems.suggestions import fold, names_text, suggest

T = TypeVar("T")

_SPELLINGS: dict[str, tuple[str, ...]] = {
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
_NAMES = {fold(spelling): name for name, others in _SPELLINGS.items() for spelling in (name, *others)}
_ALL_SPELLINGS = tuple(spelling for name, others in _SPELLINGS.items() for spelling in (name, *others))

_LITERAL_SECRETS = {
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
"""Keys, folded, that would hold a secret itself -> the key that names it instead."""

_FULL_FORM_ONLY = frozenset({"check", "expect", "timeout", "retry", "circuit", "overlap"})
_FULL_FORM = _FULL_FORM_ONLY | {"name", "description", "enabled", "schedule", "tags"}

_AUTH_TYPES = {
    "none": "none",
    "basic": "basic",
    "bearer": "bearer",
    "apikey": "api_key",
    "managedidentity": "managed_identity",
}
_BACKOFFS = {"constant": "constant", "fixed": "constant", "linear": "linear", "exponential": "exponential"}


def is_flat(mapping: Mapping[str, Any]) -> bool:
    """Whether a job is written in the flat form: it has a key that only this form knows, and none of only the other."""
    if any(key in _FULL_FORM_ONLY for key in mapping):
        return False
    return any(key not in _FULL_FORM and fold(key) in _NAMES for key in mapping)


@dataclass(frozen=True, slots=True)
class FlatJob:
    """The full form, and the way back to the flat keys for what is found wrong later."""

    definition: dict[str, Any]
    findings: tuple[Finding, ...]
    keys: Mapping[Path, str] = field(default_factory=dict)

    def flat_path(self, path: Path) -> Path:
        """Where a path of the full form stands in the flat form."""
        for end in range(len(path), 0, -1):
            if (key := self.keys.get(path[:end])) is not None:
                return (key, *path[end:]) if path[:end] in _MAPPINGS else (key,)
        return ()


_MAPPINGS: frozenset[Path] = frozenset({("check", "headers"), ("check", "query"), ("tags",)})


def from_flat(name: str, mapping: Mapping[str, Any]) -> FlatJob:
    """Turn one flat job into the full form. Everything wrong is in `findings`; the definition is then incomplete.

    `name` is the job's key in the file, and its name unless JobName says another.
    """
    return _Conversion(mapping).run(name)


class _Wrong(Exception):
    """A value that cannot be read; the finding's message and hint."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = message, hint


class _Conversion:
    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._findings: list[Finding] = []
        self._paths: dict[Path, str] = {}
        self._definition: dict[str, Any] = {}
        self._written: dict[str, str] = {}
        """Name of a flat key -> how it is spelt in this file."""
        self._values: dict[str, Any] = {}
        for key, value in mapping.items():
            self._take(key, value)

    def run(self, name: str) -> FlatJob:
        self._put(("name",), "JobName", _text)
        self._definition.setdefault("name", name)
        self._put(("description",), "Description", _text)
        self._put(("enabled",), "Enabled", _flag)
        self._put(("tags",), "Tags", _tags)
        self._request()
        self._body()
        self._auth()
        self._schedule()
        self._retries_and_deadlines()
        self._expectations()
        self._circuit()
        return FlatJob(self._definition, tuple(self._findings), self._paths)

    # --- Keys

    def _take(self, key: str, value: Any) -> None:
        name = _NAMES.get(fold(key))
        if name is None:
            self._refuse(key, value)
        elif value is None or value == "":
            return
        elif name in self._values and self._values[name] != value:
            self._find(key, f"says the same as {self._written[name]}", "keep one of them")
        else:
            self._values[name], self._written[name] = value, key

    def _refuse(self, key: str, value: Any) -> None:
        instead = _LITERAL_SECRETS.get(fold(key))
        if instead is None:
            self._find(key, *unknown_key(key, _ALL_SPELLINGS if suggest(key, _ALL_SPELLINGS) else _SPELLINGS))
        elif value not in (None, ""):
            self._find(
                key,
                "a secret must not stand in a file",
                f"keep it in Key Vault or in the variable SCHEDULER_SECRET_<NAME>, and write {instead}: <NAME>",
            )

    def _find(self, key: str, message: str, hint: str = "") -> None:
        self._findings.append(Finding((key,), message, hint))

    def _spelt(self, name: str) -> str:
        return self._written.get(name, name)

    def _get(self, name: str, read: Callable[[Any], T]) -> T | None:
        """The value of a flat key, None if absent or wrong (then it is noted)."""
        if name not in self._values:
            return None
        try:
            return read(self._values[name])
        except _Wrong as wrong:
            self._find(self._spelt(name), wrong.message, wrong.hint)
            return None

    def _put(self, path: Path, name: str, read: Callable[[Any], Any]) -> None:
        value = self._get(name, read)
        if value is not None:
            self._set(path, value, name)

    def _set(self, path: Path, value: Any, *names: str) -> None:
        """Put a value into the full form; errors at `path` will be told at the first of `names` that is there."""
        at = self._definition
        for part in path[:-1]:
            at = at.setdefault(str(part), {})
        at[str(path[-1])] = value
        self._paths[path] = self._spelt(next((name for name in names if name in self._values), names[0]))

    # --- Parts

    def _request(self) -> None:
        self._definition["check"] = {"kind": "http"}
        if "Endpoint" not in self._values:
            self._find("Endpoint", "is missing", "the URL to call")
        self._put(("check", "url"), "Endpoint", _text)
        self._put(("check", "method"), "HttpMethod", lambda value: _text(value).upper())
        self._put(("check", "headers"), "Headers", _texts)
        self._put(("check", "query"), "QueryParameters", _texts)
        self._put(("check", "tls", "verify"), "VerifySsl", _flag)
        if self._get("FollowRedirects", _flag) is False:
            self._set(("check", "redirects"), 0, "FollowRedirects")

    def _body(self) -> None:
        content_type = self._get("ContentType", _text)
        body = self._values.get("Body")
        if isinstance(body, str):
            content = {"text": body} | ({"content_type": content_type} if content_type else {})
            self._set(("check", "body"), content, "Body")
            return
        if body is not None:
            self._set(("check", "body"), {"json": body}, "Body")
        headers = self._definition["check"].get("headers", {})
        if content_type and not any(name.lower() == "content-type" for name in headers):
            self._set(("check", "headers"), headers | {"Content-Type": content_type}, "Headers", "ContentType")

    def _auth(self) -> None:
        kind = self._get("AuthType", lambda value: _choice(value, _AUTH_TYPES))
        if kind == "basic":
            self._basic()
        elif kind == "bearer":
            self._secret(("check", "auth", "token"), "TokenSecretName", kind)
        elif kind == "api_key":
            self._secret(("check", "auth", "key"), "ApiKeySecretName", "apikey")
            self._put(("check", "auth", "name"), "ApiKeyHeader", _text)
        elif kind == "managed_identity":
            self._scope()
        elif kind is None and "AuthType" not in self._values:
            self._forgotten_auth_type()
        if kind not in (None, "none"):
            self._set(("check", "auth", "kind"), kind, "AuthType")

    def _basic(self) -> None:
        self._secret(("check", "auth", "password"), "PasswordSecretName", "basic")
        if "UsernameSecretName" in self._values:
            self._put(("check", "auth", "username"), "UsernameSecretName", lambda value: {"secret": _text(value)})
        elif "Username" in self._values:
            self._put(("check", "auth", "username"), "Username", _text)
        else:
            self._find("Username", "is missing", "AuthType basic needs Username or UsernameSecretName")

    def _secret(self, path: Path, name: str, kind: str) -> None:
        """The secret's reference: by its own key, or by the general SecretName."""
        source = name if name in self._values else "SecretName"
        if source not in self._values:
            self._find(name, "is missing", f"AuthType {kind} needs the name of its secret: {name} or SecretName")
        self._put(path, source, lambda value: {"secret": _text(value)})

    def _scope(self) -> None:
        path = ("check", "auth", "scope")
        if "Scope" in self._values:
            self._put(path, "Scope", _text)
        elif "Resource" in self._values:
            self._put(path, "Resource", _scope_of)
        else:
            self._find("Scope", "is missing", "AuthType managedidentity needs Scope, such as api://checkout/.default")

    def _forgotten_auth_type(self) -> None:
        given = [name for name in self._values if name.endswith("SecretName") or name in ("Scope", "Resource")]
        if given:
            self._find(
                "AuthType", f"is missing, and {self._spelt(given[0])} is given", f"one of {names_text(_AUTH_TYPES)}"
            )

    def _schedule(self) -> None:
        if "Schedule" in self._values and "IntervalSeconds" in self._values:
            self._find(
                self._spelt("IntervalSeconds"), f"and {self._spelt('Schedule')} are both given", "keep one of them"
            )
        elif "Schedule" in self._values:
            self._set(("schedule",), self._values["Schedule"], "Schedule")
        elif (interval := self._get("IntervalSeconds", _positive)) is not None:
            self._set(("schedule",), {"every": format_duration(interval)}, "IntervalSeconds")

    def _retries_and_deadlines(self) -> None:
        policy = RetryPolicy()
        retries = self._get("MaxRetries", _retries)
        attempts = policy.attempts if retries is None else retries + 1
        delay = self._get("RetryDelaySeconds", _not_negative)
        initial = policy.initial if delay is None else delay
        longest = max(policy.max, initial)
        if retries is not None:
            self._set(("retry", "attempts"), attempts, "MaxRetries")
        if delay is not None:
            self._set(("retry", "initial"), format_duration(delay), "RetryDelaySeconds")
            self._set(("retry", "max"), format_duration(longest), "RetryDelaySeconds")
        backoff = self._get("RetryBackoff", lambda value: _choice(value, _BACKOFFS))
        if backoff is not None:
            self._set(("retry", "backoff"), backoff, "RetryBackoff")
        waits = sum(_wait(backoff or policy.backoff, initial, longest, number) for number in range(1, attempts))
        self._deadlines(attempts, waits)

    def _deadlines(self, attempts: int, waits: float) -> None:
        """TimeoutSeconds is for one attempt, as it always was; the run's deadline leaves room for all of them."""
        attempt = self._get("TimeoutSeconds", _attempt_deadline)
        if attempt is not None:
            self._set(("timeout", "attempt"), format_duration(attempt), "TimeoutSeconds")
        run = min(LONGEST_RUN, attempts * (attempt or Timeouts().attempt) + waits)
        self._set(("timeout", "run"), format_duration(run), "TimeoutSeconds")

    def _expectations(self) -> None:
        expected: list[dict[str, Any]] = []
        for name, key, read in (
            ("ExpectedStatus", "status", _status),
            ("BodyContains", "body_contains", _text),
            ("MaxResponseTimeMs", "response_time_below", _milliseconds),
        ):
            value = self._get(name, read)
            if value is not None:
                self._paths["expect", len(expected)] = self._spelt(name)
                expected.append({key: value})
        if expected:
            self._definition["expect"] = expected

    def _circuit(self) -> None:
        threshold = self._get("CircuitBreakerThreshold", _whole)
        open_for = self._get("CircuitBreakerTimeoutSeconds", _positive)
        if threshold is not None:
            self._set(("circuit", "consecutive_failures"), threshold, "CircuitBreakerThreshold")
        elif "CircuitBreakerTimeoutSeconds" in self._values and "CircuitBreakerThreshold" not in self._values:
            self._find("CircuitBreakerThreshold", "is missing", "after how many failed runs in a row the circuit opens")
        if threshold is not None and open_for is not None:
            self._set(("circuit", "open_for"), format_duration(open_for), "CircuitBreakerTimeoutSeconds")


def _wait(backoff: str, initial: float, longest: float, number: int) -> float:
    """Seconds that may be waited at most after this attempt; see RetryPolicy."""
    factor = {"constant": 1, "linear": number}.get(backoff, 1 << (number - 1))
    return min(longest, initial * factor)


# --- Values


def _text(value: Any) -> str:
    if isinstance(value, (dict, list, bool)) or value is None:
        raise _Wrong(f"{shown_value(value)} is not a text")
    return str(value)


def _texts(value: Any) -> dict[str, Any]:
    """A mapping of texts; numbers and booleans are written out, references to secrets stay."""
    if not isinstance(value, dict):
        raise _Wrong(f"{shown_value(value)} is not a mapping of names to texts")
    return {key: _plain(one) for key, one in value.items() if one is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


def _tags(value: Any) -> dict[str, Any]:
    """A mapping, or texts such as `team:payments`."""
    if not isinstance(value, list):
        return _texts(value)
    tags = {}
    for one in value:
        name, separator, rest = one.partition(":") if isinstance(one, str) else ("", "", "")
        if not separator or not name:
            raise _Wrong(f"{shown_value(one)} is not a tag", "write it like team:payments, or write a mapping")
        tags[name.strip()] = rest.strip()
    return tags


_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _flag(value: Any) -> bool:
    flag = _FLAGS.get(str(value).strip().lower()) if isinstance(value, (str, bool, int)) else None
    if flag is None:
        raise _Wrong(f"{shown_value(value)} is not true or false")
    return flag


def _number(value: Any) -> float:
    """A finite number, or one written as a text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _Wrong(f"{shown_value(value)} is not a number")
    return number


def _positive(value: Any) -> float:
    number = _number(value)
    if number <= 0:
        raise _Wrong(f"{number:g} must be more than 0")
    return number


def _not_negative(value: Any) -> float:
    number = _number(value)
    if number < 0:
        raise _Wrong(f"{number:g} is too little: at least 0")
    return number


def _whole(value: Any) -> int:
    number = _number(value)
    if not number.is_integer():
        raise _Wrong(f"{number:g} is not a whole number")
    return int(number)


def _retries(value: Any) -> int:
    retries = _whole(value)
    if not 0 <= retries <= _MOST_RETRIES:
        raise _Wrong(f"{retries} is out of range: 0 to {_MOST_RETRIES}")
    return retries


_MOST_RETRIES = 19


def _attempt_deadline(value: Any) -> float:
    seconds = _positive(value)
    if seconds > LONGEST_RUN:
        raise _Wrong(f"{seconds:g} is too much: at most {LONGEST_RUN:g} seconds, the longest that a run may take")
    return seconds


def _milliseconds(value: Any) -> str:
    return format_duration(_positive(value) / 1000)


def _status(value: Any) -> Any:
    """One status, a range, or several: in a list, or separated by commas."""
    if isinstance(value, str) and "," in value:
        return [part.strip() for part in value.split(",")]
    return value


def _scope_of(value: Any) -> str:
    """A resource (`api://checkout`) as the scope that asks for it."""
    resource = _text(value)
    return resource if resource.endswith("/.default") else f"{resource.rstrip('/')}/.default"


def _choice(value: Any, choices: Mapping[str, str]) -> str:
    found = choices.get(fold(value)) if isinstance(value, str) else None
    if found is None:
        raise _Wrong(*wrong_choice(value, tuple(choices)))
    return found
