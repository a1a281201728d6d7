"""The jobs before and after a job as a diagram, which the server draws as SVG. Pure.

Drawn by templates/job/plan.html. Called by scheduler.api.dashboard.jobs.plan_page. Two levels in each direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LEVELS: Final = 2
MAX_IN_COLUMN: Final = 8
NODE_WIDTH, NODE_HEIGHT = 190, 48
_COLUMN_GAP, _ROW_GAP = 56, 14
_LONGEST_NAME: Final = 24


@dataclass(frozen=True, slots=True)
class DiagramNode:
    """`text`: the name as far as it fits. Pixels from the left and the top."""

    name: str
    text: str
    left: int
    top: int
    is_center: bool


@dataclass(frozen=True, slots=True)
class DependencyDiagram:
    """`edges`: paths from a job to one that depends on it. `omitted`: jobs for which there is no space."""

    nodes: Sequence[DiagramNode]
    edges: Sequence[str]
    omitted: int
    width: int
    height: int


def draw_dependencies(
    name: str, parents: Callable[[str], Sequence[str]], dependents: Callable[[str], Sequence[str]]
) -> DependencyDiagram | None:
    """Return the diagram; None of a job without dependencies."""
    columns, omitted = _list_columns(name, parents, dependents)
    if len(columns) == 1:
        return None
    highest = max(map(len, columns.values()))
    height = highest * (NODE_HEIGHT + _ROW_GAP) - _ROW_GAP
    first = min(columns)
    nodes = {
        job: _place(job, column - first, row, height - len(jobs) * (NODE_HEIGHT + _ROW_GAP) + _ROW_GAP, job == name)
        for column, jobs in columns.items()
        for row, job in enumerate(jobs)
    }
    edges = [
        _draw_edge(nodes[parent], node)
        for job, node in nodes.items()
        for parent in parents(job)
        if parent in nodes and nodes[parent].left < node.left
    ]
    width = len(columns) * (NODE_WIDTH + _COLUMN_GAP) - _COLUMN_GAP
    return DependencyDiagram(list(nodes.values()), edges, omitted, width, height)


def _list_columns(
    name: str, parents: Callable[[str], Sequence[str]], dependents: Callable[[str], Sequence[str]]
) -> tuple[Mapping[int, Sequence[str]], int]:
    """Return the jobs of each column, 0 for the job itself, and the number of those that are omitted."""
    columns: dict[int, Sequence[str]] = {0: [name]}
    known, omitted = {name}, 0
    for step, follow in ((-1, parents), (1, dependents)):
        level: Sequence[str] = [name]
        for distance in range(1, LEVELS + 1):
            found = _list_new((other for job in level for other in follow(job)), known)
            if not found:
                break
            known.update(found)
            level = found[:MAX_IN_COLUMN]
            omitted += len(found) - len(level)
            columns[step * distance] = level
    return dict(sorted(columns.items())), omitted


def _list_new(names: Iterable[str], known: set[str]) -> list[str]:
    return sorted({name for name in names if name not in known})


def _place(name: str, column: int, row: int, free: int, is_center: bool) -> DiagramNode:
    text = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    top = free // 2 + row * (NODE_HEIGHT + _ROW_GAP)
    return DiagramNode(name, text, column * (NODE_WIDTH + _COLUMN_GAP), top, is_center)


def _draw_edge(parent: DiagramNode, node: DiagramNode) -> str:
    x1, y1 = parent.left + NODE_WIDTH, parent.top + NODE_HEIGHT // 2
    x2, y2 = node.left, node.top + NODE_HEIGHT // 2
    middle = (x1 + x2) // 2
    return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2 - 6} {y2}"
