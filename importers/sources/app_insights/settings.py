"""Settings of a web test that its resource has: when it runs, from where, and its retries. Called by resources."""

from __future__ import annotations

from typing import Any

from importers.errors import NotCarriedOver
from importers.job_draft import JobDraft, KeyHandler
from importers.ledger import SourceNode, is_unresolved
from importers.values.reading import read_boolean, read_integer, read_list, read_optional_text, write_duration
from jobs.policies.execution import MAX_RUN_TIMEOUT

DEFAULT_FREQUENCY = 300
DEFAULT_TIMEOUT = 30
_MAX_DESCRIPTION = 500
_MAX_SECONDS = 366 * 86_400
_ATTEMPTS = 3
_RETRY_AFTER = 20.0
"""Seconds between the attempts of Application Insights."""
_RETRIED = ["connection", "timeout", "expectation", "1xx", "2xx", "3xx", "4xx", "5xx"]
_ONE_PLACE = "the scheduler checks from where it runs"
_MORE_PLACES = "run a scheduler in each region, and let a group of alerts decide (down_when: {at_least: 2})"
_OWN = "a key of the resource in Azure, which the job does not need"


def put_timing(
    draft: JobDraft,
    frequency: SourceNode | None = None,
    timeout: SourceNode | None = None,
    retry: SourceNode | None = None,
    default_timeout: float = DEFAULT_TIMEOUT,
) -> None:
    """Set schedule, timeouts and retries. Each node can be missing or null."""
    seconds = _read_seconds(draft, frequency, DEFAULT_FREQUENCY)
    draft.put("schedule", {"every": write_duration(seconds)}, *_given(frequency))
    limit = _read_seconds(draft, timeout, default_timeout)
    attempt = min(limit, MAX_RUN_TIMEOUT)
    how = "" if attempt == limit else f"at most {write_duration(MAX_RUN_TIMEOUT)}"
    draft.put("timeout.attempt", write_duration(attempt), *_given(timeout), how=how)
    _put_retry(draft, attempt, retry)


def _put_retry(draft: JobDraft, attempt: float, node: SourceNode | None) -> None:
    is_retried = node is not None and node.value is not None and _is_true(node)
    fitting = int((MAX_RUN_TIMEOUT + _RETRY_AFTER) // (attempt + _RETRY_AFTER))
    attempts = min(_ATTEMPTS, fitting) if is_retried else 1
    retry: dict[str, Any] = {"attempts": attempts}
    if attempts > 1:
        retry |= {"backoff": "constant", "initial": write_duration(_RETRY_AFTER), "jitter": "none", "on": _RETRIED}
        retry["non_idempotent"] = True
    how = "" if attempts in (1, _ATTEMPTS) else f"{attempts} attempts, as a run lasts at most 8 minutes"
    draft.put("retry", retry, *_given(node), how=how)
    draft.put("timeout.run", write_duration(attempts * attempt + (attempts - 1) * _RETRY_AFTER))


def _is_true(node: SourceNode) -> bool:
    try:
        return read_boolean(node)
    except NotCarriedOver:
        return False


def _read_seconds(draft: JobDraft, node: SourceNode | None, default: float) -> float:
    if node is None or node.value in (None, "", 0, "0"):
        return default
    try:
        seconds = read_integer(node)
    except NotCarriedOver as error:
        draft.drop(node, error.why, error.nearest)
        return default
    if seconds > _MAX_SECONDS:
        draft.drop(node, "the time is too long")
        return default
    return float(seconds) if seconds > 0 else default


def _given(node: SourceNode | None) -> list[SourceNode]:
    return [] if node is None else [node]


def map_enabled(draft: JobDraft, node: SourceNode) -> None:
    if node.value is not None and not read_boolean(node):
        draft.put("enabled", False, node)
    else:
        draft.use(node)


def map_description(draft: JobDraft, node: SourceNode) -> None:
    text = read_optional_text(node).strip()
    if not text:
        draft.use(node)
        return
    how = "" if len(text) <= _MAX_DESCRIPTION else f"shortened to {_MAX_DESCRIPTION} characters"
    draft.put("description", text[:_MAX_DESCRIPTION], node, how=how)


def map_locations(draft: JobDraft, node: SourceNode) -> None:
    """One place, or several, that the test runs from."""
    if not node.value:
        draft.use(node)
        return
    read_list(node)
    raise NotCarriedOver(_ONE_PLACE, _MORE_PLACES)


def map_tags(draft: JobDraft, node: SourceNode) -> None:
    """Tags of the resource; those that Azure uses itself are not tags of a job."""
    tags: dict[str, str] = {}
    for child in node.children():
        if child.key.lower().startswith(("hidden-link", "hidden-")):
            draft.use(child, how=_OWN)
        elif isinstance(child.value, (str, int, float, bool)) and not is_unresolved(child):
            tags[child.key] = str(child.value)
            draft.put("tags", tags, child)
    if not node.value:
        draft.use(node)


def use_own(draft: JobDraft, node: SourceNode) -> None:
    draft.use(node, how=_OWN)


SETTING_HANDLERS: dict[str, KeyHandler] = {
    "enabled": map_enabled,
    "description": map_description,
    "locations": map_locations,
    "geolocations": map_locations,
    "tags": map_tags,
    "location": use_own,
    "id": use_own,
    "apiversion": use_own,
    "dependson": use_own,
    "syntheticmonitorid": use_own,
    "provisioningstate": use_own,
    "resourcegroup": use_own,
    "resourcegroupname": use_own,
    "applicationinsightsid": use_own,
    "etag": use_own,
    "comments": use_own,
    "scope": use_own,
    "timeouts": use_own,
    "lifecycle": use_own,
    "providers": use_own,
    "provider": use_own,
}
"""By the key in small letters without separators."""
