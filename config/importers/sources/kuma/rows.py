"""The rows of Uptime Kuma as one document, and one row as values with the nodes they came from.

Used by all modules of this source. A column that has its default is not part of the document: only what was set is
reported. Values in JSON are separate documents, so that each of their leaves is reported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.documents.parse_result import depth_exceeds
from config.importers.errors import UnreadableSource
from config.importers.node import SourceNode
from config.importers.sources.kuma.defaults import (
    BOOKKEEPING_COLUMNS,
    JSON_COLUMNS,
    OPTION_COLUMNS,
    REPORTED_DEFAULTS,
    find_default,
)

_MOST_DEPTH = 50
EMPTY_VALUES: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True)
class KumaRow:
    """`values`: all columns, also those with their defaults. `node`: those that were set."""

    table: str
    node: SourceNode
    values: Mapping[str, Any]
    keys: Mapping[str, str] = field(default_factory=dict)
    """Column -> its key in the node, where they differ."""
    unset: frozenset[str] = frozenset()
    """Columns of a backup that have their defaults, or that the program fills: they have no nodes."""

    @property
    def identifier(self) -> int:
        value = self.values.get("id")
        return value if isinstance(value, int) else 0

    def text(self, column: str, default: str = "") -> str:
        """Return the text of a column, `default` for null."""
        value = self.values.get(column)
        return default if value is None else str(value)

    def number(self, column: str, default: float = 0) -> float:
        """Return the number of a column; `default` for anything else."""
        value = self.values.get(column)
        try:
            number = float(value) if value is not None else default
        except (TypeError, ValueError):
            return default
        return number if abs(number) < 1e12 else default  # also of NaN and infinity

    def whole(self, column: str, default: int = 0) -> int:
        return int(self.number(column, default))

    def is_set(self, column: str) -> bool:
        """Whether a column of type boolean is true."""
        return self.values.get(column) in (1, True, "1", "true")

    def texts(self, column: str) -> list[str]:
        """Return the texts of a JSON list; none of anything else."""
        listed = parse_json_text(self.values.get(column))
        return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []

    def nodes(self, *columns: str) -> list[SourceNode]:
        """Return the nodes of those columns that were set."""
        found = (self.node.child(self.keys.get(column, column)) for column in columns if column not in self.unset)
        return [node for node in found if node is not None]


@dataclass
class KumaRows:
    """The rows of all tables. `is_backup`: of a JSON backup, which has no results."""

    tables: dict[str, list[KumaRow]] = field(default_factory=dict)
    is_backup: bool = False

    def of(self, table: str) -> list[KumaRow]:
        return self.tables.get(table, [])

    def find(self, table: str, identifier: Any) -> KumaRow | None:
        """Return the row with an id."""
        return next((row for row in self.of(table) if row.identifier == identifier), None)

    def linked(self, table: str, column: str, identifier: int) -> list[KumaRow]:
        """Return the rows whose column refers to the id."""
        return [row for row in self.of(table) if row.values.get(column) == identifier]


def prune_row(table: str, row: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return the columns that were set, with JSON texts as values. A row without any has its id alone.

    Raises UnreadableSource: a JSON text is nested too deeply.
    """
    pruned: dict[str, Any] = {}
    for column, value in row.items():
        is_json = (table, column) in JSON_COLUMNS
        if is_json:
            value = parse_json_column(value, file, f"{table}.{row.get('id')}.{column}")
        if not is_unset(table, column, value):
            pruned[column] = omit_empty(value) if (table, column) in OPTION_COLUMNS else value
    return pruned or {"id": row.get("id")}


def is_unset(table: str, column: str, value: Any) -> bool:
    """Whether a column is empty, has its default, or is filled by the program. `value`: JSON texts as values."""
    if column in BOOKKEEPING_COLUMNS:
        return True
    if (table, column) in REPORTED_DEFAULTS:
        return False
    if value in EMPTY_VALUES or ((table, column) in JSON_COLUMNS and value == "null"):
        return True
    default = find_default(table, column)
    return default is not None and bool(value == default or value == parse_json_text(default))


def omit_empty(value: Any) -> Any:
    """Return a mapping without the keys that have no value; any other value unchanged."""
    if not isinstance(value, dict):
        return value
    return {key: one for key, one in value.items() if one not in EMPTY_VALUES}


def parse_json_column(value: Any, file: str, place: str) -> Any:
    """Return the same as parse_json_text. Raises UnreadableSource: the text is nested too deeply."""
    parsed = parse_json_text(value)
    if parsed is value and isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            is_too_deep = depth_exceeds(json.loads(value), _MOST_DEPTH - 1)
        except ValueError:
            is_too_deep = False
        except RecursionError:
            is_too_deep = True
        if is_too_deep:
            raise UnreadableSource(file, f"the JSON in {place} is nested more deeply than {_MOST_DEPTH} levels")
    return parsed


def parse_json_text(value: Any) -> Any:
    """Return the document of a JSON text; the text itself if it is not JSON, or is nested too deeply."""
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return parsed if isinstance(parsed, (dict, list)) and not depth_exceeds(parsed, _MOST_DEPTH - 1) else value
