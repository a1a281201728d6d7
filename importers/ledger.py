"""What became of each leaf of the sources, and the jobs that they become.

By construction, each leaf has exactly one outcome: leaves are enumerated from the documents when the report is made,
and a leaf that no mapping has recorded is not carried over. A job is built key by key; the call that sets a key
records its leaves, so the report cannot differ from the job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from importers.source_tree import NotCarriedOver, SourceNode, SourceTree, children_of
from jobs.problems import KeyPath

UNKNOWN_KEY = "the importer does not know this key"
_MAX_DESCRIPTION = 500


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


KeyHandler = Callable[["JobDraft", SourceNode], None]
"""Maps one key of a source. Raises NotCarriedOver."""


class JobDraft:
    """The full form of a job in the making. `origin`: the node that the job came from."""

    def __init__(self, name: str, origin: SourceNode, ledger: Ledger) -> None:
        self.name = name
        self.origin = origin
        self.definition: dict[str, Any] = {}
        self._ledger = ledger
        self.written: str | None = None
        """Its text, as long as the definition does not change: writing YAML is most of the time of an import."""
        self._contributions: dict[KeyPath, list[SourceNode]] = {}

    def put(self, path: str | KeyPath, value: Any, *nodes: SourceNode | None, how: str = "") -> None:
        """Set a key, such as `check.url`, and record the nodes as imported, or as changed if `how` is given.

        `check.steps.0.url` sets a key of an entry of a list, which is added if it is the next one. `nodes`: None is a
        key that the source does not have, here and below.
        """
        container, keys = self._locate(tuple(path.split(".")) if isinstance(path, str) else path)
        container[keys[-1]] = value
        self._contributions.setdefault(keys, []).extend(filter(None, nodes))
        self.use(*nodes, how=how)

    def append(self, path: str, entry: Any, *nodes: SourceNode | None, how: str = "") -> None:
        """Append to a list such as `expect`."""
        container, keys = self._locate(tuple(path.split(".")))
        entries = container.setdefault(keys[-1], [])
        entries.append(entry)
        self._contributions.setdefault((*keys, len(entries) - 1), []).extend(filter(None, nodes))
        self.use(*nodes, how=how)

    def expect(self, entry: Mapping[str, Any], *nodes: SourceNode | None, how: str = "", step: str = "") -> None:
        """Append an entry of `expect`. `step`: of a step, such as `check.steps.0`."""
        self.append(f"{step}.expect" if step else "expect", dict(entry), *nodes, how=how)

    def get(self, path: str) -> Any:
        """Return a value that was set; None if it was not."""
        value: Any = self.definition
        for key in path.split("."):
            if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            else:
                value = value.get(key) if isinstance(value, dict) else None
        return value

    def _locate(self, keys: KeyPath) -> tuple[Any, KeyPath]:
        """Return the container of the last key, made if it does not exist, and the path with indexes as numbers."""
        container: Any = self.definition
        path: list[str | int] = []
        for key in keys[:-1]:
            if isinstance(container, list):
                path.append(int(key))
                if int(key) == len(container):
                    container.append({})
                container = container[int(key)]
            else:
                path.append(key)
                container = container.setdefault(key, {})
        return container, (*path, keys[-1])

    def use(self, *nodes: SourceNode | None, how: str = "") -> None:
        """Record nodes whose meaning is part of the job without a separate key."""
        outcome = LeafOutcome.CHANGED if how else LeafOutcome.IMPORTED
        for node in filter(None, nodes):
            self._ledger.record(node, outcome, self.name, how)

    def put_if(self, is_set: bool, path: str | KeyPath, value: Any, *nodes: SourceNode | None, how: str = "") -> None:
        """Set a key where the source deviates from the default; otherwise only record the nodes."""
        if is_set:
            self.put(path, value, *nodes, how=how)
        else:
            self.use(*nodes)

    def describe(self, text: str, *nodes: SourceNode) -> None:
        """Set the description, unless the text is empty."""
        how = "" if len(text) <= _MAX_DESCRIPTION else f"shortened to {_MAX_DESCRIPTION} characters"
        self.put_if(bool(text), "description", text[:_MAX_DESCRIPTION], *nodes, how=how)

    def drop(self, node: SourceNode, why: str, nearest: str = "") -> None:
        """Record a node as not carried over."""
        self._ledger.record(node, LeafOutcome.NOT_CARRIED_OVER, self.name, why, nearest)

    def drop_if(self, is_set: object, node: SourceNode | None, why: str, nearest: str = "") -> None:
        """Record a node as not carried over where it has an effect in the source; otherwise nothing is lost."""
        if node is not None and is_set:
            self.drop(node, why, nearest)
        else:
            self.use(node)

    def map_keys(self, node: SourceNode | None, handlers: Mapping[str, KeyHandler]) -> None:
        """Call the handler of each key of a mapping. Keys without a handler stay unknown."""
        for child in children_of(node):
            handler = handlers.get(child.key)
            if handler is not None:
                self.map_key(child, handler)

    def map_key(self, node: SourceNode, handler: KeyHandler) -> None:
        """Call one handler; what it refuses is recorded as not carried over."""
        try:
            handler(self, node)
        except NotCarriedOver as error:
            self.drop(node, error.why, error.nearest)

    def remove(self, path: KeyPath, why: str) -> bool:
        """Remove the optional part of the definition that a path is in. Return whether there was one."""
        for end in range(len(path), 0, -1):
            keys = path[:end]
            nodes = self._contributions.get(keys)
            if nodes is None or _is_required(keys):
                continue
            self.written = None
            del self._contributions[keys]
            container, _ = self._locate(keys)
            if isinstance(container, list):
                self._remove_entry(container, keys)
            else:
                container.pop(keys[-1], None)
            for node in nodes:
                self.drop(node, why)
            return True
        return False

    def _remove_entry(self, entries: list[Any], path: KeyPath) -> None:
        index = int(path[-1])
        del entries[index]
        for later in range(index + 1, len(entries) + 1):
            moved = self._contributions.pop((*path[:-1], later), None)
            if moved is not None:
                self._contributions[*path[:-1], later - 1] = moved
        if not entries:
            container, _ = self._locate(path[:-1])
            del container[path[-2]]


def _is_required(path: KeyPath) -> bool:
    """Whether a part is never removed; of a step, its name is one, too."""
    if path[:2] == ("check", "steps") and len(path) > 2:
        return len(path) == 3 or ("check", *path[3:]) in _REQUIRED
    return path in _REQUIRED


_REQUIRED: frozenset[KeyPath] = frozenset(
    {
        ("check",),
        ("check", "kind"),
        ("check", "url"),
        ("check", "host"),
        ("check", "port"),
        ("check", "name"),
        ("check", "type"),
        ("check", "server"),
        ("check", "proxy"),
        ("check", "dialogue"),
        ("check", "steps"),
        ("check", "token"),
        ("check", "auth"),
        ("check", "body"),
        ("check", "method"),
        ("schedule",),
    }
)
"""Without these, a job would check something else: they are never removed from a job."""


def drop_key(why: str, nearest: str = "") -> KeyHandler:
    """Return a handler that carries nothing over."""

    def handle(draft: JobDraft, node: SourceNode) -> None:
        draft.drop(node, why, nearest)

    return handle


def drop_set_key(why: str, nearest: str = "") -> KeyHandler:
    """Return a handler that carries nothing over, which matters where the key has a value."""
    return lambda draft, node: draft.drop_if(node.value, node, why, nearest)


def use_key(how: str = "") -> KeyHandler:
    """Return a handler of a key whose meaning the job has anyway."""

    def handle(draft: JobDraft, node: SourceNode) -> None:
        draft.use(node, how=how)

    return handle
