"""Maps one test of Datadog Synthetics and its options (schedule, retries, alerts) to a job."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from importers.http_requests import TestVariables
from importers.import_context import ImportContext, add_listed_entry
from importers.ledger import JobDraft, KeyHandler, use_key
from importers.reading import find_text, read_integer, read_optional_text, split_tags, write_duration
from importers.source_tree import (
    NotCarriedOver,
    SourceNode,
    child_of,
    children_of,
    refuse_unresolved,
)
from importers.sources.datadog.kinds import MAPPED_SUBTYPES, REFUSED_SUBTYPES
from importers.sources.datadog.requests import map_steps
from jobs.policies.execution import MAX_ATTEMPTS, MAX_RUN_TIMEOUT

DEFAULT_TICK = 60
_MAX_SECONDS = 366 * 86_400
_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_RETRIED = ["connection", "timeout", "expectation", "1xx", "2xx", "3xx", "4xx", "5xx"]
_SEVERITIES = {1: "down", 2: "down", 3: "degraded", 4: "degraded", 5: "info"}
_ONE_PLACE = "the scheduler checks from where it runs"
_SETTING_OF_DATADOG = "a setting of Datadog itself"
_HANDLED = ("follow_redirects", "allow_insecure", "httpVersion", "checkCertificateRevocation", "accept_self_signed")
_HANDLED_BY_KIND = (*_HANDLED, "disableAiaIntermediateFetching", "tick_every", "retry", "min_failure_duration")


def put_options(context: ImportContext, draft: JobDraft, options: SourceNode | None, attempt: float) -> None:
    """Set schedule, timeouts, retries and the alert rule. `attempt`: seconds of the timeout of one attempt."""
    tick = child_of(options, "tick_every")
    seconds = read_integer(tick) if tick is not None and tick.value else DEFAULT_TICK
    if seconds > _MAX_SECONDS:
        raise NotCarriedOver("its interval is too long")
    draft.put("schedule", {"every": write_duration(max(seconds, 1))}, tick)
    _put_retry(draft, child_of(options, "retry"), min(attempt, MAX_RUN_TIMEOUT))
    _put_alert(draft, options)
    _put_scheduling(context, draft, child_of(options, "scheduling"))
    for child in children_of(options):
        if context.ledger.is_recorded(child):
            continue
        if child.key == "min_location_failed" and child.value not in (None, 0, 1):
            draft.drop(child, _ONE_PLACE, "several schedulers, and a group of alerts (down_when: {at_least: 2})")
        elif child.key in _HANDLED_BY_KIND or child.key == "min_location_failed" or not child.value:
            draft.use(child)
        elif child.key != "monitor_options":
            draft.use(child, how=_SETTING_OF_DATADOG)


def _put_retry(draft: JobDraft, node: SourceNode | None, attempt: float) -> None:
    count_node, interval_node = child_of(node, "count"), child_of(node, "interval")
    count = read_integer(count_node) if count_node is not None and count_node.value else 0
    wait = (read_integer(interval_node) if interval_node is not None and interval_node.value else 300) / 1000
    fitting = int((MAX_RUN_TIMEOUT + wait) // (attempt + wait)) if attempt + wait > 0 else 1
    attempts = max(min(count + 1, MAX_ATTEMPTS, fitting), 1)
    retry: dict[str, Any] = {"attempts": attempts}
    if attempts > 1:
        retry |= {"backoff": "constant", "initial": write_duration(wait), "jitter": "none", "on": _RETRIED}
        retry["non_idempotent"] = True
    how = "" if attempts == count + 1 else f"{attempts} attempts, as a run lasts at most 8 minutes"
    draft.put("retry", retry, count_node, interval_node, how=how)
    draft.put("timeout.attempt", write_duration(attempt))
    draft.put("timeout.run", write_duration(attempts * attempt + (attempts - 1) * wait))


def _put_alert(draft: JobDraft, options: SourceNode | None) -> None:
    rule: dict[str, Any] = {"open_after": 1}
    duration = child_of(options, "min_failure_duration")
    if duration is not None and duration.value:
        rule["for"] = write_duration(read_integer(duration))
    priority = child_of(options, "monitor_priority")
    if priority is not None and priority.value in _SEVERITIES:
        rule["severity"] = _SEVERITIES[priority.value]
        draft.use(priority, how=f"the severity {rule['severity']}")
    renotify = child_of(options, "monitor_options", "renotify_interval")
    if renotify is not None and renotify.value:
        rule["remind_every"] = write_duration(read_integer(renotify) * 60)
    draft.put("alerts", [rule], duration, renotify)
    for child in children_of(child_of(options, "monitor_options")):
        has_effect = child.key != "renotify_interval" and child.value
        nearest = "escalate and remind_every of the rule"
        draft.drop_if(has_effect, child, "a message is made by alerting.templates", nearest)


def _put_scheduling(context: ImportContext, draft: JobDraft, node: SourceNode | None) -> None:
    """Times at which the test runs become windows outside of which the job pauses."""
    frames, zone = child_of(node, "timeframes"), child_of(node, "timezone")
    for frame in children_of(frames):
        day, begin, end = (frame.child(key) for key in ("day", "from", "to"))
        try:
            if day is None or begin is None or end is None or day.value not in range(1, 8):
                raise NotCarriedOver("it is not a day from 1 to 7 with two times")
            weekly = {"days": _DAYS[day.value - 1], "from": str(begin.value), "to": str(end.value)}
            entry: dict[str, Any] = {
                "weekly": weekly,
                "only_then": True,
                "effect": "pause",
                "select": {"jobs": draft.name},
            }
            if read_optional_text(zone):
                entry["timezone"] = read_optional_text(zone)
            add_listed_entry(context, "windows", f"{draft.name}-{weekly['days']}", entry)
        except NotCarriedOver as error:
            draft.drop(frame, error.why, error.nearest)
        else:
            draft.use(*frame.leaves(), how="a window outside of which the job pauses")
    draft.use(zone)


_REFUSED_TYPES = {
    "browser": ("there is no browser", "an http job for the start page, or steps for its requests"),
    "mobile": ("there are no mobile devices", "steps for the requests of the app"),
    "network": ("paths of packets are not traced", "a job of the kind tcp"),
}
_USE_STATE = use_key("state of Datadog, which the job does not need")
_MAX_DESCRIPTION = 500


def import_test(context: ImportContext, node: SourceNode, globals_: Mapping[str, tuple[str, SourceNode]]) -> None:
    """Add the job of a test."""
    kind = find_text(node.child("type")) or "api"
    if kind != "api":
        why, nearest = _REFUSED_TYPES.get(kind, (f"a test of the type {kind} has no equivalent", ""))
        context.ledger.record_rest(node, why, nearest)
        return
    draft = context.new_job(find_text(node.child("name")) or "test", node, node.child("name"))
    try:
        _put_check(context, draft, node, globals_)
    except NotCarriedOver as error:
        context.discard_job(draft, error.why, error.nearest)
        return
    draft.map_keys(node, _HANDLERS)


def _put_check(
    context: ImportContext, draft: JobDraft, node: SourceNode, globals_: Mapping[str, tuple[str, SourceNode]]
) -> None:
    config, options = node.child("config"), node.child("options")
    if config is None:
        raise NotCarriedOver("the test has no configuration")
    subtype = read_optional_text(node.child("subtype")) or "http"
    if subtype in REFUSED_SUBTYPES:
        raise NotCarriedOver(*REFUSED_SUBTYPES[subtype])
    mapper = map_steps if subtype == "multi" else MAPPED_SUBTYPES.get(subtype)
    if mapper is None:
        raise NotCarriedOver(f"a test of the subtype {subtype} has no equivalent")
    variables = _read_variables(context, draft, config, globals_)
    variables.are_steps = subtype == "multi"
    draft.use(node.child("type"), node.child("subtype"))
    seconds = mapper(variables, draft, config, options)
    put_options(context, draft, options, seconds)
    script = config.child("variablesFromScript")
    draft.drop_if(script and script.value, script, "there are no scripts", "write the values of the variables")


def _read_variables(
    context: ImportContext, draft: JobDraft, config: SourceNode, globals_: Mapping[str, tuple[str, SourceNode]]
) -> TestVariables:
    variables = TestVariables(context, draft.name)
    variables.values.update(globals_)
    variables.values.update({name: (value, None) for name, value in context.options.variables.items()})
    for key in ("configVariables", "variables"):
        listed = config.child(key)
        for node in children_of(listed):
            name = read_optional_text(node.child("name"))
            if read_optional_text(node.child("type")) == "global":
                if name not in variables.values:
                    variables.external.add(name)
                draft.use(*node.leaves(), how="a global variable of Datadog")
                continue
            value = node.child("pattern")
            text = read_optional_text(value)
            if "{{" not in text:  # a pattern such as {{ numeric(3) }} is different in each run
                variables.values.setdefault(name, (text, value))
            draft.use(*(leaf for leaf in node.leaves() if leaf.key != "pattern"))
            draft.use(value)
        if listed is not None and not listed.value:
            draft.use(listed)
    return variables


def _map_message(draft: JobDraft, node: SourceNode) -> None:
    refuse_unresolved(node)
    text = read_optional_text(node).strip()
    if not text:
        draft.use(node)
        return
    handles = re.findall(r"@[\w.:@-]+", text)
    how = "the message is the description"
    if handles:
        how += f"; it does not notify ({', '.join(handles[:5])}): define channels, and name them in notify"
    printable = "".join(sign if sign.isprintable() or sign in "\n\t" else " " for sign in text)
    draft.put("description", printable[:_MAX_DESCRIPTION], node, how=how)


def _map_status(draft: JobDraft, node: SourceNode) -> None:
    draft.put_if(node.value == "paused", "enabled", False, node)


def _map_tags(draft: JobDraft, node: SourceNode) -> None:
    texts = [str(child.value) for child in node.children() if isinstance(child.value, str)]
    tags = split_tags(texts)
    how = "a tag without a value has the value true" if "true" in tags.values() else ""
    draft.put_if(bool(tags), "tags", tags, node, how=how)


def _map_locations(draft: JobDraft, node: SourceNode) -> None:
    if not node.value:
        draft.use(node)
        return
    nearest = "run a scheduler in each region, and let a group of alerts decide (down_when: {at_least: 2})"
    raise NotCarriedOver("the scheduler checks from where it runs", nearest)


_HANDLERS: dict[str, KeyHandler] = {
    "message": _map_message,
    "status": _map_status,
    "tags": _map_tags,
    "locations": _map_locations,
    **dict.fromkeys(("public_id", "monitor_id", "creator", "created_at", "modified_at", "modified_by"), _USE_STATE),
    **dict.fromkeys(("org_id", "id", "overall_state", "overall_state_modified", "created_by"), _USE_STATE),
    **dict.fromkeys(("deleted_at", "editor", "version", "force_delete_dependencies"), _USE_STATE),
    **dict.fromkeys(("forceDeleteDependencies", "steps", "stepCount"), _USE_STATE),
}
