"""What a source works with: options, jobs, secrets and the ledger of one import. Made by running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.importers.job_draft import JobDraft
from config.importers.job_names import make_slug, make_unique
from config.importers.ledger import LeafOutcome, Ledger
from config.importers.node import SourceNode, SourceTree
from config.importers.secret_references import SecretReferences
from config.importers.source_file import SourceFile


@dataclass(frozen=True)
class ImportOptions:
    """What the user adds to the files. `variables`: values of placeholders such as `${NAME}`.

    `timezone`: of times that the source does not give one. `targets`: files with targets of a source that has none.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    targets: Sequence[SourceFile] = ()


class ImportContext:
    """The result in the making."""

    def __init__(self, options: ImportOptions | None = None) -> None:
        self.options = options or ImportOptions()
        self.ledger = Ledger()
        self.secrets = SecretReferences()
        self.jobs: dict[str, JobDraft] = {}
        self.sections: dict[str, Any] = {}
        """Further keys of the job file, such as `alerting`."""
        self.discarded: set[str] = set()
        """Names of jobs and sections that are not part of the result."""
        self._section_nodes: dict[str, list[SourceNode]] = {}
        self.notes: list[str] = []
        """What concerns no single leaf, such as a name that was used twice."""

    def add_tree(self, tree: SourceTree) -> SourceNode:
        """Register a document, all of whose leaves are reported, and return its root."""
        self.ledger.add_tree(tree)
        return tree.root

    def new_job(self, hint: str, origin: SourceNode, *nodes: SourceNode) -> JobDraft:
        """Add a job with a name made from a text, and record the nodes that gave it.

        A name that another job has is numbered, and reported.
        """
        slug = make_slug(hint)
        name = make_unique(slug, self.jobs)
        if name != slug:
            place = f"{origin.tree.file}:{origin.line}" if origin.line is not None else origin.tree.file
            self.notes.append(f"{place}: the job is named {name}, as another job is named {slug}")
        draft = self.jobs[name] = JobDraft(name, origin, self.ledger)
        draft.use(*nodes, how="" if name == hint else f"the job is named {name}")
        return draft

    def discard_job(self, draft: JobDraft, why: str, nearest: str = "") -> None:
        """Take a job out of the result; what it was made from is not carried over."""
        self.jobs.pop(draft.name, None)
        self.discarded.add(draft.name)
        self.ledger.retract_job(draft.name, why)
        self.ledger.record_rest(draft.origin, why, nearest)

    def put_section(self, path: str, value: Any, *nodes: SourceNode, how: str = "") -> None:
        """Set a key of another section of the job file, such as `alerting.channels`, and record the nodes."""
        section, *keys = path.split(".")
        container: Any = self.sections
        for key in (section, *keys[:-1]) if keys else ():
            container = container.setdefault(key, {})
        container[keys[-1] if keys else section] = value
        self._section_nodes.setdefault(section, []).extend(nodes)
        for node in nodes:
            self.use(node, how)

    def discard_section(self, section: str, why: str) -> None:
        """Take a section out of the result; what it was made from is not carried over."""
        self.sections.pop(section, None)
        self.discarded.add(section)
        for node in self._section_nodes.pop(section, ()):
            self.drop(node, why)

    def drop(self, node: SourceNode, why: str, nearest: str = "") -> None:
        """Record a node of no job as not carried over."""
        self.ledger.record(node, LeafOutcome.NOT_CARRIED_OVER, "", why, nearest)

    def use(self, node: SourceNode, how: str = "") -> None:
        """Record a node of no single job as imported, or as changed."""
        self.ledger.record(node, LeafOutcome.CHANGED if how else LeafOutcome.IMPORTED, "", how)

    def use_in(self, node: SourceNode, job: str, how: str = "") -> None:
        """Record a node that a job uses but does not come from, such as a variable."""
        self.ledger.record(node, LeafOutcome.CHANGED if how else LeafOutcome.IMPORTED, job, how)
