"""What config.documents.yaml_text and config.documents.json_text give and raise, and the depth of nested values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.problems import KeyPath

ENTRY_LEVELS = 2
DETAILED_KEY = "alerting"
"""The key at the top below which the lines of one level more are known: origins of its entries."""

MAX_NESTING = 100
"""Levels of nesting that a file may have."""


class ParseError(Exception):
    """The text cannot be understood. `line` and `column` count from 1."""

    def __init__(self, message: str, line: int | None = None, hint: str = "", column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.hint = hint
        self.column = column


@dataclass(frozen=True, slots=True)
class ParsedText:
    value: Any
    duplicates: list[KeyPath] = field(default_factory=list)
    """Paths of keys that stand twice in their mapping."""
    entry_lines: Mapping[KeyPath, list[int]] = field(default_factory=dict)
    """Lines of the keys and list entries of the two outermost levels, where jobs stand."""


def too_deep_error(line: int | None = None) -> ParseError:
    return ParseError(f"is nested deeper than {MAX_NESTING} levels", line)


def entry_levels_at(path: KeyPath) -> int:
    return ENTRY_LEVELS + 1 if path[:1] == (DETAILED_KEY,) else ENTRY_LEVELS


def depth_exceeds(value: Any, limit: int) -> bool:
    """Whether mappings and lists are nested more deeply than this."""
    level: list[Any] = [value]
    for _ in range(limit + 1):
        level = [
            child
            for one in level
            if isinstance(one, (dict, list))
            for child in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
