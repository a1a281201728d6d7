"""Maps the type `push` to a heartbeat. Called by types."""

from __future__ import annotations

from collections.abc import Sequence

from importers.errors import NotCarriedOver
from importers.job_draft import JobDraft
from importers.sources.kuma.monitors.monitor import KumaMonitor, put_alerts
from importers.values.reading import write_duration
from jobs.targets.heartbeat import SHORTEST_TOKEN

_JUDGED_EACH = 60.0
"""Seconds, by default."""


def map_push(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a heartbeat that is late after the retries of the monitor."""
    row = monitor.row
    if row.is_set("upside_down"):
        raise NotCarriedOver("upside down: a heartbeat that must be missing has no equivalent")
    draft = monitor.new_draft("heartbeat")
    _put_token(monitor, draft)
    draft.put("check.period", write_duration(monitor.interval), *row.nodes("interval"))
    retries = max(row.whole("maxretries"), 0)
    grace = max(retries * (row.number("retry_interval") or monitor.interval), 1.0)
    how = "the retries are the time that a ping can be late" if retries else ""
    draft.put("check.grace", write_duration(grace), *row.nodes("maxretries", "retry_interval"), how=how)
    # Without a first ping, the monitor is down as well.
    draft.put("check.first_within", write_duration(monitor.interval + grace))
    if monitor.interval < _JUDGED_EACH:
        draft.put("schedule", {"every": write_duration(monitor.interval)})
    if row.text("description"):
        draft.put("description", row.text("description")[:500], *row.nodes("description"))
    if not row.is_set("active"):
        draft.put("enabled", False, *row.nodes("active"))
    put_alerts(monitor, draft, 1, ())
    return [draft]


def _put_token(monitor: KumaMonitor, draft: JobDraft) -> None:
    """The same token serves here, if it is long enough: then pings only change the start of their address."""
    nodes = monitor.row.nodes("push_token")
    token, hint = monitor.row.text("push_token"), f"{draft.name}-token"
    if len(token) >= SHORTEST_TOKEN:
        purpose = f"token of the pings of {draft.name}, as in /api/push/TOKEN: pings go to /api/ping/TOKEN now"
        reference = monitor.context.secrets.reference(token, hint, purpose, next(iter(nodes), None))
        draft.put("check.token", reference, *nodes, how="pings go to /api/ping/TOKEN, with the same status and msg")
    else:
        purpose = f"new token of the pings of {draft.name}, at least {SHORTEST_TOKEN} characters: openssl rand -hex 16"
        reference = monitor.context.secrets.require(hint, purpose)
        how = f"a new token is required, as one has at least {SHORTEST_TOKEN} characters"
        draft.put("check.token", reference, *nodes, how=how)
