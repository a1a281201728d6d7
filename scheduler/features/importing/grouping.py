"""Groups the values of an import by what became of them, for a person who decides what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importers.report import ReportEntry


@dataclass(slots=True)
class ValueGroup:
    """Values with one reason. `subjects`: their jobs, or what the source calls them. `fields`: their keys."""

    outcome: str
    detail: str
    rank: int
    subjects: dict[str, None] = field(default_factory=dict)
    fields: dict[str, None] = field(default_factory=dict)
    count: int = 0


def group_values(entries: Iterable[ReportEntry], outcome: str) -> Sequence[ValueGroup]:
    """Return the values with this outcome, those with the same reason together.

    What is lost as a whole, such as a monitor without a job, comes first; what belongs to nothing with a name, last.
    """
    groups: dict[str, ValueGroup] = {}
    for entry in entries:
        if entry.outcome.words != outcome:
            continue
        detail = format_detail(entry)
        rank = 1 if entry.jobs else 0 if entry.subject else 2
        group = groups.setdefault(detail, ValueGroup(outcome, detail, rank))
        group.rank = min(group.rank, rank)
        group.subjects.update(dict.fromkeys(entry.jobs or (entry.subject or format_place(entry),)))
        group.fields[entry.field or entry.key] = None
        group.count += 1
    return sorted(groups.values(), key=lambda group: group.rank)


def format_detail(entry: ReportEntry) -> str:
    """Return the reason, and what is nearest."""
    return "; ".join(filter(None, (entry.detail, f"nearest: {entry.nearest}" if entry.nearest else "")))


def format_place(entry: ReportEntry) -> str:
    """Return file and line."""
    return f"{entry.file}:{entry.line}" if entry.line is not None else entry.file


def join_names(names: Iterable[str], most: int) -> str:
    """Return the names, at most so many: `a, b and 3 more`."""
    listed = list(names)
    if len(listed) <= most + 1:
        return ", ".join(listed)
    return f"{', '.join(listed[:most])} and {len(listed) - most} more"
