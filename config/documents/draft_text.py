"""Reads the YAML text of one definition that a person edits. Called by scheduler.catalog.written_jobs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from config.documents.document import UnreadableFile, parse_document
from jobs.problems import KeyPath, dotted_path

_NAME = "definition.yaml"


class InvalidYaml(ValueError):
    """A text is not YAML that the scheduler accepts. The message has the reason; `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse_definition_yaml(text: bytes) -> Any:
    """Parse as a job file is parsed: values that JSON has, no duplicate keys. Raises InvalidYaml."""
    try:
        document = parse_document(text, _NAME)
    except UnreadableFile as error:
        problem = error.problem
        hint = f"; {problem.hint}" if problem.hint else ""
        raise InvalidYaml(f"{problem.message}{hint}", problem.line) from None
    for duplicate in document.duplicate_problems():
        raise InvalidYaml(f"{duplicate.key} {duplicate.message}", duplicate.line)
    for path in _find_unusable_numbers(document.value):
        raise InvalidYaml(f"{dotted_path(*path)} is not a number that JSON has", document.line_of(path))
    return document.value


def _find_unusable_numbers(value: Any, path: KeyPath = ()) -> Iterable[KeyPath]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _find_unusable_numbers(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _find_unusable_numbers(one, (*path, number))
