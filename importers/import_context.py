"""What a source works with: options, jobs, secrets, the ledger of one import, and entries of the section `alerting`.

Names of jobs and secrets are stable, valid and unique. Secret values are replaced by references: they are held only
to give equal values one name, and to remove them from texts; they are never written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from importers.ledger import JobDraft, LeafOutcome, Ledger
from importers.source_tree import NotCarriedOver, SourceFile, SourceNode, SourceTree
from jobs.model_base import FILE_CONTEXT
from jobs.problems import dotted_path, validation_findings

MAX_NAME_LENGTH = 100

_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "o", "æ": "ae", "đ": "d", "ł": "l"})
_OTHER = re.compile(r"[^a-z0-9._]+")


def make_slug(text: str, fallback: str = "job", max_length: int = MAX_NAME_LENGTH) -> str:
    """Return a name from any text: lower case, letters of other scripts without their marks, `-` for all else."""
    lower = unicodedata.normalize("NFC", text).lower().translate(_SPELLED)
    plain = unicodedata.normalize("NFKD", lower).encode("ascii", "ignore").decode()
    return _OTHER.sub("-", plain)[:max_length].strip("-._") or fallback


def make_unique(name: str, used: Container[str], max_length: int = MAX_NAME_LENGTH, *, first: int = 2) -> str:
    """Return the name, or the first of `name-2`, `name-3` that is not used. `first`: the number to begin with."""
    unique, number = name, first
    while unique in used:
        ending = f"-{number}"
        unique = name[: max_length - len(ending)].rstrip("-._") + ending
        number += 1
    return unique


class UniqueNames:
    """Names that are used, and how often each was added: thousands of equal names are numbered in one pass."""

    def __init__(self, max_length: int = MAX_NAME_LENGTH) -> None:
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}
        self._max_length = max_length

    def add(self, name: str) -> str:
        """Return the name, or a numbered one if it is used, and use it."""
        count = self._counts.get(name, 0) + 1
        self._counts[name] = count
        unique = make_unique(name, self._used, self._max_length, first=max(count, 2))
        self._used.add(unique)
        return unique


_MAX_SECRET_NAME = 100
_SHORTEST_SEARCHED = 6
"""Characters of a value that is searched for in other texts: a shorter one is part of many words."""
_PLACEHOLDERS = frozenset(
    re.findall(
        r"\S+", "password secret token client_secret client-secret changeme mysecret secret_token passwd example"
    )
)
"""Values of examples, which are also words of other texts."""
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


@dataclass(slots=True)
class RequiredSecret:
    """A secret that a user must provide before the jobs run. `places`: the keys of the source with its value."""

    name: str
    purpose: str
    places: list[SourceNode] = field(default_factory=list)


class SecretReferences:
    """The secrets of one import."""

    def __init__(self) -> None:
        self.required: dict[str, RequiredSecret] = {}
        self._names = UniqueNames(_MAX_SECRET_NAME)
        self._names_by_value: dict[str, str] = {}
        self._searched: dict[str, list[tuple[str, str]]] = {}
        """Values that are searched for, with their names, by their first characters."""

    def reference(self, value: str, hint: str, purpose: str, node: SourceNode | None = None) -> dict[str, str]:
        """Return `{secret: NAME}` for a value. Equal values have one name; `$NAME` and `${NAME}` name themselves.

        `hint`: what the name is made from, such as `checkout-api-token`. `purpose`: what to provide, such as
        `password of checkout-api`.
        """
        name = self._names_by_value.get(value)
        if name is None:
            variable = _VARIABLE.fullmatch(value.strip())
            name = self._add(variable[1].replace("_", "-") if variable else hint, purpose)
            self._names_by_value[value] = name
            self._search_for(value, name)
        if node is not None:
            self.required[name].places.append(node)
        return {"secret": name}

    def require(self, hint: str, purpose: str, node: SourceNode | None = None) -> dict[str, str]:
        """Return `{secret: NAME}` for a secret whose value the source does not have."""
        name = self._add(hint, purpose)
        if node is not None:
            self.required[name].places.append(node)
        return {"secret": name}

    def find_value_in(self, value: Any) -> str | None:
        """Return the name of a secret whose value is part of a text anywhere in the value; None without one."""
        if not self._searched:
            return None
        return next((name for text in _texts(value) for _, _, name in self._find(text)), None)

    def redact(self, text: str) -> str:
        """Return the text without values of secrets."""
        if not self._searched:
            return text
        parts: list[str] = []
        end = 0
        for start, secret, name in self._find(text):
            if start >= end:
                parts += [text[end:start], f"(secret {name})"]
                end = start + len(secret)
        return "".join([*parts, text[end:]])

    def _search_for(self, value: str, name: str) -> None:
        is_word = value.lower() in _PLACEHOLDERS or _VARIABLE.fullmatch(value.strip()) is not None
        if len(value) >= _SHORTEST_SEARCHED and not is_word:
            found = self._searched.setdefault(value[:_SHORTEST_SEARCHED], [])
            found.append((value, name))
            found.sort(key=lambda one: -len(one[0]))

    def _find(self, text: str) -> Iterator[tuple[int, str, str]]:
        """Yield start, value and name of each secret in a text: one pass, however many secrets there are."""
        for start in range(len(text) - _SHORTEST_SEARCHED + 1):
            for secret, name in self._searched.get(text[start : start + _SHORTEST_SEARCHED], ()):
                if text.startswith(secret, start):
                    yield start, secret, name
                    break

    def _add(self, hint: str, purpose: str) -> str:
        slug = make_slug(hint, "secret", _MAX_SECRET_NAME).replace(".", "-").replace("_", "-").strip("-")
        name = self._names.add(slug)
        self.required[name] = RequiredSecret(name, purpose)
        return name


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        if value.keys() == {"secret"}:
            return
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)


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

    def new_job(self, hint: str, origin: SourceNode, *nodes: SourceNode | None) -> JobDraft:
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
        path = next(
            (part for part in self._section_nodes if key == part or key.startswith((f"{part}.", f"{part}["))), None
        )
        if path is None:
            return False
        for node in self._section_nodes.pop(path):
            self.drop(node, why)
        *keys, last = path.split(".")
        containers: list[Any] = [self.sections]
        for part in keys:
            containers.append(containers[-1][part])
        name, _, index = last.removesuffix("]").partition("[")
        if index:
            del containers[-1][name][int(index)]
            self._renumber(path.removesuffix(f"[{index}]"), int(index))
        if not index or not containers[-1][name]:
            del containers[-1][name]
        for container, part in zip(reversed(containers[:-1]), reversed(keys), strict=True):
            if not container[part]:
                del container[part]
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


def add_named_entry(
    context: ImportContext, key: str, hint: str, entry: dict[str, Any], *, used: Container[str] = ()
) -> str:
    """Add an entry such as a channel and return its name. Raises NotCarriedOver: it is not valid.

    `used`: further names that it must not have.
    """
    _validate(key, entry)
    entries: dict[str, Any] = _section(context).setdefault(key, {})
    name = make_unique(make_slug(hint, key.rstrip("s")), _Both(entries, used))
    entries[name] = entry
    return name


def add_listed_entry(context: ImportContext, key: str, hint: str, entry: dict[str, Any]) -> str:
    """Add an entry of a list, such as a window, with a name. Raises NotCarriedOver: it is not valid."""
    entries: list[Any] = _section(context).get(key, [])
    name = make_unique(make_slug(hint, key.rstrip("s")), [one["name"] for one in entries])
    written = {"name": name, **entry}
    _validate(key, written)
    _section(context).setdefault(key, []).append(written)
    return name


class _Both:
    """Two containers as one."""

    def __init__(self, *containers: Container[str]) -> None:
        self._containers = containers

    def __contains__(self, value: object) -> bool:
        return any(value in container for container in self._containers)


def _section(context: ImportContext) -> dict[str, Any]:
    section: dict[str, Any] = context.sections.setdefault("alerting", {})
    return section


def _validate(key: str, entry: dict[str, Any]) -> None:
    # Channels and windows are slow to import, and most sources have none.
    from jobs.definition.alerting_registry import PARTS_BY_KEY

    try:
        PARTS_BY_KEY[key].adapter.validate_python(entry, context=FILE_CONTEXT)
    except ValidationError as error:
        finding = validation_findings(error.errors(include_url=False), PARTS_BY_KEY[key].model)[0]
        place = dotted_path(*finding.path)
        raise NotCarriedOver(f"{place}: {finding.message}" if place else finding.message) from None
