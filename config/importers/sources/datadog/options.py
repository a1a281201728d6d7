"""Maps the options of a test: schedule, retries, alerts. Called by synthetic_tests."""

from __future__ import annotations

from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.values.durations import write_duration
from config.importers.values.reading import read_integer, read_optional_text
from config.importers.values.sections import add_listed_entry
from jobs.policies.execution import LONGEST_RUN_TIMEOUT, MOST_ATTEMPTS

DEFAULT_TICK = 60
_MOST_SECONDS = 366 * 86_400
_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_RETRIED = ["connection", "timeout", "expectation", "1xx", "2xx", "3xx", "4xx", "5xx"]
_SEVERITIES = {1: "down", 2: "down", 3: "degraded", 4: "degraded", 5: "info"}
_ONE_PLACE = "the scheduler checks from where it runs"
_OF_DATADOG = "a setting of Datadog itself"
_HANDLED = ("follow_redirects", "allow_insecure", "httpVersion", "checkCertificateRevocation", "accept_self_signed")
_HANDLED_BY_KIND = (*_HANDLED, "disableAiaIntermediateFetching", "tick_every", "retry", "min_failure_duration")


def put_options(context: ImportContext, draft: JobDraft, options: SourceNode | None, attempt: float) -> None:
    """Set schedule, timeouts, retries and the alert rule. `attempt`: seconds of the timeout of one attempt."""
    tick = _child(options, "tick_every")
    seconds = read_integer(tick) if tick is not None and tick.value else DEFAULT_TICK
    if seconds > _MOST_SECONDS:
        raise NotCarriedOver("its interval is too long")
    draft.put("schedule", {"every": write_duration(max(seconds, 1))}, *_given(tick))
    _put_retry(draft, _child(options, "retry"), min(attempt, LONGEST_RUN_TIMEOUT))
    _put_alert(draft, options)
    _put_scheduling(context, draft, _child(options, "scheduling"))
    for child in options.children() if options is not None else ():
        if context.ledger.is_recorded(child):
            continue
        if child.key == "min_location_failed" and child.value not in (None, 0, 1):
            draft.drop(child, _ONE_PLACE, "several schedulers, and a group of alerts (down_when: {at_least: 2})")
        elif child.key in _HANDLED_BY_KIND or child.key == "min_location_failed" or not child.value:
            draft.use(child)
        elif child.key != "monitor_options":
            draft.use(child, how=_OF_DATADOG)


def _child(node: SourceNode | None, *keys: str) -> SourceNode | None:
    return node.child(*keys) if node is not None else None


def _given(node: SourceNode | None) -> list[SourceNode]:
    return [] if node is None else [node]


def _put_retry(draft: JobDraft, node: SourceNode | None, attempt: float) -> None:
    count_node, interval_node = _child(node, "count"), _child(node, "interval")
    count = read_integer(count_node) if count_node is not None and count_node.value else 0
    wait = (read_integer(interval_node) if interval_node is not None and interval_node.value else 300) / 1000
    fitting = int((LONGEST_RUN_TIMEOUT + wait) // (attempt + wait)) if attempt + wait > 0 else 1
    attempts = max(min(count + 1, MOST_ATTEMPTS, fitting), 1)
    retry: dict[str, Any] = {"attempts": attempts}
    if attempts > 1:
        retry |= {"backoff": "constant", "initial": write_duration(wait), "jitter": "none", "on": _RETRIED}
        retry["non_idempotent"] = True
    how = "" if attempts == count + 1 else f"{attempts} attempts, as a run lasts at most 8 minutes"
    draft.put("retry", retry, *_given(count_node), *_given(interval_node), how=how)
    draft.put("timeout.attempt", write_duration(attempt))
    draft.put("timeout.run", write_duration(attempts * attempt + (attempts - 1) * wait))


def _put_alert(draft: JobDraft, options: SourceNode | None) -> None:
    rule: dict[str, Any] = {"open_after": 1}
    duration = _child(options, "min_failure_duration")
    if duration is not None and duration.value:
        rule["for"] = write_duration(read_integer(duration))
    priority = _child(options, "monitor_priority")
    if priority is not None and priority.value in _SEVERITIES:
        rule["severity"] = _SEVERITIES[priority.value]
        draft.use(priority, how=f"the severity {rule['severity']}")
    renotify = _child(options, "monitor_options", "renotify_interval")
    if renotify is not None and renotify.value:
        rule["remind_every"] = write_duration(read_integer(renotify) * 60)
    draft.put("alerts", [rule], *_given(duration), *_given(renotify))
    settings = _child(options, "monitor_options")
    for child in settings.children() if settings is not None else ():
        if child.key == "renotify_interval" or not child.value:
            draft.use(child)
        else:
            draft.drop(child, "a message is made by alerting.templates", "escalate and remind_every of the rule")


def _put_scheduling(context: ImportContext, draft: JobDraft, node: SourceNode | None) -> None:
    """Times at which the test runs become windows outside of which the job pauses."""
    frames, zone = _child(node, "timeframes"), _child(node, "timezone")
    for frame in frames.children() if frames is not None else ():
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
    draft.use(*_given(zone))
