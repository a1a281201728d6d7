"""Converts one flat job into the full form, part by part. Called through jobs.flat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from jobs.flat import value_reading
from jobs.flat.auth_conversion import convert_auth
from jobs.flat.form import FlatForm
from jobs.flat.value_reading import BACKOFFS
from jobs.formats.durations import format_duration
from jobs.policies import LONGEST_RUN_TIMEOUT, RetryPolicy, Timeouts
from jobs.problems import Finding, KeyPath

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
    form = FlatForm(mapping)
    form.copy(("name",), "JobName", value_reading.read_text)
    form.definition.setdefault("name", name)
    form.copy(("description",), "Description", value_reading.read_text)
    form.copy(("enabled",), "Enabled", value_reading.read_flag)
    form.copy(("tags",), "Tags", value_reading.read_tags)
    for convert in _PARTS:
        convert(form)
    form.finish()
    return FlatJob(form.definition, tuple(form.findings), form.flat_keys, tuple(form.warnings))


def _convert_request(form: FlatForm) -> None:
    form.definition["check"] = {"kind": "http"}
    if "Endpoint" not in form.values:
        form.add_finding("Endpoint", "is missing", "the URL to call")
    form.copy(("check", "url"), "Endpoint", value_reading.read_text)
    form.copy(("check", "method"), "HttpMethod", lambda value: value_reading.read_text(value).upper())
    form.copy(("check", "headers"), "Headers", value_reading.read_texts)
    form.copy(("check", "query"), "QueryParameters", value_reading.read_texts)
    form.copy(("check", "tls", "verify"), "VerifySsl", value_reading.read_flag)
    form.copy(("check", "allow_plain_http"), "AllowPlainHttp", value_reading.read_flag)
    if form.read("FollowRedirects", value_reading.read_flag) is False:
        form.set_value(("check", "redirects"), 0, "FollowRedirects")


def _convert_body(form: FlatForm) -> None:
    content_type = form.read("ContentType", value_reading.read_text)
    body = form.values.get("Body")
    if isinstance(body, str):
        content_type = content_type or (_JSON if value_reading.is_json_document(body) else None)
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
    elif (interval := form.read("IntervalSeconds", value_reading.read_positive)) is not None:
        form.set_value(("schedule",), {"every": format_duration(interval)}, "IntervalSeconds")


def _expression(form: FlatForm, schedule: Any) -> Any:
    """The schedule on the clock of the zone that the job names, if it does."""
    zone = form.read("TimeZone", value_reading.read_zone_name)
    if zone is None:
        return schedule
    return value_reading.apply_time_zone(schedule, zone)


def _convert_retries(form: FlatForm) -> None:
    policy = RetryPolicy()
    retries = form.read("MaxRetries", value_reading.read_retries)
    attempts = policy.attempts if retries is None else retries + 1
    delay = form.read("RetryDelaySeconds", value_reading.read_not_negative)
    initial = policy.initial if delay is None else delay
    longest = max(policy.max, initial)
    if retries is not None:
        form.set_value(("retry", "attempts"), attempts, "MaxRetries")
    if delay is not None:
        form.set_value(("retry", "initial"), format_duration(delay), "RetryDelaySeconds")
        form.set_value(("retry", "max"), format_duration(longest), "RetryDelaySeconds")
    backoff = form.read("RetryBackoff", lambda value: value_reading.read_choice(value, BACKOFFS))
    if backoff is not None:
        form.set_value(("retry", "backoff"), backoff, "RetryBackoff")
    waits = sum(_wait(backoff or policy.backoff, initial, longest, number) for number in range(1, attempts))
    _convert_deadlines(form, attempts, waits)


def _convert_deadlines(form: FlatForm, attempts: int, waits: float) -> None:
    """TimeoutSeconds limits one attempt; the deadline of the run has room for all attempts."""
    attempt = form.read("TimeoutSeconds", value_reading.read_attempt_deadline)
    if attempt is not None:
        form.set_value(("timeout", "attempt"), format_duration(attempt), "TimeoutSeconds")
    run = min(LONGEST_RUN_TIMEOUT, attempts * (attempt or Timeouts().attempt) + waits)
    form.set_value(("timeout", "run"), format_duration(run), "TimeoutSeconds")


def _convert_expectations(form: FlatForm) -> None:
    expected: list[dict[str, Any]] = []
    for name, key, read in (
        ("ExpectedStatus", "status", value_reading.read_status),
        ("BodyContains", "body_contains", value_reading.read_text),
        ("MaxResponseTimeMs", "response_time_below", value_reading.read_milliseconds),
    ):
        value = form.read(name, read)
        if value is not None:
            form.flat_keys["expect", len(expected)] = form.spelling(name)
            expected.append({key: value})
    if expected:
        form.definition["expect"] = expected


def _convert_circuit(form: FlatForm) -> None:
    threshold = form.read("CircuitBreakerThreshold", value_reading.read_whole)
    open_for = form.read("CircuitBreakerTimeoutSeconds", value_reading.read_positive)
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
