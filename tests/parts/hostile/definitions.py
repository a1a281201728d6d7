"""Hostile jobs: the keys that exist, with values that a user should not write. See the package."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from tests.parts.hostile.bodies import ANYTHING, BODIES, SIZES, broad, deep
from tests.parts.hostile.patterns import CEL, JSONPATHS, REGEXES
from tests.parts.hostile.places import HEADERS, HOSTS, PATHS, PORTS, SECRETS, URLS
from tests.parts.hostile.schedules import CRONS, ZONES, schedule
from tests.parts.hostile.values import DURATIONS, NUMBERS, TEXTS, Maker, one_of

_NAMES = one_of(
    "a",
    "b",
    "c-1",
    "",
    "-",
    "A" * 100,
    "A" * 101,
    "a/b",
    "../a",
    "a b",
    "a\0",
    "\u202ea",
    "é",
    "1",
    "true",
    "jobs",
    "check",
    "null",
    "name",
    "<<",
    TEXTS,
)


def some(rng: Random, keys: Mapping[str, Maker], most: int) -> dict[str, Any]:
    """Some of these keys, each with a value of its kind."""
    return {key: keys[key](rng) for key in rng.sample(sorted(keys), min(rng.randint(0, most), len(keys)))}


def _comparison(rng: Random) -> dict[str, Any]:
    keys: dict[str, Maker] = {
        "equals": ANYTHING,
        "contains": ANYTHING,
        "matches": REGEXES,
        "not_matches": REGEXES,
        "like": one_of("*" * 900, TEXTS),
        "one_of": one_of([], broad, [[]], TEXTS),
        "below": NUMBERS,
        "length": one_of({"at_least": 1}, NUMBERS, TEXTS),
        "age_below": DURATIONS,
        "exists": NUMBERS,
        "severity": one_of("degraded", TEXTS),
        "missing": one_of("ok", TEXTS),
    }
    return some(rng, keys, 2)


def entry(rng: Random) -> Any:
    """An entry of `expect`."""
    makers: dict[str, Maker] = {
        "status": one_of(200, "2xx", "200-599," * 3_000, "0-9" * 5_000, NUMBERS, [], TEXTS),
        "body_matches": REGEXES,
        "body_not_matches": REGEXES,
        "body_contains": TEXTS,
        "body_hash": one_of({"sha256": "a" * 64}, {"md5": TEXTS(rng)}, TEXTS),
        "json": JSONPATHS,
        "header": TEXTS,
        "fact": TEXTS,
        "cel": CEL,
        "max_body": SIZES,
        "min_body": SIZES,
        "response_time_below": DURATIONS,
        "certificate_valid_for": DURATIONS,
        "error": one_of("dns_failure", ["timeout"] * 30, TEXTS),
        "redirects": NUMBERS,
        "http_version": NUMBERS,
        "body": _comparison,
        "answers": _comparison,
        "rcode": TEXTS,
    }
    if rng.random() < 0.05:
        return ANYTHING(rng)
    key = rng.choice([*makers, "body_matches", "cel", "json", "json"])
    more = _comparison(rng) if key in ("json", "header", "fact") else {}
    return {key: makers[key](rng), **more}


def expect(rng: Random) -> Any:
    if rng.random() < 0.05:
        return ANYTHING(rng)
    number = rng.choice([1, 1, 2, 3, 3, 10, 60, 1_000])
    return [entry(rng) for _ in range(number)] if number < 100 else [{"status": 200}] * number


def _auth(rng: Random) -> Any:
    kinds = ["basic", "bearer", "api_key", "oauth2", "managed_identity", "none", "x"]
    keys: dict[str, Maker] = {
        "username": SECRETS,
        "password": SECRETS,
        "token": SECRETS,
        "key": SECRETS,
        "name": TEXTS,
        "place": one_of("header", "query", TEXTS),
        "token_url": URLS,
        "client_id": SECRETS,
        "client_secret": SECRETS,
        "scope": TEXTS,
    }
    return {"kind": rng.choice(kinds), **some(rng, keys, 5)}


def _tls(rng: Random) -> Any:
    keys: dict[str, Maker] = {"verify": NUMBERS, "ca_file": PATHS, "client_certificate": SECRETS}
    return some(rng, keys, 3) if rng.random() < 0.9 else ANYTHING(rng)


HTTP: dict[str, Maker] = {
    "method": one_of("GET", "POST", "CONNECT", "get", TEXTS),
    "headers": HEADERS,
    "query": one_of({"a": "b"}, lambda rng: {TEXTS(rng): SECRETS(rng)}, {f"k{n}": "v" for n in range(3_000)}, TEXTS),
    "body": BODIES,
    "auth": _auth,
    "redirects": NUMBERS,
    "tls": _tls,
    "server_name": HOSTS,
    "ip_version": one_of(4, 6, "4", NUMBERS),
    "connection": one_of("kept", "fresh", TEXTS),
    "http2": NUMBERS,
    "proxy": URLS,
    "proxy_auth": one_of({"username": "a", "password": {"secret": "x"}}, TEXTS),
    "read_limit": SIZES,
    "keep_body": SIZES,
    "allow_plain_http": NUMBERS,
}


def _step(rng: Random, number: int) -> Any:
    sources = one_of(
        lambda r: {"json": JSONPATHS(r)},
        lambda r: {"regex": REGEXES(r)},
        lambda r: {"header": TEXTS(r), "regex": REGEXES(r)},
        lambda r: {"cookie": TEXTS(r)},
        ANYTHING,
    )
    step: dict[str, Any] = {"name": f"s{number}", "url": URLS(rng), **some(rng, HTTP, 2)}
    if rng.random() < 0.5:
        step["save"] = {f"v{n}": sources(rng) for n in range(rng.choice([1, 2, 30]))}
    if rng.random() < 0.3:
        step["expect"] = expect(rng)
    return step


def _steps(rng: Random) -> dict[str, Any]:
    number = rng.choice([1, 2, 5, 50, 51, 2_000])
    if number > 100:
        steps: list[Any] = [{"name": f"s{n}", "url": "http://a.test"} for n in range(number)]
    else:
        steps = [_step(rng, n) for n in range(min(number, 8))]
    return {"kind": "steps", "steps": steps}


def _dialogue(rng: Random) -> Any:
    line = one_of(lambda r: {"send": TEXTS(r)}, lambda r: {"receive": REGEXES(r)}, {"starttls": True}, ANYTHING)
    return [line(rng) for _ in range(rng.choice([1, 2, 50, 51]))]


def check(rng: Random) -> Any:
    kind = rng.choice(["http", "http", "http", "steps", "tcp", "dns", "tls", "heartbeat", "x", "none"])
    match kind:
        case "http":
            return {"url": URLS(rng), **some(rng, HTTP, 4)}
        case "steps":
            return _steps(rng)
        case "tcp":
            return {"kind": "tcp", "host": HOSTS(rng), "port": PORTS(rng), "dialogue": _dialogue(rng), "tls": _tls(rng)}
        case "dns":
            return {"kind": "dns", "name": HOSTS(rng), "server": HOSTS(rng), "type": one_of("A", "ANY", TEXTS)(rng)}
        case "tls":
            return {"kind": "tls", "host": HOSTS(rng), "port": PORTS(rng), "tls": _tls(rng), "server_name": HOSTS(rng)}
        case "heartbeat":
            when = {"period": DURATIONS(rng)} if rng.random() < 0.5 else {"schedule": schedule(rng)}
            return {"kind": "heartbeat", "token": SECRETS(rng), "grace": DURATIONS(rng), **when}
        case "none":
            return ANYTHING(rng)
    return {"kind": TEXTS(rng), "url": URLS(rng)}


def _tags(rng: Random) -> Any:
    number = rng.choice([1, 3, 2_000, 20_000])
    if number < 100:
        return {TEXTS(rng): TEXTS(rng) for _ in range(number)}
    return {f"tag{n}": "x" for n in range(number)}


JOB: dict[str, Maker] = {
    "description": TEXTS,
    "enabled": NUMBERS,
    "schedule": schedule,
    "depends_on": one_of(
        "a", ["a"], ["a"] * 60, [{"job": "b", "within": "1s"}], {"job": "a"}, ["missing", TEXTS], TEXTS
    ),
    "expect": expect,
    "timeout": one_of({"run": "1s"}, lambda rng: {"attempt": DURATIONS(rng), "run": DURATIONS(rng)}, DURATIONS),
    "retry": lambda rng: some(
        rng,
        {
            "attempts": NUMBERS,
            "initial": DURATIONS,
            "delays": one_of(["1s"] * 5_000, [], lambda r: [DURATIONS(r)] * 3, TEXTS),
            "multiplier": NUMBERS,
            "jitter": one_of("full", "9" * 400 + "%", DURATIONS, TEXTS),
            "on": one_of(["5xx"], ["5xx"] * 5_000, TEXTS),
            "max": DURATIONS,
        },
        4,
    ),
    "circuit": lambda rng: some(
        rng,
        {
            "consecutive_failures": NUMBERS,
            "failure_rate": NUMBERS,
            "window": one_of(NUMBERS, DURATIONS),
            "open_for": DURATIONS,
            "group": TEXTS,
        },
        4,
    ),
    "catch_up": one_of(
        {"policy": "all", "within": "7d"}, lambda rng: {"policy": "all", "within": DURATIONS(rng)}, TEXTS
    ),
    "overlap": one_of("allow", TEXTS),
    "concurrency_group": one_of("g", lambda rng: {"name": TEXTS(rng), "limit": NUMBERS(rng), "wait": DURATIONS(rng)}),
    "effect": one_of("once", TEXTS),
    "dead_letter": NUMBERS,
    "tags": _tags,
    "telemetry": one_of({"events": "all"}, ANYTHING),
    "uses": ANYTHING,
    "x": ANYTHING,
}


def job(rng: Random) -> Any:
    """A job: one of twenty is not a mapping. Each other has a check, and mostly one or two keys that are wrong."""
    if rng.random() < 0.05:
        return ANYTHING(rng)
    honest = rng.random() < 0.6
    value: dict[str, Any] = {"check": {"url": "http://a.test"} if honest else check(rng)}
    value.update(some(rng, JOB, 3))
    return value


_FLAT: dict[str, Maker] = {
    "JobName": _NAMES,
    "Description": TEXTS,
    "Enabled": NUMBERS,
    "Tags": _tags,
    "Endpoint": URLS,
    "HttpMethod": TEXTS,
    "Headers": HEADERS,
    "QueryParameters": HEADERS,
    "Body": one_of(deep, broad, TEXTS),
    "AuthType": one_of("Basic", "Bearer", "ManagedIdentity", TEXTS),
    "SecretName": TEXTS,
    "Password": TEXTS,
    "Schedule": one_of(schedule, CRONS),
    "TimeZone": ZONES,
    "IntervalSeconds": NUMBERS,
    "TimeoutSeconds": NUMBERS,
    "MaxRetries": NUMBERS,
    "RetryDelaySeconds": NUMBERS,
    "ExpectedStatus": one_of("200," * 5_000, NUMBERS, TEXTS),
    "BodyContains": TEXTS,
    "MaxResponseTimeMs": NUMBERS,
    "CircuitBreakerThreshold": NUMBERS,
    "CircuitBreakerTimeoutSeconds": NUMBERS,
    "VerifySsl": NUMBERS,
    "FollowRedirects": NUMBERS,
}


def flat_job(rng: Random) -> dict[str, Any]:
    """A job of the first generation."""
    honest = {"JobName": f"job{rng.randint(0, 9)}", "Endpoint": "http://a.test", "Schedule": "0 */5 * * * *"}
    return {**honest, **some(rng, _FLAT, 5)}


def name(rng: Random) -> str:
    """A job's name."""
    made = _NAMES(rng) if rng.random() < 0.3 else f"job{rng.randint(0, 999)}"
    return made if isinstance(made, str) else "a"
