"""What became of each leaf of the sources: by construction, each leaf has exactly one outcome.

Leaves are enumerated from the documents when the report is made. A leaf that no mapping has recorded is not carried
over. Written by job_draft and the sources, read by report.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from config.importers.node import SourceNode, SourceTree
from jobs.problems import KeyPath

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
