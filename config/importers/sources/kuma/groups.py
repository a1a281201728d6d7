"""Maps monitors of the type `group` to groups of alerts, and monitors of several jobs, such as nodes of a cluster.
Called by source and monitors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.sources.kuma.rows import KumaRow, KumaRows
from config.importers.values.durations import write_duration
from config.importers.values.sections import add_named_entry

_MOST_LEVELS = 100


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
    for _ in range(_MOST_LEVELS):
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
    for _ in range(_MOST_LEVELS):
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
