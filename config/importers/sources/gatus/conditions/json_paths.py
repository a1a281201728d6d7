"""Paths of Gatus into a JSON body as JSONPath and as CEL. Called by mapping and by gatus.suites. Pure."""

from __future__ import annotations

import re

from config.importers.errors import NotCarriedOver

_PART = re.compile(r"(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CEL_WORDS = frozenset(
    {"in", "true", "false", "null", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
     "let", "loop", "package", "namespace", "return", "var", "void", "while"}
)  # fmt: skip


def to_json_path(path: str) -> str:
    """Return `$.data[0].id` for `data[0].id`. Raises NotCarriedOver: Gatus finds nothing by it."""
    return "$" + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" if _PLAIN.fullmatch(part) else f"[{_quote(part)}]"
        for part in split_path(path)
    )


def to_cel(path: str) -> str:
    """Return `json.data[0].id`; `json` for an empty path."""
    return "json" + "".join(
        f"[{part}]"
        if isinstance(part, int)
        else f".{part}"
        if _PLAIN.fullmatch(part) and part not in _CEL_WORDS
        else f"[{_quote(part)}]"
        for part in split_path(path)
    )


def split_path(path: str) -> list[str | int]:
    """Return keys and indexes."""
    parts: list[str | int] = []
    at = 0
    while at < len(path):
        if path[at] == "." and at:
            at += 1
        found = _PART.match(path, at)
        if found is None:
            raise NotCarriedOver(
                "the path is not known: expected keys and indexes, such as data[0].id", "json with a JSONPath"
            )
        parts.append(found["key"] if found["key"] is not None else int(found["index"]))
        at = found.end()
    return parts


def _quote(key: str) -> str:
    return "'" + key.replace("\\", "\\\\").replace("'", "\\'") + "'"
