"""Files of Gatus: finds what each top-level key becomes. The functions of the source, see importers.registry.

Several files are read together, as Gatus merges the files of a folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from importers.errors import UnreadableSource
from importers.import_context import ImportContext
from importers.ledger import SourceNode
from importers.source_file import SourceFile
from importers.sources.gatus.alerts import AlertDefaults, add_channels
from importers.sources.gatus.clients import expand_tree
from importers.sources.gatus.endpoints import add_window, map_endpoint, map_external
from importers.sources.gatus.suites import map_suite

_SUFFIXES = (".yaml", ".yml", ".json")
_SERVES = "the scheduler is configured by its settings"
_DASHBOARD = "it changes the pages of Gatus"
_GLOBAL_REASONS = {
    "debug": (_SERVES, "the setting log_level"),
    "metrics": (_SERVES, "the page of metrics, docs/telemetry.md"),
    "skip-invalid-config-update": ("job files with problems are never used: the last valid set stays in force", ""),
    "disable-monitoring-lock": ("jobs do not wait for each other", "concurrency_group, or the setting max_running"),
    "concurrency": (_SERVES, "the setting max_running, or concurrency_group"),
    "security": (_SERVES, "identities and roles, docs/security.md"),
    "storage": (_SERVES, "the setting store"),
    "web": (_SERVES, "serve --host and --port"),
    "ui": (_DASHBOARD, "docs/dashboard.md"),
    "remote": ("other instances are not shown", "the API of each instance"),
    "connectivity": ("it is the scheduler's own check", "alerts of the scheduler that is blind, docs/alerting.md"),
    "tunneling": ("there are no SSH tunnels", "run the scheduler within that network"),
    "announcements": ("there are no announcements", "a note of an incident"),
}
_ANCHOR = re.compile(r"""["']?[^\s"':]+["']?:[ \t]+&\S""")
"""A key whose value has an anchor; Gatus ignores keys that it does not know."""
_KEYS = frozenset({"endpoints", "external-endpoints", "suites", "services"})
_TOP_KEYS = _KEYS | _GLOBAL_REASONS.keys() | {"alerting", "maintenance"}


def detects(file: SourceFile) -> bool:
    """Return whether the file has endpoints with conditions, external endpoints or suites."""
    if not file.shown.lower().endswith(_SUFFIXES):
        return False
    try:
        value = file.document.value
    except UnreadableSource:
        return False
    if not isinstance(value, dict):
        return False
    lists = [value[key] for key in _KEYS if isinstance(value.get(key), list)]
    entries = [entry for entries in lists for entry in entries if isinstance(entry, dict)]
    return any({"conditions", "url"} <= entry.keys() or "token" in entry or "endpoints" in entry for entry in entries)


def import_files(files: Sequence[SourceFile], context: ImportContext) -> None:
    """Add the jobs of all files."""
    roots: list[SourceNode] = []
    for file in files:
        root = context.add_tree(expand_tree(file.tree, context.options.variables))
        if not isinstance(root.value, dict):
            hint = "give a configuration of Gatus, with the key endpoints"
            raise UnreadableSource(file.shown, "is not a mapping", hint, 1, 1)
        roots.append(root)
    defaults = AlertDefaults()
    for root in roots:
        if (alerting := root.child("alerting")) is not None:
            add_channels(alerting, context, defaults)
    for file, root in zip(files, roots, strict=True):
        rows = file.text.split("\n")
        for node in root.children():
            _map_key(node, context, defaults)
            if node.line is not None and _ANCHOR.match(rows[node.line - 1]) and node.key not in _TOP_KEYS:
                context.use(node, "shared by an anchor: it is part of what refers to it")


def _map_key(node: SourceNode, context: ImportContext, defaults: AlertDefaults) -> None:
    mappings: dict[str, Callable[[SourceNode, ImportContext, AlertDefaults], None]] = {
        "endpoints": map_endpoint,
        "services": map_endpoint,  # its name before version 3
        "external-endpoints": map_external,
        "suites": map_suite,
    }
    if node.key in mappings and isinstance(node.value, list):
        for entry in node.children():
            if isinstance(entry.value, dict):
                mappings[node.key](entry, context, defaults)
            else:
                context.drop(entry, "expected a mapping")
    elif node.key == "maintenance":
        add_window(context, node, {"all": True}, "gatus")
    elif node.key in _GLOBAL_REASONS:
        why, nearest = _GLOBAL_REASONS[node.key]
        context.ledger.record_rest(node, why, nearest)
