"""What a source works with: options, jobs, secrets and the ledger of one import. Made by running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.importers.job_draft import JobDraft
from config.importers.job_names import UniqueNames, make_slug
from config.importers.ledger import LeafOutcome, Ledger
from config.importers.node import SourceNode, SourceTree
from config.importers.secret_references import SecretReferences
from config.importers.source_file import SourceFile

RENAMED = "names of jobs are in lower case, with - for other characters"


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
        self._names = UniqueNames()
        self.sections: dict[str, Any] = {}
        """Further keys of the job file, such as `alerting`."""
        self._section_nodes: dict[str, list[SourceNode]] = {}
        """What entries of sections came from, by their key."""
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
        name = self._names.add(slug)
        if name != slug:
            place = f"{origin.tree.file}:{origin.line}" if origin.line is not None else origin.tree.file
            self.notes.append(f"{place}: the job is named {name}, as another job is named {slug}")
        draft = self.jobs[name] = JobDraft(name, origin, self.ledger)
        draft.use(*nodes, how="" if name == hint else RENAMED)
        return draft

    def discard_job(self, draft: JobDraft, why: str, nearest: str = "") -> None:
        """Take a job out of the result; what it was made from is not carried over."""
        self.jobs.pop(draft.name, None)
        self.ledger.retract_job(draft.name, why)
        self.ledger.record_rest(draft.origin, why, nearest)

    def put_section(self, path: str, value: Any, *nodes: SourceNode, how: str = "") -> None:
        """Set an entry of another section of the job file, such as `alerting.channels.NAME`, and record the nodes.

        A path that ends in `[]` appends to a list.
        """
        *keys, last = path.removesuffix("[]").split(".")
        container: Any = self.sections
        for key in keys:
            container = container.setdefault(key, {})
        if path.endswith("[]"):
            entries = container.setdefault(last, [])
            entries.append(value)
            path = f"{path.removesuffix('[]')}[{len(entries) - 1}]"
        else:
            container[last] = value
        self._section_nodes[path] = list(nodes)
        for node in nodes:
            self.use(node, how)

    def discard_section(self, key: str, why: str) -> bool:
        """Take the entry that a key is in out of the result; what it was made from is not carried over.

        Return whether there is one.
        """
        path = next((one for one in self._section_nodes if key == one or key.startswith((f"{one}.", f"{one}["))), None)
        if path is None:
            return False
        for node in self._section_nodes.pop(path):
            self.drop(node, why)
        *keys, last = path.split(".")
        containers: list[Any] = [self.sections]
        for one in keys:
            containers.append(containers[-1][one])
        name, _, index = last.removesuffix("]").partition("[")
        if index:
            del containers[-1][name][int(index)]
            self._renumber(path.removesuffix(f"[{index}]"), int(index))
        if not index or not containers[-1][name]:
            del containers[-1][name]
        for container, one in zip(reversed(containers[:-1]), reversed(keys), strict=True):
            if not container[one]:
                del container[one]
        return True

    def _renumber(self, path: str, removed: int) -> None:
        """Move the nodes of the later entries of a list down by one."""
        index = removed + 1
        while f"{path}[{index}]" in self._section_nodes:
            self._section_nodes[f"{path}[{index - 1}]"] = self._section_nodes.pop(f"{path}[{index}]")
            index += 1

    def drop(self, node: SourceNode, why: str, nearest: str = "") -> None:
        """Record a node of no job as not carried over."""
        self.ledger.record(node, LeafOutcome.NOT_CARRIED_OVER, "", why, nearest)

    def use(self, node: SourceNode, how: str = "") -> None:
        """Record a node of no single job as imported, or as changed."""
        self.ledger.record(node, LeafOutcome.CHANGED if how else LeafOutcome.IMPORTED, "", how)

    def use_idle(self, node: SourceNode, why: str) -> None:
        """Record a node that has no effect in the source either: nothing is lost without it."""
        self.ledger.record(node, LeafOutcome.IMPORTED, "", why)

    def use_in(self, node: SourceNode, job: str, how: str = "") -> None:
        """Record a node that a job uses but does not come from, such as a variable."""
        self.ledger.record(node, LeafOutcome.CHANGED if how else LeafOutcome.IMPORTED, job, how)
