"""An endpoint of Gatus as a job: internal, external, and the times of maintenance."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

from importers.http_requests import put_body, put_header
from importers.import_context import ImportContext, make_slug, make_unique
from importers.ledger import JobDraft, KeyHandler, drop_key
from importers.reading import (
    read_boolean,
    read_list,
    read_mapping,
    read_optional_text,
    read_seconds,
    read_text,
    write_duration,
)
from importers.source_tree import (
    NotCarriedOver,
    SourceNode,
    children_of,
)
from importers.sources.gatus.alerts import AlertDefaults, put_alerts
from importers.sources.gatus.clients import fill_body, find_kind, put_client, put_target, read_known_text
from importers.sources.gatus.condition_values import Placeholder, parse_condition
from importers.sources.gatus.conditions import RCODES, map_condition

_START = re.compile(r"(\d{2}):(\d{2})")
_DAYS = {"sunday": "SUN", "monday": "MON", "tuesday": "TUE", "wednesday": "WED", "thursday": "THU", "friday": "FRI",
         "saturday": "SAT"}  # fmt: skip


def add_window(context: ImportContext, node: SourceNode, select: dict[str, Any], hint: str) -> None:
    """Add a window, during which alerts of the selected jobs are not sent."""
    try:
        window = _read_window(node)
    except NotCarriedOver as error:
        context.ledger.record_rest(node, error.why, error.nearest)
        return
    if window is None:
        context.ledger.record_rest(node, "the window is disabled")
        return
    known = [child for child in node.children() if child.key in ("enabled", "start", "duration", "timezone", "every")]
    names = {one["name"] for one in context.sections.get("alerting", {}).get("windows", [])}
    name = make_unique(make_slug(f"{hint}-maintenance"), names)
    context.put_section("alerting.windows[]", {"name": name, **window, "select": select}, *known)


def _read_window(node: SourceNode) -> dict[str, Any] | None:
    keys = read_mapping(node)
    if "enabled" in keys and not read_boolean(keys["enabled"]):
        return None
    start = _START.fullmatch(read_optional_text(keys.get("start")))
    if start is None or "duration" not in keys:
        raise NotCarriedOver("it has no start such as 23:00, or no duration", "a window of the section alerting")
    days = [read_text(day) for day in read_list(keys["every"])] if "every" in keys else []
    names = [_DAYS[day.lower()] for day in days if day.lower() in _DAYS]
    if len(names) != len(days):
        raise NotCarriedOver("expected names of days, such as Monday", "a window of the section alerting")
    timezone = read_optional_text(keys.get("timezone")) or "UTC"
    cron = f"0 {int(start[2])} {int(start[1])} * * {','.join(names) or '*'}"
    return {"schedule": {"cron": cron, "timezone": timezone}, "for": write_duration(read_seconds(keys["duration"]))}


DEFAULT_INTERVAL = "1m"
UI_REASON = "it changes how Gatus shows results"
SUITE_REASON = "Gatus uses it in suites alone"


def map_endpoint(endpoint: SourceNode, context: ImportContext, defaults: AlertDefaults) -> None:
    """Add the job of an endpoint, or report why there cannot be one."""
    try:
        kind = find_kind(endpoint)
        draft = start_job(endpoint, context)
    except NotCarriedOver as error:
        context.ledger.record_rest(endpoint, error.why, error.nearest)
        return
    try:
        put_target(context, draft, endpoint, kind)
    except NotCarriedOver as error:
        context.discard_job(draft, error.why, error.nearest)
        return
    draft.put("schedule", {"every": DEFAULT_INTERVAL})
    draft.put("retry", {"attempts": 1})
    put_client(context, draft, endpoint.child("client"), kind)
    draft.map_keys(endpoint, _handlers(context, endpoint, kind, defaults))
    if kind == "http":
        put_request(context, draft, endpoint)
    put_conditions(draft, endpoint, kind)


def start_job(endpoint: SourceNode, context: ImportContext) -> JobDraft:
    """Add a job with the name and group of a node. Raises NotCarriedOver."""
    name = endpoint.child("name")
    if name is None:
        raise NotCarriedOver("it has no name")
    group = read_optional_text(endpoint.child("group"))
    text = read_text(name)
    draft = context.new_job(f"{group} {text}".strip(), endpoint, name)
    if draft.name != text:
        draft.put("description", text[:500], name)
    return draft


def _handlers(
    context: ImportContext, endpoint: SourceNode, kind: str, defaults: AlertDefaults
) -> dict[str, KeyHandler]:
    return {
        "enabled": put_enabled,
        "group": put_group,
        "interval": put_interval,
        "extra-labels": put_labels,
        "alerts": partial(put_alerts, context, defaults),
        "maintenance-windows": partial(_put_windows, context),
        "ui": put_ui,
        "store": drop_key(SUITE_REASON),
        "always-run": drop_key(SUITE_REASON),
        "ssh": _put_ssh,
        **({} if kind == "http" else dict.fromkeys(("method", "headers", "graphql"), _unused)),
    }


def _unused(draft: JobDraft, node: SourceNode) -> None:
    draft.use(node, how="Gatus does not use it for this kind of endpoint")


def _put_ssh(draft: JobDraft, node: SourceNode) -> None:
    draft.use(node, how="without a user, Gatus reads the greeting of the server alone")


def put_enabled(draft: JobDraft, node: SourceNode) -> None:
    """Set `enabled`."""
    draft.put("enabled", read_boolean(node), node)


def put_group(draft: JobDraft, node: SourceNode) -> None:
    """Set the tag `group`."""
    text = read_known_text(node)
    if text:
        draft.put(("tags", "group"), text, node)
    else:
        draft.use(node)


def put_interval(draft: JobDraft, node: SourceNode) -> None:
    """Set the schedule."""
    seconds = read_seconds(node)
    draft.put("schedule", {"every": write_duration(seconds) if seconds else DEFAULT_INTERVAL}, node)


def put_labels(draft: JobDraft, node: SourceNode) -> None:
    """Set a tag for each label."""
    for key, value in read_mapping(node).items():
        draft.map_key(value, lambda job, one, key=key: job.put(("tags", key), read_known_text(one), one))  # type: ignore[misc]


def put_ui(draft: JobDraft, node: SourceNode) -> None:
    """Report the keys about the dashboard; a value that changes nothing is the same here."""
    for leaf in node.leaves():
        if leaf.value in (False, None) or leaf.value == {}:
            draft.use(leaf)
        else:
            draft.drop(leaf, UI_REASON, "the dashboard of the scheduler, docs/dashboard.md")


def _put_windows(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    for window in read_list(node):
        add_window(context, window, {"jobs": [draft.name]}, draft.name)


def put_request(context: ImportContext, draft: JobDraft, endpoint: SourceNode, path: str = "check") -> None:
    """Set method, headers and body of a request."""
    headers = endpoint.child("headers")
    content_type = ""
    for header in children_of(headers):
        if header.key.lower() == "content-type":
            content_type = read_optional_text(header)
        draft.map_key(header, partial(_put_header, context, path))
    draft.map_keys(endpoint, {"method": partial(_put_method, path)})
    body, graphql = endpoint.child("body"), endpoint.child("graphql")
    is_query = graphql is not None and graphql.value is True
    if graphql is not None:
        draft.use(graphql)
    if body is None:
        return
    put = partial(_put_body, context, endpoint, path, content_type, is_query)
    draft.map_key(body, put)


def _put_method(path: str, draft: JobDraft, node: SourceNode) -> None:
    draft.put(f"{path}.method", read_known_text(node).upper() or "GET", node)


def _put_header(context: ImportContext, path: str, draft: JobDraft, node: SourceNode) -> None:
    put_header(context, draft, node.key, read_text(node), node, path=path)


def _put_body(
    context: ImportContext,
    endpoint: SourceNode,
    path: str,
    content_type: str,
    is_query: bool,
    draft: JobDraft,
    node: SourceNode,
) -> None:
    text = read_text(node)
    if "[RANDOM_STRING_" in text or "[LOCAL_ADDRESS]" in text:
        raise NotCarriedOver("the body has a value that is made for each run", "a fixed text")
    if not text:
        draft.use(node)
        return
    filled = fill_body(text, endpoint)
    how = "placeholders are replaced" if filled != text else ""
    if is_query:
        filled, how = json.dumps({"query": filled}, ensure_ascii=False), "the body of a GraphQL request"
        content_type = content_type or "application/json"
    if "${" in filled:
        read_known_text(node)
    put_body(context, draft, filled, content_type, node, path=path, how=how)


def put_conditions(draft: JobDraft, endpoint: SourceNode, kind: str) -> None:
    """Set `expect` from the conditions. Without one about the status, Gatus accepts any."""
    conditions = endpoint.child("conditions")
    subjects: set[Placeholder] = set()
    for node in children_of(conditions):
        try:
            mapped = map_condition(parse_condition(read_known_text(node)), kind)
        except NotCarriedOver as error:
            draft.drop(node, error.why, error.nearest)
            continue
        subjects.add(mapped.subject)
        for entry in mapped.entries:
            draft.expect(entry, node)
        draft.use(node, how=mapped.how)
    expected = draft.definition.get("expect", [])
    keys = {key for entry in expected for key in entry}
    if kind == "http" and not keys & {"status", "error"}:
        draft.expect({"status": "100-599"})
    if kind == "dns" and "rcode" not in keys:
        draft.expect({"rcode": list(RCODES)})


_WITHOUT_INTERVAL = 366 * 86400.0
"""Seconds: the longest period, for endpoints from which Gatus expects no regular result."""
_SHORTEST_GRACE = 1.0


def map_external(endpoint: SourceNode, context: ImportContext, defaults: AlertDefaults) -> None:
    """Add a heartbeat job, or report why there cannot be one."""
    try:
        draft = start_job(endpoint, context)
    except NotCarriedOver as error:
        context.ledger.record_rest(endpoint, error.why, error.nearest)
        return
    draft.put("check.kind", "heartbeat")
    token = context.secrets.require(
        f"{draft.name}-token",
        f"a new token for the pings of {draft.name}, with at least 16 characters: openssl rand -hex 16",
        endpoint.child("token"),
    )
    how = "a new secret; the program pings /api/ping/TOKEN instead of /api/v1/endpoints/KEY/external"
    draft.put("check.token", token, endpoint.child("token"), how=how)
    interval = endpoint.child("heartbeat", "interval")
    try:
        seconds = read_seconds(interval) if interval is not None else 0.0
    except NotCarriedOver as error:
        context.discard_job(draft, error.why, error.nearest)
        return
    if seconds and interval is not None:
        draft.put("check.period", write_duration(seconds), interval)
        draft.put("check.grace", write_duration(_SHORTEST_GRACE))
    else:
        draft.put("check.period", write_duration(_WITHOUT_INTERVAL))
        draft.use(interval, how="no regular ping is expected: a period of a year")
    draft.map_keys(
        endpoint,
        {
            "enabled": put_enabled,
            "group": put_group,
            "alerts": partial(put_alerts, context, defaults),
        },
    )
    windows = endpoint.child("maintenance-windows")
    if windows is not None and isinstance(windows.value, list):
        for window in read_list(windows):
            add_window(context, window, {"jobs": [draft.name]}, draft.name)
