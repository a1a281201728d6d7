"""Imports the database of Uptime Kuma 1.x and 2.x, or the JSON backup of 1.x. Called by registry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from config.importers.errors import UnreadableSource
from config.importers.import_context import ImportContext
from config.importers.node import SourceNode, SourceTree
from config.importers.source_file import SourceFile
from config.importers.sources.kuma.backup import is_backup, read_backup
from config.importers.sources.kuma.database import MAGIC, KumaDatabase, open_database
from config.importers.sources.kuma.groups import import_groups
from config.importers.sources.kuma.maintenance import import_maintenances
from config.importers.sources.kuma.monitors.importing import import_monitors, use_idle_columns
from config.importers.sources.kuma.notifications import import_notifications
from config.importers.sources.kuma.rows import KumaRow, KumaRows, parse_json_column, prune_row
from config.importers.sources.kuma.tables import (
    DEFINITION_TABLES,
    OTHER_SETTING,
    REFUSED_TABLES,
    RESULT_TABLES,
    SETTING_REASONS,
    UNKNOWN_TABLE,
)
from jobs.formats.counts import format_count

_MARKS = {"monitor", "heartbeat", "setting", "notification"}
"""Tables that each version has."""
_PARTS_OF_DATABASE = ("-wal", "-shm", "-journal")
_EXPIRY_DAYS = (7, 14, 21)
"""When Uptime Kuma warns of a certificate, without a setting."""
_MOST_WARNINGS = 10


def detects(file: SourceFile) -> bool:
    """Return whether the file is a database of Uptime Kuma, or its JSON backup."""
    if file.head.startswith(MAGIC):
        with open_database(file.path, file.shown) as database:
            return database.tables.keys() >= _MARKS
    return file.head.lstrip().startswith(b"{") and is_backup(file.tree.root.value)


def import_files(files: Sequence[SourceFile], context: ImportContext) -> None:
    """Add the jobs of all files. Raises UnreadableSource."""
    has_database = any(file.head.startswith(MAGIC) for file in files)
    for file in files:
        if file.path.name.endswith(_PARTS_OF_DATABASE):
            continue  # part of the database next to it
        if has_database and not file.head.startswith(MAGIC):
            context.notes.append(f"{file.shown}: is not a database, and is not read")  # of the folder of the database
            continue
        if file.head.lstrip().startswith(b"{"):
            if not is_backup(file.tree.root.value):
                raise UnreadableSource(file.shown, "is not a backup of Uptime Kuma: it has no monitorList")
            rows = read_backup(context, file.tree)
        else:
            rows = _read_database(file, context)
        _import_rows(context, rows)


def _read_database(file: SourceFile, context: ImportContext) -> KumaRows:
    with open_database(file.path, file.shown) as database:
        if missing := _MARKS - database.tables.keys():
            raise UnreadableSource(
                file.shown,
                f"is not a database of Uptime Kuma: it has no table {sorted(missing)[0]}",
                "name the file kuma.db; data in MariaDB cannot be read",
            )
        document: dict[str, Any] = {}
        values: dict[str, list[dict[str, Any]]] = {}
        for table in database.tables:
            _read_table(database, table, document, values)
    root = context.add_tree(SourceTree(file.shown, document))
    _report_other_tables(context, root)
    rows = KumaRows()
    for table, listed in values.items():
        node = root.child(table)
        for row in listed:
            child = node.child(str(row.get("id"))) if node is not None else None
            if child is not None:
                rows.tables.setdefault(table, []).append(KumaRow(table, child, row))
    return rows


def _read_table(
    database: KumaDatabase, table: str, document: dict[str, Any], values: dict[str, list[dict[str, Any]]]
) -> None:
    if table == "setting":
        rows = {str(row.get("key")): _read_setting(row, database.shown) for row in database.rows(table)}
    elif table in DEFINITION_TABLES or table in REFUSED_TABLES:
        listed = database.rows(table)
        values[table] = listed if table in DEFINITION_TABLES else []
        rows = {str(row.get("id")): prune_row(table, row, database.shown) for row in listed}
    else:
        count = database.count(table)
        if count:
            document[table] = format_count(count, "row")
        return
    if rows:
        document[table] = rows


def _read_setting(row: Mapping[str, Any], file: str) -> Any:
    """Settings are JSON, also single texts and numbers. Raises UnreadableSource."""
    value = row.get("value")
    parsed = parse_json_column(value, file, f"setting.{str(row.get('key'))[:100]}")
    if parsed is not value or not isinstance(value, str):
        return parsed
    try:
        return json.loads(value)
    except ValueError:
        return value


def _report_other_tables(context: ImportContext, root: SourceNode) -> None:
    for node in root.children():
        if node.key in DEFINITION_TABLES or node.key == "setting":
            continue
        reason = REFUSED_TABLES.get(node.key) or RESULT_TABLES.get(node.key) or UNKNOWN_TABLE
        context.drop(node, reason.why, reason.nearest)


def _import_rows(context: ImportContext, rows: KumaRows) -> None:
    settings = _find_settings(rows)
    channels = _find_channels(context, rows, import_notifications(context, rows))
    jobs = import_monitors(context, rows, channels, _read_expiry_days(context, settings))
    import_groups(context, rows, jobs, channels)
    _use_links(context, rows)
    for row in rows.of("monitor"):
        if row.text("type") == "group":
            use_idle_columns(context, row)
    zone = settings.get("serverTimezone")
    import_maintenances(context, rows, jobs, _read_zone(context, zone))
    for node in settings.values():
        if not context.ledger.is_recorded(node):
            reason = SETTING_REASONS.get(node.key, OTHER_SETTING)
            context.drop(node, reason.why, reason.nearest)
    _report_unused(context, rows)


def _find_settings(rows: KumaRows) -> dict[str, SourceNode]:
    root = next((row.node.tree.root for listed in rows.tables.values() for row in listed), None)
    node = root.child("setting") if root is not None else None
    return {child.key: child for child in node.children()} if node is not None else {}


def _find_channels(context: ImportContext, rows: KumaRows, names: dict[int, str]) -> dict[int, list[str]]:
    """Return the channels of each monitor."""
    channels: dict[int, list[str]] = {}
    for link in rows.of("monitor_notification"):
        name = names.get(link.whole("notification_id"))
        if name is None:
            context.drop(link.node, "its notification is not carried over")
            continue
        listed = channels.setdefault(link.whole("monitor_id"), [])
        if name not in listed:
            listed.append(name)
    return channels


def _use_links(context: ImportContext, rows: KumaRows) -> None:
    """Record the links to channels of the monitors that were imported."""
    for link in rows.of("monitor_notification"):
        is_of_monitor = rows.find("monitor", link.values.get("monitor_id")) is not None
        if is_of_monitor and not context.ledger.is_recorded(link.node):
            context.use(link.node)


def _read_expiry_days(context: ImportContext, settings: dict[str, SourceNode]) -> Sequence[int]:
    node = settings.get("tlsExpiryNotifyDays")
    if node is None or not isinstance(node.value, list):
        return sorted(_EXPIRY_DAYS, reverse=True)
    context.use(node)
    days = {day for day in node.value if isinstance(day, int) and 0 < day <= 3650}
    return sorted(days, reverse=True)[:_MOST_WARNINGS]


def _read_zone(context: ImportContext, node: SourceNode | None) -> str:
    if node is None or not isinstance(node.value, str):
        return context.options.timezone or "UTC"
    context.use(node)
    return node.value


def _report_unused(context: ImportContext, rows: KumaRows) -> None:
    """Record what no monitor refers to."""
    for table in ("proxy", "docker_host", "remote_browser", "tag", "monitor_tag", "monitor_notification"):
        for row in rows.of(table):
            for node in row.nodes("color"):
                context.drop(node, "tags have no colours")
            context.ledger.record_rest(row.node, "no imported job uses it")
