"""Maps what the resource of a web test has: when and from where it runs, retries, and of a standard test the request,
the validation rules and the alerts.

The keys are those of Resource Manager (`RequestUrl`), of its command line (`requestUrl`) and of Terraform (`url`), in
small letters without separators.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from importers.http_requests import put_body, put_header, put_url
from importers.import_context import ImportContext, add_named_entry
from importers.ledger import JobDraft, KeyHandler, use_key
from importers.reading import (
    read_boolean,
    read_flag,
    read_integer,
    read_list,
    read_optional_text,
    read_text,
    write_duration,
)
from importers.source_tree import NotCarriedOver, SourceNode, is_unresolved
from importers.sources.app_insights.web_test_xml import expect_status, expect_text
from jobs.policies.execution import MAX_RUN_TIMEOUT

DEFAULT_FREQUENCY = 300
DEFAULT_TIMEOUT = 30
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
    draft.put("schedule", {"every": write_duration(seconds)}, frequency)
    limit = _read_seconds(draft, timeout, default_timeout)
    attempt = min(limit, MAX_RUN_TIMEOUT)
    how = "" if attempt == limit else f"at most {write_duration(MAX_RUN_TIMEOUT)}"
    draft.put("timeout.attempt", write_duration(attempt), timeout, how=how)
    _put_retry(draft, attempt, retry)


def _put_retry(draft: JobDraft, attempt: float, node: SourceNode | None) -> None:
    is_retried = _is_true(node)
    fitting = int((MAX_RUN_TIMEOUT + _RETRY_AFTER) // (attempt + _RETRY_AFTER))
    attempts = min(_ATTEMPTS, fitting) if is_retried else 1
    retry: dict[str, Any] = {"attempts": attempts}
    if attempts > 1:
        retry |= {"backoff": "constant", "initial": write_duration(_RETRY_AFTER), "jitter": "none", "on": _RETRIED}
        retry["non_idempotent"] = True
    how = "" if attempts in (1, _ATTEMPTS) else f"{attempts} attempts, as a run lasts at most 8 minutes"
    draft.put("retry", retry, node, how=how)
    draft.put("timeout.run", write_duration(attempts * attempt + (attempts - 1) * _RETRY_AFTER))


def _is_true(node: SourceNode | None) -> bool:
    try:
        return read_flag(node)
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


def map_enabled(draft: JobDraft, node: SourceNode) -> None:
    draft.put_if(node.value is not None and not read_boolean(node), "enabled", False, node)


def map_description(draft: JobDraft, node: SourceNode) -> None:
    draft.describe(read_optional_text(node).strip(), node)


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


use_own = use_key(_OWN)


SETTING_HANDLERS: dict[str, KeyHandler] = {
    "enabled": map_enabled,
    "description": map_description,
    "locations": map_locations,
    "geolocations": map_locations,
    "tags": map_tags,
    **dict.fromkeys(("location", "id", "apiversion", "dependson", "syntheticmonitorid", "provisioningstate"), use_own),
    **dict.fromkeys(("resourcegroup", "resourcegroupname", "applicationinsightsid", "etag", "comments"), use_own),
    **dict.fromkeys(("scope", "timeouts", "lifecycle", "providers", "provider"), use_own),
}
"""By the key in small letters without separators."""


_DEPENDENT = "images, scripts and style sheets of the page are not requested"
_VERIFIED = "certificates are verified in any case; tls: {verify: false} prevents it"


def normalise(key: str) -> str:
    """`RequestUrl`, `request_url` -> `requesturl`."""
    return key.replace("_", "").replace("-", "").lower()


def find_key(node: SourceNode | None, *names: str) -> SourceNode | None:
    """Return the child with one of the keys, in any form; of a list with one entry, that of its entry."""
    node = first_entry(node)
    if node is None or not isinstance(node.value, dict):
        return None
    return next((child for child in node.children() if normalise(child.key) in names), None)


def first_entry(node: SourceNode | None) -> SourceNode | None:
    """Return the entry of a list of one: Terraform has blocks as lists."""
    while node is not None and isinstance(node.value, list) and len(node.value) == 1:
        node = node.child(0)
    return node


def put_standard_request(context: ImportContext, draft: JobDraft, request: SourceNode | None) -> None:
    """Set the check. Raises NotCarriedOver: it has no URL."""
    draft.put("check.kind", "http")
    url = find_key(request, "requesturl", "url")
    if url is None:
        raise NotCarriedOver("the test has no request with a URL")
    put_url(context, draft, read_text(url), url)
    verb = find_key(request, "httpverb")
    if verb is not None:
        method = read_optional_text(verb).upper() or "GET"
        draft.put("check.method", method, verb)
    _put_headers(context, draft, find_key(request, "headers", "header"))
    _put_body(context, draft, find_key(request, "requestbody", "body"))
    _put_flags(draft, request)


def _put_headers(context: ImportContext, draft: JobDraft, node: SourceNode | None) -> None:
    if node is None:
        return
    if not node.value:
        draft.use(node)
    entries = [node] if isinstance(node.value, dict) and node.value else list(node.children())
    for entry in entries:
        name, value = find_key(entry, "key", "name"), find_key(entry, "value")
        if name is None or value is None:
            draft.drop(entry, "a header has a name and a value")
            continue
        try:
            put_header(context, draft, read_text(name), read_optional_text(value), name, value)
        except NotCarriedOver as error:
            draft.drop(entry, error.why, error.nearest)


def _put_body(context: ImportContext, draft: JobDraft, node: SourceNode | None) -> None:
    text = read_optional_text(node)
    if not text:
        draft.use(node)
        return
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        decoded = text
    how = "decoded from Base64" if decoded != text else ""
    headers = draft.get("check.headers") or {}
    is_typed = any(name.lower() == "content-type" for name in headers)
    content_type = "" if is_typed else "application/json" if decoded.lstrip()[:1] in ("{", "[") else ""
    put_body(context, draft, decoded, content_type, node, how=how)


def _put_flags(draft: JobDraft, request: SourceNode | None) -> None:
    follow = find_key(request, "followredirects", "followredirectsenabled")
    if follow is not None:
        draft.put_if(follow.value is not None and not read_boolean(follow), "check.redirects", 0, follow)
    parse = find_key(request, "parsedependentrequests", "parsedependentrequestsenabled")
    draft.drop_if(read_flag(parse), parse, _DEPENDENT, "a job for each of them that matters")


def put_validation_rules(draft: JobDraft, rules: SourceNode | None) -> None:
    """Set the expectations; without rules the status must be 200."""
    status = find_key(rules, "expectedhttpstatuscode", "expectedstatuscode")
    ignore = find_key(rules, "ignorehttpstatuscode", "ignorehttpsstatuscode")
    expected = "200" if status is None or status.value is None else read_text(status)
    draft.expect(expect_status(expected, is_ignored=read_flag(ignore)), status, ignore)
    _put_certificate(draft, rules)
    _put_content(draft, find_key(rules, "contentvalidation", "content"))
    empty = first_entry(rules)
    if empty is not None and not empty.value:
        draft.use(empty)


def _put_certificate(draft: JobDraft, rules: SourceNode | None) -> None:
    check = find_key(rules, "sslcheck", "sslcheckenabled")
    if check is not None:
        is_plain = not str(draft.get("check.url")).lower().startswith("https://")
        draft.use(check, how="" if read_flag(check) or is_plain else _VERIFIED)
    lifetime = find_key(rules, "sslcertremaininglifetimecheck", "sslcertremaininglifetime")
    if lifetime is None:
        return
    days = 0 if lifetime.value is None else read_integer(lifetime)
    if days > 0:
        draft.expect({"certificate_valid_for": f"{days}d"}, lifetime)
    else:
        draft.use(lifetime)


def _put_content(draft: JobDraft, content: SourceNode | None) -> None:
    text = find_key(content, "contentmatch")
    if text is None or not read_optional_text(text):
        draft.use(content)
        return
    ignore, passes = find_key(content, "ignorecase"), find_key(content, "passiftextfound")
    must_exist = passes is None or passes.value is None or read_boolean(passes)
    entry = expect_text(read_text(text), ignore_case=read_flag(ignore), passes_if_found=must_exist)
    draft.expect(entry, text, ignore, passes)


_SEVERITIES = {0: "down", 1: "down", 2: "degraded", 3: "degraded", 4: "info"}
_IDLE = "part of the alert rule of the job"
_NO_TEST = "an alert about something else than an imported web test: it stays in Azure"
_CRITERIA = "applicationinsightswebtestlocationavailabilitycriteria"


def import_alert(context: ImportContext, node: SourceNode, drafts: Mapping[str, JobDraft]) -> None:
    """Set the rule of the test's job. `drafts`: by the name of the test, and by its address in Terraform."""
    properties = find_key(node, "properties") or node
    criteria = find_key(properties, "criteria", _CRITERIA)
    test = find_key(criteria, "webtestid")
    draft = _find_draft(test, drafts)
    if draft is None:
        context.use(node, _NO_TEST)
        return
    enabled = find_key(properties, "enabled")
    if enabled is not None and enabled.value is not None and not is_unresolved(enabled) and not read_boolean(enabled):
        draft.drop(node, "the alert is not enabled")
        return
    count_node = find_key(criteria, "failedlocationcount")
    rule: dict[str, Any] = {"open_after": _read_count(count_node)}
    _put_severity(rule, find_key(properties, "severity"))
    _put_channels(context, draft, rule, find_key(properties, "actions", "action"))
    draft.use(count_node, how="so many runs in a row must fail, as the scheduler checks from one place")
    rules = draft.get("alerts") or []
    draft.put("alerts", [rule] if rules == [{"open_after": 1}] else [*rules, {"name": f"rule-{len(rules)}", **rule}])
    for leaf in node.leaves():
        if not context.ledger.is_recorded(leaf):
            draft.use(leaf, how=_IDLE)


