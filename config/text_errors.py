"""What config.yaml_text and config.json_text give and raise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobs.problems import Path

DEEPEST = 100
"""Levels of nesting that a file may have."""


class TextError(Exception):
    """The text cannot be understood. `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Parsed:
    value: Any
    duplicates: list[Path] = field(default_factory=list)
    """Paths of keys that stand twice in their mapping."""


def too_deep(line: int | None = None) -> TextError:
    return TextError(f"is nested deeper than {DEEPEST} levels", line)
