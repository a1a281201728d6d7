"""Reads the JSON backup of Uptime Kuma 1.x as rows of its tables. Called by source.

The keys of a backup are those of its API: `retryInterval` for the column `retry_interval`. The API writes each key of a
monitor, most of them without a value: these are not part of the document, as columns without a value are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from config.importers.import_context import ImportContext
from config.importers.node import SourceNode, SourceTree
from config.importers.sources.kuma.defaults import JSON_COLUMNS, OPTION_COLUMNS
from config.importers.sources.kuma.rows import KumaRow, KumaRows, is_unset, omit_empty, parse_json_column

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
        for node in listed.children() if listed is not None else ():
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
