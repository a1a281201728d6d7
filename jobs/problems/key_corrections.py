"""Equivalents of keys of other programs: `interval: 60` becomes `schedule: {every: 60s}`.

Called by error_detail.py and by config.job_files.entries for the hints of error messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobs.problems.suggestions import fold_name
from jobs.problems.value_corrections import (
    correct_expect,
    correct_timeout,
    duration_text,
    shorten_correction,
    whole_number,
)
from jobs.problems.yaml_form import to_yaml


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
