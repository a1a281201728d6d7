"""Imports the monitors of Uptime Kuma one by one: all types, what becomes of each, and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from importers.import_context import ImportContext, add_named_entry
from importers.ledger import JobDraft
from importers.reading import join_tags, write_duration
from importers.source_tree import NotCarriedOver
from importers.sources.kuma.connections import map_dns, map_port, map_smtp, map_websocket
from importers.sources.kuma.http import map_http
from importers.sources.kuma.monitor import KumaMonitor, MonitorMapper, put_alerts
from importers.sources.kuma.rows import COLUMNS_OF_TYPES, KumaRow, KumaRows
from importers.sources.kuma.services import (
    map_database,
    map_docker,
    map_grpc,
    map_kafka,
    map_mqtt,
    map_rabbitmq,
    map_real_browser,
)
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
    """Keep the token if it is long enough: then pings only change the start of their address."""
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


_MAX_LEVELS = 100


def import_groups(
    context: ImportContext, rows: KumaRows, jobs: Mapping[int, Sequence[str]], channels: Mapping[int, Sequence[str]]
) -> None:
    """Add a group for each monitor of the type `group`, with the jobs of all levels below it.

    `jobs`, `channels`: the names of the jobs, and of the channels, of each monitor.
    """
    for row in rows.of("monitor"):
        if row.text("type") != "group":
            continue
        try:
            _import_group(context, rows, row, jobs, channels.get(row.identifier, ()))
        except NotCarriedOver as error:
            context.ledger.record_rest(row.node, error.why, error.nearest)


def _import_group(
    context: ImportContext, rows: KumaRows, row: KumaRow, jobs: Mapping[int, Sequence[str]], channels: Sequence[str]
) -> None:
    members, is_nested = _find_members(rows, row, jobs)
    if not members:
        raise NotCarriedOver("the group has no monitors that were imported")
    rule: dict[str, Any] = {"for": write_duration(_delay(row))} if _delay(row) else {}
    if channels:
        rule["notify"] = list(channels)
    entry: dict[str, Any] = {"jobs": {"jobs": members}, "down_when": "any"}
    entry["alerts"] = [rule]
    if row.text("description"):
        entry["description"] = row.text("description")[:500]
    name = add_named_entry(context, "groups", row.text("name") or f"group {row.identifier}", entry, used=context.jobs)
    for node in row.nodes("name"):
        context.use(node, "" if node.value == name else f"the group is named {name}")
    for node in row.nodes("type"):
        context.use(node, "jobs of the groups below it are its own" if is_nested else "")
    for node in row.nodes("description"):
        context.use(node)
    for node in row.nodes("interval"):
        context.use(node, "a group is judged after each run of its jobs")
    for node in row.nodes("maxretries", "retry_interval"):
        context.use(node, "the retries are the time that a job must fail" if _delay(row) else "")
    for node in row.nodes("active"):
        context.use(node, "the jobs of the group are disabled")
    for node in row.nodes("parent", "domain_expiry_notification"):
        context.use(node)


def _delay(row: KumaRow) -> float:
    retries = max(row.whole("maxretries"), 0)
    return retries * (row.number("retry_interval") or row.number("interval", 60))


def _find_members(rows: KumaRows, group: KumaRow, jobs: Mapping[int, Sequence[str]]) -> tuple[list[str], bool]:
    """Return the names of the jobs of all levels, and whether there is more than one level."""
    names: dict[str, None] = {}
    level, seen, is_nested = [group.identifier], {group.identifier}, False
    for _ in range(_MAX_LEVELS):
        below: list[int] = []
        for parent in level:
            for child in rows.linked("monitor", "parent", parent):
                names.update(dict.fromkeys(jobs.get(child.identifier, ())))
                if child.text("type") == "group" and child.identifier not in seen:
                    seen.add(child.identifier)
                    below.append(child.identifier)
        if not below:
            break
        level, is_nested = below, True
    return list(names), is_nested


def is_below_inactive_group(rows: KumaRows, row: KumaRow) -> bool:
    """Whether a group above the monitor is not active, so that Uptime Kuma does not check the monitor either."""
    current: KumaRow | None = row
    for _ in range(_MAX_LEVELS):
        parent = current.values.get("parent") if current is not None else None
        current = rows.find("monitor", parent) if parent is not None else None
        if current is None:
            return False
        if not current.is_set("active"):
            return True
    return False


def join_jobs(context: ImportContext, hint: str, drafts: Sequence[JobDraft]) -> None:
    """Let a group of several jobs of one monitor be down when all of them are. Raises NotCarriedOver."""
    rule = dict(drafts[0].get("alerts")[0])
    opening = rule.pop("open_after", 1)
    if opening > 1:
        rule["for"] = drafts[0].get("schedule")["every"] if opening == 2 else "0s"
    entry = {"jobs": {"jobs": [draft.name for draft in drafts]}, "down_when": "all", "alerts": [rule]}
    add_named_entry(context, "groups", f"{hint} nodes", entry, used=context.jobs)
    for draft in drafts:
        draft.put("alerts", [])


class UnsupportedType(NamedTuple):
    """Why a type has no equivalent, and what is nearest."""

    why: str
    nearest: str


MAPPED_TYPES: Mapping[str, MonitorMapper] = {
    "http": map_http,
    "keyword": map_http,
    "json-query": map_http,
    "real-browser": map_real_browser,
    "docker": map_docker,
    "rabbitmq": map_rabbitmq,
    "port": map_port,
    "smtp": map_smtp,
    "websocket-upgrade": map_websocket,
    "dns": map_dns,
    "push": map_push,
    "mqtt": map_mqtt,
    "kafka-producer": map_kafka,
    "grpc-keyword": map_grpc,
    "sqlserver": map_database,
    "postgres": map_database,
    "mysql": map_database,
    "mongodb": map_database,
    "redis": map_database,
    "oracledb": map_database,
}

_PORT = "a job of the kind tcp for a port on which the host listens"
_HEARTBEAT = "a heartbeat that a script on that machine pings"
_UDP = "the protocol uses UDP, which checks do not, except for DNS"

REFUSED_TYPES: Mapping[str, UnsupportedType] = {
    "ping": UnsupportedType("there are no ICMP packets, which need privileges of the machine", _PORT),
    "tailscale-ping": UnsupportedType("there are no pings in a tailnet", _PORT),
    "globalping": UnsupportedType(
        "checks run where the scheduler runs, not at Globalping", "a job of the kind http, dns or tcp"
    ),
    "steam": UnsupportedType("there is no client of game servers", _PORT),
    "gamedig": UnsupportedType("there is no client of game servers", _PORT),
    "radius": UnsupportedType(_UDP, _HEARTBEAT),
    "snmp": UnsupportedType(_UDP, _HEARTBEAT),
    "ntp": UnsupportedType(_UDP, _HEARTBEAT),
    "sip-options": UnsupportedType("there is no client of SIP", _PORT),
    "pm2": UnsupportedType("a check does not see the processes of a machine", _HEARTBEAT),
    "system-service": UnsupportedType("a check does not see the services of a machine", _HEARTBEAT),
    "manual": UnsupportedType(
        "a status that people set is not a check", "a heartbeat whose pings report status=up or status=down"
    ),
}
UNKNOWN_TYPE = UnsupportedType("the importer does not know this type of monitor", _PORT)


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
    linked_tags = [(rows.find("tag", link.values.get("tag_id")), link) for link in links]
    pairs = [(tag.text("name"), link.text("value")) for tag, link in linked_tags if tag is not None]
    tags = join_tags(pairs)
    nodes = [node for tag, link in linked_tags if tag is not None for node in (*tag.nodes("name"), link.node)]
    if tags:
        how = "a tag without a value has the value true" if "true" in tags.values() else ""
        draft.put("tags", tags, *nodes, how=how)
    for tag, link in linked_tags:
        if tag is None:
            draft.drop(link.node, "its tag does not exist")


def use_idle_columns(context: ImportContext, row: KumaRow) -> None:
    """Columns that a type does not use have no effect in Uptime Kuma either: its form fills some for all types."""
    for column in COLUMNS_OF_TYPES:
        for node in row.nodes(column):
            if not context.ledger.is_recorded(node):
                context.use_idle(node, f"has no effect on a monitor of the type {row.text('type')}")
