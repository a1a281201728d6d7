"""Corrections of common mistakes in a job, as hints of error messages: `retry: 3` becomes `retry: {attempts: 3}`.

Keys of other programs have equivalents: `interval: 60` becomes `schedule: {every: 60s}`. There is a correction only
where the value shows the intention.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from jobs.problems.condition_reader import read_condition, to_yaml
from jobs.problems.findings import fold_name

_DURATION = re.compile(r"\s*\d+(?:\.\d+)?(?:ms|s|m|h|d)\s*", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_HOST = re.compile(r"([A-Za-z0-9._-]+):(\d{1,5})")
_MAX_OFFER_CHARACTERS = 200
"""Characters of a correction; longer ones are omitted."""
_COMPARISONS = ("equals", "contains", "starts_with", "ends_with", "matches", "like", "one_of", "below", "above")
_WITH_OTHERS = frozenset(
    {*_COMPARISONS, *(f"not_{one}" for one in _COMPARISONS), "at_least", "at_most", "length", "age_below", "exists"}
    | {"severity", "missing"}
)
"""Keys of an entry of `expect` in addition to the one that identifies it."""


def correct_value(key: str | int, value: Any, parent: str | int = "") -> str | None:
    """Return the correction for the value of this key, such as `retry: {attempts: 3}`; None if it is unknown.

    `parent`: the key of the list, for an entry in a list.
    """
    if isinstance(key, int):
        text = _entry(value) if parent == "expect" else None
        return shorten_correction(text)
    read = _CORRECTIONS.get(key)
    text = read(value) if read is not None else None
    if key == "body" and isinstance(parent, int):  # of an entry of `expect`
        text = to_yaml({"equals": value}) if isinstance(value, str) else None
    return shorten_correction(None if text is None else f"{key}: {text}")


def shorten_correction(text: str | None) -> str | None:
    return text if text is not None and len(text) <= _MAX_OFFER_CHARACTERS and text.isprintable() else None


def _retry(value: Any) -> str | None:
    count = whole_number(value)
    if count is not None and count > 0:
        return to_yaml({"attempts": count})
    if isinstance(value, list) and value and all(map(_is_duration, value)):
        return to_yaml({"delays": value})
    return to_yaml({"attempts": 1}) if value is False or count == 0 else None


def correct_timeout(value: Any) -> str | None:
    length = duration_text(value)
    return to_yaml({"attempt": length}) if length else None


def _circuit(value: Any) -> str | None:
    count = whole_number(value)
    if count is not None and count > 0:
        return to_yaml({"consecutive_failures": count})
    return to_yaml({"consecutive_failures": 5}) if value is True else None


def _catch_up(value: Any) -> str | None:
    if isinstance(value, bool):
        return to_yaml({"policy": "last" if value else "none"})
    if value in ("none", "last", "all"):
        return to_yaml({"policy": value})
    return to_yaml({"policy": "last", "within": value.strip()}) if _is_duration(value) else None


def _group(value: Any) -> str | None:
    count = whole_number(value)
    return None if count is None else f"{{name: NAME, limit: {max(count, 1)}}}"


def _tags(value: Any) -> str | None:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list) or not items or not all(isinstance(one, str) for one in items):
        return None
    pairs = [re.split(r"[:=]", one, maxsplit=1) for one in items]
    return to_yaml({name[0].strip(): name[1].strip() if len(name) > 1 else "true" for name in pairs})


def _depends_on(value: Any) -> str | None:
    if isinstance(value, str):
        names = [one.strip() for one in value.split(",")]
        return to_yaml(names) if all(map(_NAME.fullmatch, names)) else None
    if not isinstance(value, dict) or not value:
        return None
    if "job" in value:
        return to_yaml([value])
    conditions = ("succeeded", "failed", "finished")
    if all(isinstance(one, dict) for one in value.values()):
        return to_yaml([{"job": name, **one} for name, one in value.items()])
    if all(one in conditions for one in value.values()):
        return to_yaml([{"job": name, "condition": one} for name, one in value.items()])
    return None


def correct_expect(value: Any) -> str | None:
    if isinstance(value, dict):
        if not value:
            return None
        alone = [value] if _WITH_OTHERS & value.keys() else [{key: one} for key, one in value.items()]
        return to_yaml(alone)
    if isinstance(value, list):
        entries = [_entry(one) for one in value]
        return f"[{', '.join(map(str, entries))}]" if entries and all(entries) else None
    entry = _entry(value)
    return None if entry is None else f"[{entry}]"


def _entry(value: Any) -> str | None:
    if isinstance(value, str):
        return read_condition(value)
    if isinstance(value, dict):
        return to_yaml(value)
    count = whole_number(value)
    return to_yaml({"status": count}) if count is not None and 100 <= count <= 599 else None


def _check(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    if re.match(r"https?://", value, re.IGNORECASE) and "@" not in value and "?" not in value:
        return to_yaml({"url": value})
    place = _HOST.fullmatch(value)
    return to_yaml({"kind": "tcp", "host": place[1], "port": int(place[2])}) if place else None


def _auth(value: Any) -> str | None:
    kinds = {
        "none": "{kind: none}",
        "bearer": "{kind: bearer, token: {secret: NAME}}",
        "basic": "{kind: basic, username: USER, password: {secret: NAME}}",
        "api_key": "{kind: api_key, key: {secret: NAME}, name: X-API-Key}",
        "apikey": "{kind: api_key, key: {secret: NAME}, name: X-API-Key}",
    }
    return kinds.get(value.lower()) if isinstance(value, str) else None


def _body(value: Any) -> str | None:
    return to_yaml({"text": value}) if isinstance(value, str) else to_yaml({"json": value}) if value else None


def _tls(value: Any) -> str | None:
    return to_yaml({"verify": value}) if isinstance(value, bool) else None


_CORRECTIONS: Mapping[str, Callable[[Any], str | None]] = {
    "retry": _retry,
    "timeout": correct_timeout,
    "circuit": _circuit,
    "catch_up": _catch_up,
    "concurrency_group": _group,
    "tags": _tags,
    "depends_on": _depends_on,
    "expect": correct_expect,
    "check": _check,
    "auth": _auth,
    "body": _body,
    "tls": _tls,
}


def whole_number(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9 else None


def duration_text(value: Any) -> str | None:
    """Return a duration; a bare number is seconds, as in most programs."""
    if _is_duration(value):
        return str(value.strip())
    count = whole_number(value)
    return f"{count}s" if count is not None and count > 0 else None


def _is_duration(value: Any) -> bool:
    return isinstance(value, str) and _DURATION.fullmatch(value) is not None


def correct_job_key(key: str, value: Any) -> str | None:
    """Return the equivalent in a job for a key of other programs, such as `interval`; None if it is unknown."""
    read = _JOB_KEYS_OF_OTHERS.get(fold_name(key))
    return shorten_correction(read(value)) if read is not None else None


def correct_check_key(key: str, value: Any) -> str | None:
    """Return the equivalent in an http check for a key of other programs, such as `verify_ssl`; None if unknown."""
    read = _CHECK_KEYS_OF_OTHERS.get(fold_name(key))
    return shorten_correction(read(value)) if read is not None else None


def _interval(value: Any) -> str | None:
    length = duration_text(value)
    return f"schedule: {to_yaml({'every': length})}" if length else None


def _cron(value: Any) -> str | None:
    return f"schedule: {to_yaml(value)}" if isinstance(value, str) else None


def _retries(value: Any) -> str | None:
    count = whole_number(value)
    return None if count is None or count < 0 else f"retry: {{attempts: {count + 1}}}, which includes the first attempt"


def _conditions(value: Any) -> str:
    return f"expect: {correct_expect(value) or '[{status: 200}]'}"


def _status(value: Any) -> str | None:
    plain = isinstance(value, (str, int, list)) and not isinstance(value, bool)
    return f"expect: {to_yaml([{'status': value}])}" if plain else None


def _disabled(value: Any) -> str | None:
    return f"enabled: {to_yaml(not value)}" if isinstance(value, bool) else None


def _timeout_key(value: Any) -> str | None:
    text = correct_timeout(value)
    return None if text is None else f"timeout: {text}"


def _verify(value: Any) -> str | None:
    return f"tls: {to_yaml({'verify': value})}" if isinstance(value, bool) else None


def _insecure(value: Any) -> str | None:
    return f"tls: {to_yaml({'verify': not value})}" if isinstance(value, bool) else None


def _redirects(value: Any) -> str | None:
    return f"redirects: {10 if value else 0}" if isinstance(value, bool) else None


def _as_body(kind: str) -> Callable[[Any], str]:
    return lambda value: f"body: {to_yaml({kind: value})}"


def _in_schedule(key: str) -> Callable[[Any], str]:
    return lambda value: f'it into the schedule: {{cron: "0 */5 * * * *", {key}: {to_yaml(value)}}}'


_JOB_KEYS_OF_OTHERS: Mapping[str, Callable[[Any], str | None]] = {
    **dict.fromkeys(("interval", "every", "frequency", "intervalseconds", "runevery"), _interval),
    "period": lambda value: (text := _interval(value)) and f"{text}, or check.period in a heartbeat",
    **dict.fromkeys(("cron", "crontab", "cronexpression", "scheduleexpression"), _cron),
    **dict.fromkeys(("retries", "maxretries", "retrycount"), _retries),
    **dict.fromkeys(("conditions", "condition", "assertions", "assert", "expectations", "expected"), _conditions),
    **dict.fromkeys(("status", "statuscode", "expectedstatus", "expectstatus", "expectedstatuscode"), _status),
    **dict.fromkeys(("timeoutseconds", "timeoutms"), _timeout_key),
    "disabled": _disabled,
    **dict.fromkeys(("timezone", "tz"), _in_schedule("timezone")),
    **{key: _in_schedule(key) for key in ("jitter", "dst", "start", "end")},
}


_CHECK_KEYS_OF_OTHERS: Mapping[str, Callable[[Any], str | None]] = {
    "type": lambda value: f"kind: {to_yaml(value)}" if isinstance(value, str) else None,
    **dict.fromkeys(("verifyssl", "sslverify", "verifytls", "verify"), _verify),
    **dict.fromkeys(("insecure", "skipverify", "insecureskipverify", "ignoressl"), _insecure),
    **dict.fromkeys(("followredirects", "followredirect", "allowredirects"), _redirects),
    **dict.fromkeys(("params", "queryparams", "queryparameters"), lambda value: f"query: {to_yaml(value)}"),
    "json": _as_body("json"),
    "data": _as_body("text"),
    "form": _as_body("form"),
}