def _find_draft(node: SourceNode | None, drafts: Mapping[str, JobDraft]) -> JobDraft | None:
    if node is None:
        return None
    text = str(node.value)
    whole = re.sub(r"\[[^\]]*\]", "", text)  # the index of an only instance
    for address, draft in drafts.items():
        if address and (text.lower().endswith(f"/{address.lower()}") or f"{address}.id" in (text, whole)):
            return draft
    return None


def _read_count(node: SourceNode | None) -> int:
    try:
        return min(max(read_integer(node), 1), 100) if node is not None and not is_unresolved(node) else 1
    except NotCarriedOver:
        return 1


def _put_severity(rule: dict[str, Any], node: SourceNode | None) -> None:
    if node is not None and str(node.value) in map(str, _SEVERITIES):
        rule["severity"] = _SEVERITIES[int(node.value)]


def _put_channels(context: ImportContext, draft: JobDraft, rule: dict[str, Any], actions: SourceNode | None) -> None:
    names: list[str] = []
    entries = list(actions.children()) if actions is not None and isinstance(actions.value, list) else []
    if actions is not None and isinstance(actions.value, dict) and actions.value:
        entries = [actions]
    for entry in entries:
        group = find_key(entry, "actiongroupid")
        identifier = read_optional_text(group)
        try:
            if not identifier.lower().startswith("/subscriptions/"):
                raise NotCarriedOver("the id of the action group is only known in Azure")
            channel = {"kind": "azure_action_group", "id": identifier}
            names.append(_add_channel(context, identifier.rpartition("/")[2], channel))
        except NotCarriedOver as error:
            draft.drop(entry, error.why, "define a channel azure_action_group, and name it in notify")
    if names:
        rule["notify"] = names


def _add_channel(context: ImportContext, hint: str, channel: dict[str, Any]) -> str:
    known = context.sections.get("alerting", {}).get("channels", {})
    same = next((name for name, entry in known.items() if entry == channel), None)
    return same if same is not None else add_named_entry(context, "channels", hint, channel)
