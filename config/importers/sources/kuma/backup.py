"""Reads the JSON backup of Uptime Kuma 1.x as rows of its tables. Called by source.

The keys of a backup are those of its API: `retryInterval` for the column `retry_interval`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from config.importers.import_context import ImportContext
from config.importers.node import SourceNode
from config.importers.sources.kuma.defaults import BOOKKEEPING_COLUMNS, find_default
from config.importers.sources.kuma.rows import KumaRow, KumaRows

_IRREGULAR = {"accepted_statuscodes": "accepted_statuscodes_json"}
_OF_API = frozenset(
    {"notificationIDList", "tags", "maintenance", "screenshot", "includeSensitiveData", "forceInactive", "childrenIDs"}
    | {"path", "pathName"}
)
"""Keys that the API adds to those of the table."""
_LISTS = {"monitorList": "monitor", "notificationList": "notification", "proxyList": "proxy"}
_MADE = "the API computes it"


def is_backup(value: Any) -> bool:
    """Return whether a document is a backup."""
    return isinstance(value, dict) and isinstance(value.get("monitorList"), list)


def read_backup(context: ImportContext, root: SourceNode) -> KumaRows:
    """Return the rows of a backup."""
    rows = KumaRows(is_backup=True)
    for key, table in _LISTS.items():
        listed = root.child(key)
        for node in listed.children() if listed is not None else ():
            if isinstance(node.value, dict):
                rows.tables.setdefault(table, []).append(_read_row(context, table, node))
    for row in rows.of("monitor"):
        _read_links(rows, row)
    for node in root.children():
        if node.key not in _LISTS or not node.value:
            context.use(node)
    return rows


def _read_row(context: ImportContext, table: str, node: SourceNode) -> KumaRow:
    keys: dict[str, str] = {}
    values: dict[str, Any] = {}
    for child in node.children():
        if child.key in _OF_API:
            if child.key not in ("notificationIDList", "tags"):
                context.use(child, _MADE)
            continue
        column = _IRREGULAR.get(child.key) or re.sub(r"(?<!^)(?=[A-Z])", "_", child.key).lower()
        value = int(child.value) if isinstance(child.value, bool) else child.value
        keys[column], values[column] = child.key, value
        if column in BOOKKEEPING_COLUMNS or value in (None, "", [], {}) or _is_default(table, column, value):
            context.use(child)
    return KumaRow(table, node, values, keys)


def _is_default(table: str, column: str, value: Any) -> bool:
    default = find_default(table, column)
    if column == "accepted_statuscodes_json":
        return bool(value == ["200-299"])
    return default is not None and bool(value == default)


def _read_links(rows: KumaRows, row: KumaRow) -> None:
    """Add the rows that a backup has as keys of a monitor."""
    notifications = row.node.child("notificationIDList")
    for node in notifications.children() if notifications is not None else ():
        if node.key.isdecimal() and node.value:
            link = {"monitor_id": row.identifier, "notification_id": int(node.key)}
            rows.tables.setdefault("monitor_notification", []).append(KumaRow("monitor_notification", node, link))
    tags = row.node.child("tags")
    for node in tags.children() if tags is not None else ():
        if not isinstance(node.value, dict):
            continue
        tag: Mapping[str, Any] = node.value
        number = len(rows.of("tag")) + 1
        values = {"monitor_id": row.identifier, "tag_id": number, "value": tag.get("value")}
        rows.tables.setdefault("tag", []).append(KumaRow("tag", node, {"id": number, "name": tag.get("name")}))
        rows.tables.setdefault("monitor_tag", []).append(KumaRow("monitor_tag", node, values))
