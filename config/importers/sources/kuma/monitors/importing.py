"""Imports the monitors of Uptime Kuma one by one. Called by source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.sources.kuma.defaults import COLUMNS_OF_TYPES
from config.importers.sources.kuma.groups import is_below_inactive_group, join_jobs
from config.importers.sources.kuma.monitors.monitor import KumaMonitor
from config.importers.sources.kuma.monitors.types import MAPPED_TYPES, REFUSED_TYPES, UNKNOWN_TYPE
from config.importers.sources.kuma.rows import KumaRow, KumaRows
from config.importers.values.tags import join_tags

_NO_DOMAINS = "the registration of domains is not checked"
_TYPES_WITH_DOMAIN = frozenset(
    {"http", "keyword", "json-query", "real-browser", "websocket-upgrade", "port", "grpc-keyword", "dns", "smtp"}
)
_NO_ORDER = "lists are sorted by name"


def import_monitors(
    context: ImportContext, rows: KumaRows, channels: Mapping[int, Sequence[str]], expiry_days: Sequence[int]
) -> dict[int, list[str]]:
    """Add the jobs of all monitors but groups. Return their names by the id of the monitor."""
    jobs: dict[int, list[str]] = {}
    domains = 0
    for row in rows.of("monitor"):
        if row.text("type") == "group":
            continue
        monitor = KumaMonitor(context, rows, row, channels.get(row.identifier, ()), expiry_days)
        drafts = _import_monitor(monitor)
        jobs[row.identifier] = [draft.name for draft in drafts]
        domains += bool(drafts) and row.is_set("domain_expiry_notification") and row.text("type") in _TYPES_WITH_DOMAIN
    if domains:
        context.notes.append(f"{domains} monitors warn before their domain expires: {_NO_DOMAINS}")
    return jobs


def _import_monitor(monitor: KumaMonitor) -> Sequence[JobDraft]:
    context, row = monitor.context, monitor.row
    kind = row.text("type")
    mapper = MAPPED_TYPES.get(kind)
    if mapper is None:
        refusal = REFUSED_TYPES.get(kind, UNKNOWN_TYPE)
        _refuse(monitor, refusal.why, refusal.nearest)
        return ()
    known = set(context.jobs)
    try:
        drafts = mapper(monitor)
    except NotCarriedOver as error:
        for name in [name for name in context.jobs if name not in known]:
            context.discard_job(context.jobs[name], error.why, error.nearest)
        _refuse(monitor, error.why, error.nearest)
        return ()
    for draft in drafts:
        _finish(monitor, draft)
    if kind == "rabbitmq" and len(drafts) > 1:
        join_jobs(context, monitor.name, drafts)
    return drafts


def _refuse(monitor: KumaMonitor, why: str, nearest: str) -> None:
    monitor.drop(why, nearest)
    rows, row = monitor.rows, monitor.row
    for table in ("monitor_tag", "monitor_notification"):
        for link in rows.linked(table, "monitor_id", row.identifier):
            monitor.context.ledger.record_rest(link.node, f"its monitor is not carried over: {why}", nearest)


def _finish(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Add tags, links and the state of the group, and record columns that the type does not use."""
    rows, row = monitor.rows, monitor.row
    if is_below_inactive_group(rows, row):
        draft.put("enabled", False)
    _put_tags(monitor, draft)
    parent = rows.find("monitor", row.values.get("parent"))
    how = "" if parent is not None and parent.text("type") == "group" else "it has no group"
    draft.use(*row.nodes("parent"), how=how)
    for node in row.nodes("weight"):
        draft.drop(node, _NO_ORDER)
    for node in row.nodes("domain_expiry_notification"):
        draft.use(node)
    use_idle_columns(monitor.context, row)


def _put_tags(monitor: KumaMonitor, draft: JobDraft) -> None:
    rows, row = monitor.rows, monitor.row
    links = rows.linked("monitor_tag", "monitor_id", row.identifier)
    found = [(rows.find("tag", link.values.get("tag_id")), link) for link in links]
    pairs = [(tag.text("name"), link.text("value")) for tag, link in found if tag is not None]
    tags = join_tags(pairs)
    nodes = [node for tag, link in found if tag is not None for node in (*tag.nodes("name"), link.node)]
    if tags:
        how = "a tag without a value has the value true" if "true" in tags.values() else ""
        draft.put("tags", tags, *nodes, how=how)
    for tag, link in found:
        if tag is None:
            draft.drop(link.node, "its tag does not exist")


def use_idle_columns(context: ImportContext, row: KumaRow) -> None:
    """Columns that a type does not use have no effect in Uptime Kuma either: its form fills some for all types."""
    for column in COLUMNS_OF_TYPES:
        for node in row.nodes(column):
            if not context.ledger.is_recorded(node):
                context.use_idle(node, f"has no effect on a monitor of the type {row.text('type')}")
