"""What became of each leaf of the sources: by construction, each leaf has exactly one outcome.

The sources read a document only through its nodes, which know their path and line. A leaf is a value without
children: a text, a number, true, false, null, or an empty mapping or list. Leaves are enumerated from the documents
when the report is made. A leaf that no mapping has recorded is not carried over. The value of an `UnresolvedText` is
only known when its template is deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from config.documents.document import Document
from importers.errors import NotCarriedOver
from jobs.problems import KeyPath, dotted_path


def _unknown_line(path: KeyPath) -> int | None:
    """Return no line: of a source without lines, such as a database."""
    return None


def _dotted(path: KeyPath) -> str:
    return dotted_path(*path)


@dataclass(frozen=True, eq=False)
class SourceTree:
    """One document of a source. `value`: mappings with text keys, lists and scalars.

    `line_of`: the line of a path, from 1. `show_path`: the path in reports, for sources whose own words are better than
    keys and indexes.
    """

    file: str
    value: Any
    line_of: Callable[[KeyPath], int | None] = _unknown_line
    show_path: Callable[[KeyPath], str] = _dotted

    @property
    def root(self) -> SourceNode:
        return SourceNode(self, (), self.value)


def create_tree(document: Document) -> SourceTree:
    """Return the tree of a YAML or JSON document."""
    return SourceTree(document.file, document.value, document.line_of)


@dataclass(frozen=True, slots=True)
class SourceNode:
    """One value of a tree, and where it stands."""

    tree: SourceTree
    path: KeyPath
    value: Any

    @property
    def line(self) -> int | None:
        return self.tree.line_of(self.path)

    @property
    def key(self) -> str:
        """The last part of the path as a text."""
        return str(self.path[-1]) if self.path else ""

    @property
    def shown_path(self) -> str:
        return self.tree.show_path(self.path)

    @property
    def is_leaf(self) -> bool:
        return not (isinstance(self.value, (dict, list)) and self.value)

    def child(self, *path: str | int) -> SourceNode | None:
        """Return the node below these keys; None if it does not exist."""
        node = self
        for key in path:
            value = node.value
            is_index = isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value)
            if not is_index and not (isinstance(value, dict) and key in value):
                return None
            node = SourceNode(self.tree, (*node.path, key), value[key])
        return node

    def children(self) -> Iterator[SourceNode]:
        """Yield the nodes of a mapping's keys or a list's entries; nothing of a scalar."""
        if isinstance(self.value, dict):
            for key, value in self.value.items():
                yield SourceNode(self.tree, (*self.path, key), value)
        elif isinstance(self.value, list):
            for index, value in enumerate(self.value):
                yield SourceNode(self.tree, (*self.path, index), value)

    def leaves(self) -> Iterator[SourceNode]:
        """Yield each leaf in the order of the document; of a leaf, the node itself."""
        stack = [iter((self,))]
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
            elif node.is_leaf:
                yield node
            else:
                stack.append(node.children())


UNKNOWN_KEY = "the importer does not know this key"


class LeafOutcome(IntEnum):
    """In the order of what counts if a leaf is recorded several times."""

    IMPORTED = 0
    CHANGED = 1
    NOT_CARRIED_OVER = 2

    @property
    def words(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(slots=True)
class LeafRecord:
    """The outcome of a leaf. `jobs`: those that it became part of. `detail`: how it was changed, or why it was not
    carried over. `nearest`: what can be used instead."""

    outcome: LeafOutcome
    jobs: dict[str, None] = field(default_factory=dict)
    detail: str = ""
    nearest: str = ""


class Ledger:
    """The outcomes of all leaves of all documents of one import."""

    def __init__(self) -> None:
        self._trees: list[SourceTree] = []
        self._records: dict[tuple[int, KeyPath], LeafRecord] = {}

    def add_tree(self, tree: SourceTree) -> None:
        """Add a document: all of its leaves are reported."""
        self._trees.append(tree)

    def record(
        self, node: SourceNode, outcome: LeafOutcome, job: str = "", detail: str = "", nearest: str = ""
    ) -> None:
        """Record each leaf of a node. Of several records of a leaf, the worst outcome counts."""
        for leaf in node.leaves():
            key = (id(leaf.tree), leaf.path)
            record = self._records.get(key)
            if record is None:
                record = self._records[key] = LeafRecord(outcome, {}, detail, nearest)
            elif outcome > record.outcome:
                record.outcome, record.detail, record.nearest = outcome, detail, nearest
            elif outcome is record.outcome and detail and detail not in record.detail:
                record.detail = f"{record.detail}; {detail}" if record.detail else detail
                record.nearest = record.nearest or nearest
            if job:
                record.jobs[job] = None

    def is_recorded(self, node: SourceNode) -> bool:
        """Whether each leaf of the node has a record."""
        return all((id(leaf.tree), leaf.path) in self._records for leaf in node.leaves())

    def record_rest(self, node: SourceNode, detail: str, nearest: str = "", job: str = "") -> None:
        """Record the leaves of a node that have no record yet as not carried over."""
        for leaf in node.leaves():
            if (id(leaf.tree), leaf.path) not in self._records:
                self.record(leaf, LeafOutcome.NOT_CARRIED_OVER, job, detail, nearest)

    def retract_job(self, job: str, why: str) -> None:
        """Record what only this job used as not carried over: the job is not part of the result."""
        for record in self._records.values():
            if job in record.jobs:
                del record.jobs[job]
                if not record.jobs and record.outcome is not LeafOutcome.NOT_CARRIED_OVER:
                    record.outcome, record.detail, record.nearest = LeafOutcome.NOT_CARRIED_OVER, why, ""

    def entries(self) -> Iterator[tuple[SourceNode, LeafRecord]]:
        """Yield each leaf of each document with its one outcome."""
        for tree in self._trees:
            for leaf in tree.root.leaves():
                record = self._records.get((id(tree), leaf.path))
                yield leaf, record or LeafRecord(LeafOutcome.NOT_CARRIED_OVER, {}, UNKNOWN_KEY)


SET_IT = "give the value by --set NAME=VALUE"


class UnresolvedText(str):
    """The text of an expression without a value. `needs`: the parameter, variable or function that has none."""

    __slots__ = ("needs",)
    needs: str

    def __new__(cls, text: str, needs: str) -> UnresolvedText:
        made = super().__new__(cls, text)
        made.needs = needs
        return made


def is_unresolved(node: SourceNode | None) -> bool:
    return node is not None and isinstance(node.value, UnresolvedText)


def refuse_unresolved(node: SourceNode) -> None:
    """Raises NotCarriedOver: the value is not known."""
    if isinstance(node.value, UnresolvedText):
        raise NotCarriedOver(f"its value is only known when the template is deployed ({node.value.needs})", SET_IT)
