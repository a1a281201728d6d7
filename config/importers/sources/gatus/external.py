"""An external endpoint of Gatus as a heartbeat. Called by files."""

from __future__ import annotations

from functools import partial

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.node import SourceNode
from config.importers.sources.gatus.alerts import AlertDefaults, put_alerts
from config.importers.sources.gatus.endpoints import put_enabled, put_group, start_job
from config.importers.sources.gatus.maintenance import add_window
from config.importers.values.durations import read_seconds, write_duration
from config.importers.values.reading import read_list

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
    nodes = [node for node in (endpoint.child("token"),) if node is not None]
    how = "a new secret; the program pings /api/ping/TOKEN instead of /api/v1/endpoints/KEY/external"
    draft.put("check.token", token, *nodes, how=how)
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
        if interval is not None:
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
