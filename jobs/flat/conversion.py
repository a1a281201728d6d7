"""Converts one flat job into the full form, part by part. Called through jobs.flat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from jobs.flat import value_reading
from jobs.flat.keys import FLAT_KEY_BY_FOLDED_SPELLING, LITERAL_SECRET_KEYS, describe_unknown_flat_key
from jobs.flat.secret_names import default_secret_name, secret_variable
from jobs.flat.value_reading import AUTH_TYPES, BACKOFFS, InvalidFlatValue
from jobs.formats.durations import format_duration
from jobs.policies import LONGEST_RUN_TIMEOUT, RetryPolicy, Timeouts
from jobs.problems import Finding, KeyPath
from jobs.problems.findings import MOST_LISTED_PROBLEMS
from jobs.problems.suggestions import fold_name, join_names

T = TypeVar("T")


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
    return _Conversion(mapping).run(name)


class _Conversion:
    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._findings: list[Finding] = []
        self._warnings: list[Finding] = []
        self._paths: dict[KeyPath, str] = {}
        self._definition: dict[str, Any] = {}
        self._written: dict[str, str] = {}
        """Name of a flat key -> its spelling in this file."""
        self._values: dict[str, Any] = {}
        self._left_out = 0
        for key, value in mapping.items():
            self._take(key, value)

    def run(self, name: str) -> FlatJob:
        self._put(("name",), "JobName", value_reading.read_text)
        self._definition.setdefault("name", name)
        self._put(("description",), "Description", value_reading.read_text)
        self._put(("enabled",), "Enabled", value_reading.read_flag)
        self._put(("tags",), "Tags", value_reading.read_tags)
        self._request()
        self._body()
        self._auth()
        self._schedule()
        self._retries_and_deadlines()
        self._expectations()
        self._circuit()
        if self._left_out:
            self._findings.append(Finding((), f"has {self._left_out} more unknown keys, which are not listed"))
        return FlatJob(self._definition, tuple(self._findings), self._paths, tuple(self._warnings))

    # --- Keys

    def _take(self, key: str, value: Any) -> None:
        name = FLAT_KEY_BY_FOLDED_SPELLING.get(fold_name(key))
        if name is None:
            self._refuse(key, value)
        elif value is None or value == "":
            return
        elif name in self._values and self._values[name] != value:
            self._find(key, f"is the same key as {self._written[name]}", "remove one of them")
        else:
            self._values[name], self._written[name] = value, key

    def _refuse(self, key: str, value: Any) -> None:
        if len(self._findings) >= MOST_LISTED_PROBLEMS:
            self._left_out += 1
            return
        instead = LITERAL_SECRET_KEYS.get(fold_name(key))
        if instead is None:
            self._find(key, *describe_unknown_flat_key(key))
        elif value not in (None, ""):
            self._find(
                key,
                "must not contain a secret value",
                f"store it in Key Vault or in the variable SCHEDULER_SECRET_<NAME>, and write {instead}: <NAME>",
            )

    def _find(self, key: str, message: str, hint: str = "") -> None:
        self._findings.append(Finding((key,), message, hint))

    def _spelt(self, name: str) -> str:
        return self._written.get(name, name)

    def _get(self, name: str, read: Callable[[Any], T]) -> T | None:
        """Return the value of a flat key; None if absent or wrong (then there is a finding)."""
        if name not in self._values:
            return None
        try:
            return read(self._values[name])
        except InvalidFlatValue as wrong:
            self._find(self._spelt(name), wrong.message, wrong.hint)
            return None

    def _put(self, path: KeyPath, name: str, read: Callable[[Any], Any]) -> None:
        value = self._get(name, read)
        if value is not None:
            self._set(path, value, name)

    def _set(self, path: KeyPath, value: Any, *names: str) -> None:
        """Set a value in the full form; later findings at `path` refer to the first of `names` that is given."""
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
        self._put(("check", "url"), "Endpoint", value_reading.read_text)
        self._put(("check", "method"), "HttpMethod", lambda value: value_reading.read_text(value).upper())
        self._put(("check", "headers"), "Headers", value_reading.read_texts)
        self._put(("check", "query"), "QueryParameters", value_reading.read_texts)
        self._put(("check", "tls", "verify"), "VerifySsl", value_reading.read_flag)
        self._put(("check", "allow_plain_http"), "AllowPlainHttp", value_reading.read_flag)
        if self._get("FollowRedirects", value_reading.read_flag) is False:
            self._set(("check", "redirects"), 0, "FollowRedirects")

    def _body(self) -> None:
        content_type = self._get("ContentType", value_reading.read_text)
        body = self._values.get("Body")
        if isinstance(body, str):
            content_type = content_type or (_JSON if value_reading.is_json_document(body) else None)
            content = {"text": body} | ({"content_type": content_type} if content_type else {})
            self._set(("check", "body"), content, "Body")
            return
        if body is not None:
            self._set(("check", "body"), {"json": body}, "Body")
        headers = self._definition["check"].get("headers", {})
        if content_type and not any(name.lower() == "content-type" for name in headers):
            self._set(("check", "headers"), headers | {"Content-Type": content_type}, "Headers", "ContentType")

    def _auth(self) -> None:
        kind = self._get("AuthType", lambda value: value_reading.read_choice(value, AUTH_TYPES))
        if kind == "basic":
            self._basic()
        elif kind == "bearer":
            self._secret(("check", "auth", "token"), "TokenSecretName", "token")
        elif kind == "api_key":
            self._secret(("check", "auth", "key"), "ApiKeySecretName", "api-key")
            self._put(("check", "auth", "name"), "ApiKeyHeader", value_reading.read_text)
        elif kind == "managed_identity":
            self._scope()
        elif kind is None and "AuthType" not in self._values:
            self._forgotten_auth_type()
        if kind not in (None, "none"):
            self._set(("check", "auth", "kind"), kind, "AuthType")

    def _basic(self) -> None:
        path = ("check", "auth", "username")
        if "UsernameSecretName" in self._values:
            self._put(path, "UsernameSecretName", lambda value: {"secret": value_reading.read_text(value)})
        elif "Username" in self._values:
            self._put(path, "Username", value_reading.read_text)
        else:
            self._secret_of_the_job(path, "UsernameSecretName", "username", " for the user name")
        self._secret(("check", "auth", "password"), "PasswordSecretName", "password")

    def _secret(self, path: KeyPath, name: str, purpose: str) -> None:
        """Set the reference of the secret: by its own key, by the general SecretName, or named after the job."""
        source = name if name in self._values else "SecretName"
        if source in self._values:
            self._put(path, source, lambda value: {"secret": value_reading.read_text(value)})
        else:
            self._secret_of_the_job(path, name, purpose)

    def _secret_of_the_job(self, path: KeyPath, key: str, purpose: str, what: str = "") -> None:
        """Name the secret after the job, and warn about it."""
        name = default_secret_name(str(self._definition["name"]), purpose)
        self._set(path, {"secret": name}, key, "AuthType")
        kind = value_reading.read_text(self._values["AuthType"]).lower()
        message = (
            f"{kind} names no secret{what}, so the job uses the secret {name}: "
            f"the variable {secret_variable(name)}, else the file {name} in secrets_folder, "
            "else that secret in the Key Vault"
        )
        self._warnings.append(Finding((self._spelt("AuthType"),), message, f"write {key}: {name} to confirm this name"))

    def _scope(self) -> None:
        path = ("check", "auth", "scope")
        if "Scope" in self._values:
            self._put(path, "Scope", value_reading.read_text)
        elif "Resource" in self._values:
            self._put(path, "Resource", value_reading.resource_scope)
        else:
            self._scope_of_the_endpoint(path)

    def _scope_of_the_endpoint(self, path: KeyPath) -> None:
        """Use the origin of the endpoint as the scope, and warn about it; without an origin the scope is missing."""
        endpoint = self._values.get("Endpoint")
        origin = value_reading.url_origin(endpoint) if isinstance(endpoint, str) else None
        if origin is None:
            self._find("Scope", "is missing", "AuthType managedidentity needs Scope, such as api://checkout/.default")
            return
        scope = value_reading.resource_scope(origin)
        self._set(path, scope, "Scope", "AuthType")
        message = f"managedidentity names no scope, so the token is for the endpoint itself: {scope}"
        self._warnings.append(Finding((self._spelt("AuthType"),), message, f"write Scope: {scope} to confirm it"))

    def _forgotten_auth_type(self) -> None:
        given = [name for name in self._values if name.endswith("SecretName") or name in ("Scope", "Resource")]
        if given:
            self._find(
                "AuthType", f"is missing, and {self._spelt(given[0])} is given", f"one of {join_names(AUTH_TYPES)}"
            )

    def _schedule(self) -> None:
        if "Schedule" in self._values and "IntervalSeconds" in self._values:
            self._find(
                self._spelt("IntervalSeconds"), f"and {self._spelt('Schedule')} are both given", "keep one of them"
            )
        elif "Schedule" in self._values:
            self._set(("schedule",), self._expression(self._values["Schedule"]), "Schedule")
        elif "TimeZone" in self._values:
            self._find(self._spelt("TimeZone"), "belongs to Schedule", "an interval is the same in every zone")
        elif (interval := self._get("IntervalSeconds", value_reading.read_positive)) is not None:
            self._set(("schedule",), {"every": format_duration(interval)}, "IntervalSeconds")

    def _expression(self, schedule: Any) -> Any:
        """The schedule on the clock of the zone that the job names, if it does."""
        zone = self._get("TimeZone", value_reading.read_zone_name)
        if zone is None:
            return schedule
        return value_reading.apply_time_zone(schedule, zone)

    def _retries_and_deadlines(self) -> None:
        policy = RetryPolicy()
        retries = self._get("MaxRetries", value_reading.read_retries)
        attempts = policy.attempts if retries is None else retries + 1
        delay = self._get("RetryDelaySeconds", value_reading.read_not_negative)
        initial = policy.initial if delay is None else delay
        longest = max(policy.max, initial)
        if retries is not None:
            self._set(("retry", "attempts"), attempts, "MaxRetries")
        if delay is not None:
            self._set(("retry", "initial"), format_duration(delay), "RetryDelaySeconds")
            self._set(("retry", "max"), format_duration(longest), "RetryDelaySeconds")
        backoff = self._get("RetryBackoff", lambda value: value_reading.read_choice(value, BACKOFFS))
        if backoff is not None:
            self._set(("retry", "backoff"), backoff, "RetryBackoff")
        waits = sum(_wait(backoff or policy.backoff, initial, longest, number) for number in range(1, attempts))
        self._deadlines(attempts, waits)

    def _deadlines(self, attempts: int, waits: float) -> None:
        """TimeoutSeconds limits one attempt; the deadline of the run has room for all attempts."""
        attempt = self._get("TimeoutSeconds", value_reading.read_attempt_deadline)
        if attempt is not None:
            self._set(("timeout", "attempt"), format_duration(attempt), "TimeoutSeconds")
        run = min(LONGEST_RUN_TIMEOUT, attempts * (attempt or Timeouts().attempt) + waits)
        self._set(("timeout", "run"), format_duration(run), "TimeoutSeconds")

    def _expectations(self) -> None:
        expected: list[dict[str, Any]] = []
        for name, key, read in (
            ("ExpectedStatus", "status", value_reading.read_status),
            ("BodyContains", "body_contains", value_reading.read_text),
            ("MaxResponseTimeMs", "response_time_below", value_reading.read_milliseconds),
        ):
            value = self._get(name, read)
            if value is not None:
                self._paths["expect", len(expected)] = self._spelt(name)
                expected.append({key: value})
        if expected:
            self._definition["expect"] = expected

    def _circuit(self) -> None:
        threshold = self._get("CircuitBreakerThreshold", value_reading.read_whole)
        open_for = self._get("CircuitBreakerTimeoutSeconds", value_reading.read_positive)
        if threshold is not None:
            self._set(("circuit", "consecutive_failures"), threshold, "CircuitBreakerThreshold")
        elif "CircuitBreakerTimeoutSeconds" in self._values and "CircuitBreakerThreshold" not in self._values:
            self._find(
                "CircuitBreakerThreshold", "is missing", "the number of consecutive failed runs that open the circuit"
            )
        if threshold is not None and open_for is not None:
            self._set(("circuit", "open_for"), format_duration(open_for), "CircuitBreakerTimeoutSeconds")


def _wait(backoff: str, initial: float, longest: float, number: int) -> float:
    """Return the longest wait after this attempt, in seconds; see RetryPolicy."""
    factor = {"constant": 1, "linear": number}.get(backoff, 1 << (number - 1))
    return min(longest, initial * factor)
