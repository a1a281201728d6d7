"""Imports the answer of `GET /api/v3/checks/` of Healthchecks (also v1 and v2) as heartbeats. Called by registry.

The answer of `GET /api/v3/channels/` in a second file adds the names of the integrations to the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.importers.errors import UnreadableSource
from config.importers.import_context import ImportContext
from config.importers.node import SourceNode
from config.importers.source_file import SourceFile
from config.importers.sources.healthchecks.checks import import_check

_HINT = "save the answer of GET /api/v3/checks/ with the key of the project"
_MARKS = frozenset({"ping_url", "unique_key", "n_pings", "grace", "manual_resume"})


def detects(file: SourceFile) -> bool:
    """Return whether the file is an answer with checks."""
    if file.head.lstrip()[:1] not in (b"{", b"["):
        return False
    return any(_is_check(node) for node in _list_checks(file.tree.root))


def import_files(files: Sequence[SourceFile], context: ImportContext) -> None:
    """Add a heartbeat for each check of all files. Raises UnreadableSource."""
    channels: dict[str, str] = {}
    checks: list[SourceNode] = []
    for file in files:
        root = context.add_tree(file.tree)
        found = list(_list_checks(root))
        listed = root.child("channels")
        if listed is not None and not found:
            _read_channels(context, listed, channels)
        elif not found and root.child("checks") is None:
            raise UnreadableSource(file.shown, "has neither checks nor channels", _HINT)
        checks += found
    for node in checks:
        if _is_check(node):
            import_check(context, node, channels)
        else:
            context.drop(node, "is not a check: it has none of the keys of one", _HINT)


def _list_checks(root: SourceNode) -> Iterator[SourceNode]:
    """Yield the checks of an answer: a list, one check, or `checks` of the list's answer."""
    listed = root.child("checks")
    if listed is None:
        listed = root
    if isinstance(listed.value, list):
        yield from listed.children()
    elif _is_check(listed):
        yield listed


def _is_check(node: SourceNode) -> bool:
    return isinstance(node.value, dict) and len(_MARKS & node.value.keys()) > 1


def _read_channels(context: ImportContext, listed: SourceNode, channels: dict[str, str]) -> None:
    for node in listed.children():
        name, kind = node.child("name"), node.child("kind")
        identifier = node.child("id")
        if identifier is not None and kind is not None:
            channels[str(identifier.value)] = f"{kind.value} ({name.value})" if name and name.value else str(kind.value)
        context.drop(
            node,
            "the API does not return the address and the key of an integration",
            "define it in alerting.channels, and a route with notify",
        )
