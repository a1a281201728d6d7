"""Imports the database of Uptime Kuma 1.x and 2.x, or the JSON backup of 1.x."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from importers.import_context import ImportContext
from importers.source_tree import (
    SourceFile,
    SourceNode,
    SourceTree,
    UnreadableSource,
    child_of,
    children_of,
)
from importers.sources.kuma.alerting import import_maintenances, import_notifications
from importers.sources.kuma.database import (
    DEFINITION_TABLES,
    MAGIC,
    OTHER_SETTING,
    REFUSED_TABLES,
    RESULT_TABLES,
    SETTING_REASONS,
    UNKNOWN_TABLE,
    KumaDatabase,
    open_database,
)
from importers.sources.kuma.monitors import import_groups, import_monitors, use_idle_columns
from importers.sources.kuma.rows import (
    JSON_COLUMNS,
    OPTION_COLUMNS,
    KumaRow,
    KumaRows,
    is_unset,
    omit_empty,
    parse_json_column,
    prune_row,
)
from jobs.formats import format_count

_IRREGULAR = {"accepted_statuscodes": "accepted_statuscodes_json"}
_OF_API = frozenset(
    {"notificationIDList", "tags", "maintenance", "screenshot", "includeSensitiveData", "forceInactive", "childrenIDs"}
    | {"path", "pathName"}
)
"""Keys that the API adds to those of the table."""
_LISTS = {"monitorList": "monitor", "notificationList": "notification", "proxyList": "proxy"}


def is_backup(value: Any) -> bool:
    """Return whether a document is a backup."""
    return isinstance(value, dict) and isinstance(value.get("monitorList"), list)


def read_backup(context: ImportContext, written: SourceTree) -> KumaRows:
    """Add the document of a backup and return its rows. Raises UnreadableSource."""
    root = context.add_tree(SourceTree(written.file, _read_document(written), written.line_of))
    rows = KumaRows(is_backup=True)
    for key, table in _LISTS.items():
        listed = root.child(key)
        for node in children_of(listed):
            if isinstance(node.value, dict):
                entry = written.value[key][node.path[-1]]
                rows.tables.setdefault(table, []).append(_read_row(context, table, node, entry))
    for row in rows.of("monitor"):
        _read_links(rows, row)
    for node in root.children():
        if node.key not in _LISTS or not node.value:
            context.use(node)
    return rows


def _read_document(written: SourceTree) -> dict[str, Any]:
    """Return the document without keys that have no value, and with JSON texts as values."""
    document = omit_empty(written.value)
    for key, table in _LISTS.items():
        if isinstance(document.get(key), list):
            document[key] = [
                _read_entry(table, one, written.file, f"{key}[{index}]") for index, one in enumerate(document[key])
            ]
    return dict(document)


def _read_entry(table: str, entry: Any, file: str, place: str) -> Any:
    if not isinstance(entry, dict):
        return entry
    parsed: dict[str, Any] = {}
    for key, value in entry.items():
        column = (table, _column_of(key))
        if column in JSON_COLUMNS:
            value = parse_json_column(value, file, f"{place}.{key}")
            parsed[key] = omit_empty(value) if column in OPTION_COLUMNS else None if value == "null" else value
        elif key == "tags" and isinstance(value, list):
            parsed[key] = [omit_empty(tag) for tag in value]
        else:
            parsed[key] = value
    return omit_empty(parsed)


def _column_of(key: str) -> str:
    return _IRREGULAR.get(key) or re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower()


def _read_row(context: ImportContext, table: str, node: SourceNode, written: Mapping[str, Any]) -> KumaRow:
    """`written`: the entry with its keys without a value: a column that is empty is not one that does not exist."""
    keys: dict[str, str] = {}
    values = {_column_of(key): value for key, value in written.items() if key not in _OF_API}
    unset: set[str] = set()
    for child in node.children():
        if child.key in _OF_API:
            if child.key not in ("notificationIDList", "tags"):
                context.use(child)  # computed from other keys
            continue
        column = _column_of(child.key)
        value = int(child.value) if isinstance(child.value, bool) else child.value
        keys[column], values[column] = child.key, value
        if is_unset(table, column, value):
            unset.add(column)
            context.use(child)
    return KumaRow(table, node, values, keys, frozenset(unset))


def _read_links(rows: KumaRows, row: KumaRow) -> None:
    """Add the rows that a backup has as keys of a monitor."""
    notifications = row.node.child("notificationIDList")
    for node in children_of(notifications):
        if node.key.isdecimal() and node.value:
            link = {"monitor_id": row.identifier, "notification_id": int(node.key)}
            rows.tables.setdefault("monitor_notification", []).append(KumaRow("monitor_notification", node, link))
    tags = row.node.child("tags")
    for node in children_of(tags):
        if not isinstance(node.value, dict):
            continue
        tag: Mapping[str, Any] = node.value
        number = len(rows.of("tag")) + 1
        values = {"monitor_id": row.identifier, "tag_id": number, "value": tag.get("value")}
        rows.tables.setdefault("tag", []).append(KumaRow("tag", node, {"id": number, "name": tag.get("name")}))
        rows.tables.setdefault("monitor_tag", []).append(KumaRow("monitor_tag", node, values))


_MARKS = {"monitor", "heartbeat", "setting", "notification"}
"""Tables that each version has."""
_PARTS_OF_DATABASE = ("-wal", "-shm", "-journal")
_EXPIRY_DAYS = (7, 14, 21)
"""When Uptime Kuma warns of a certificate, without a setting."""
_MAX_WARNINGS = 10


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
            child = child_of(node, str(row.get("id")))
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
    return {child.key: child for child in children_of(child_of(root, "setting"))}


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
    return sorted(days, reverse=True)[:_MAX_WARNINGS]


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
