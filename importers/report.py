"""What an import did with each leaf of its sources, as a value and as JSON; and its jobs as the text of a job file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from importers.import_context import ImportContext
from importers.ledger import JobDraft, LeafOutcome, LeafRecord
from importers.source_tree import SourceNode
from jobs.formats import write_definition
from jobs.problems import KeyPath, dotted_path, make_printable

SCHEMA_LINE = "# yaml-language-server: $schema=jobs.schema.json"


def write_job_file_text(
    source: str, context: ImportContext, jobs: Iterable[JobDraft] | None = None, *, with_sections: bool = True
) -> str:
    """Return a job file: its sections and the jobs, each with the place that it came from. `jobs`: all by default."""
    drafts = list(context.jobs.values() if jobs is None else jobs)
    lines = [SCHEMA_LINE, f"# Written by: python -m scheduler import {source}"]
    sections = context.sections if with_sections else {}
    secrets = sorted(find_secret_names([sections, *(draft.definition for draft in drafts)]))
    if secrets:
        lines.append("# Secrets to provide: " + ", ".join(secrets))
    text = "\n".join(lines) + "\n"
    if sections:
        text += write_definition(sections)
    text += "jobs:\n" if drafts else "jobs: {}\n"
    return text + "".join(map(_write_job, drafts))


def _write_job(draft: JobDraft) -> str:
    if draft.written is None:
        draft.written = _make_text(draft)
    return draft.written


def _make_text(draft: JobDraft) -> str:
    origin = draft.origin
    place = (
        f"{origin.tree.file}:{origin.line}" if origin.line is not None else f"{origin.tree.file} {origin.shown_path}"
    )
    body = write_definition({draft.name: draft.definition})
    comment = f"  # {make_printable(place, 300)}\n"
    return comment + "".join(f"  {line}\n" if line else "\n" for line in body.splitlines())


def find_secret_names(values: Sequence[Any]) -> set[str]:
    """Return the names in each `{secret: NAME}` of definitions that are not validated yet."""
    names: set[str] = set()
    pending = list(values)
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if value.keys() == {"secret"} and isinstance(value["secret"], str):
                names.add(value["secret"])
            pending += value.values()
        elif isinstance(value, (list, tuple)):
            pending += value
    return names


_NAME_KEYS = ("name", "job_name")
_MAX_SUBJECT = 60


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """One leaf of a source. `key`: its path as a text. `jobs`: those that it is part of.

    `subject`: the name that the source gives to what the leaf is part of, such as a monitor; empty without one.
    `field`: the path within it.
    """

    file: str
    line: int | None
    path: KeyPath
    key: str
    outcome: LeafOutcome
    jobs: tuple[str, ...]
    detail: str
    nearest: str
    subject: str = ""
    field: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return {
            "file": self.file,
            "line": self.line,
            "key": self.key,
            "outcome": self.outcome.name.lower(),
            "jobs": list(self.jobs),
            "detail": self.detail,
            "nearest": self.nearest,
            "subject": self.subject,
        }


@dataclass(frozen=True, slots=True)
class SecretToProvide:
    """A secret that must exist before the jobs run. `places`: where the source has its value."""

    name: str
    purpose: str
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result of an import. `text`: the job file. `origins`: file and line of each job."""

    source: str
    definitions: Mapping[str, Mapping[str, Any]]
    origins: Mapping[str, tuple[str, int | None]]
    entries: Sequence[ReportEntry]
    secrets: Sequence[SecretToProvide]
    notes: Sequence[str]
    text: str
    texts_by_file: Mapping[str, str]
    """A job file for each source file, with its jobs."""
    jobs_without_rule: Sequence[str] = ()
    """Neither they nor a group of theirs have an alert rule."""
    jobs_without_notification: Sequence[str] = ()
    """They have an alert rule that names no channel."""

    def counts(self) -> Counter[LeafOutcome]:
        """Return the number of leaves by outcome."""
        return Counter(entry.outcome for entry in self.entries)

    @property
    def is_complete(self) -> bool:
        """Whether everything was imported or changed."""
        return self.counts()[LeafOutcome.NOT_CARRIED_OVER] == 0

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        counts = self.counts()
        return {
            "source": self.source,
            "counts": {outcome.name.lower(): counts[outcome] for outcome in LeafOutcome},
            "jobs": [
                {"name": name, "file": self.origins[name][0], "line": self.origins[name][1], "definition": definition}
                for name, definition in self.definitions.items()
            ],
            "secrets": [{"name": one.name, "purpose": one.purpose, "places": list(one.places)} for one in self.secrets],
            "jobs_without_rule": list(self.jobs_without_rule),
            "jobs_without_notification": list(self.jobs_without_notification),
            "notes": list(self.notes),
            "entries": [entry.to_json() for entry in self.entries],
        }


def create_report(source: str, context: ImportContext) -> ImportReport:
    """Return the report of a finished import. No text of it has the value of a secret."""
    redact = context.secrets.redact
    drafts = context.jobs.values()
    by_file: dict[str, list[JobDraft]] = {}
    for draft in drafts:
        by_file.setdefault(draft.origin.tree.file, []).append(draft)
    if context.sections and not by_file:
        by_file[source] = []
    return ImportReport(
        source,
        {draft.name: draft.definition for draft in drafts},
        {draft.name: (draft.origin.tree.file, draft.origin.line) for draft in drafts},
        [_create_entry(context, leaf, record) for leaf, record in context.ledger.entries()],
        _list_secrets(context),
        [redact(note) for note in context.notes],
        write_job_file_text(source, context),
        _write_each(source, context, by_file),
        *_find_silent_jobs(context),
    )


def _write_each(source: str, context: ImportContext, by_file: Mapping[str, list[JobDraft]]) -> dict[str, str]:
    """Return a job file for each source file. The first one has the other sections: a name is declared once."""
    return {
        file: write_job_file_text(source, context, jobs, with_sections=not number)
        for number, (file, jobs) in enumerate(by_file.items())
    }


def _find_silent_jobs(context: ImportContext) -> tuple[list[str], list[str]]:
    """Return the jobs without an alert rule, and those with a rule that names no channel.

    The rules of a group are those of its jobs without own rules. A group that notifies does so for all of its jobs.
    """
    rules: dict[str, list[Any]] = {name: draft.get("alerts") or [] for name, draft in context.jobs.items()}
    notified: set[str] = set()
    for group in context.sections.get("alerting", {}).get("groups", {}).values():
        members, shared = group["jobs"]["jobs"], group["alerts"]
        rules |= {name: shared for name in members if not rules.get(name, shared)}
        if any(rule.get("notify") for rule in shared):
            notified.update(members)
    silent = [name for name, listed in rules.items() if not all(rule.get("notify") for rule in listed)]
    return [name for name, listed in rules.items() if not listed], [name for name in silent if name not in notified]


def _create_entry(context: ImportContext, leaf: SourceNode, record: LeafRecord) -> ReportEntry:
    redact = context.secrets.redact
    subject, depth = _find_subject(leaf)
    jobs = tuple(name for name in record.jobs if name in context.jobs)
    return ReportEntry(
        leaf.tree.file,
        leaf.line,
        leaf.path,
        leaf.shown_path,
        record.outcome,
        jobs,
        redact(record.detail),
        redact(record.nearest),
        make_printable(redact(subject), _MAX_SUBJECT),
        dotted_path(*leaf.path[depth:]) if subject else leaf.shown_path,
    )


def _find_subject(leaf: SourceNode) -> tuple[str, int]:
    """Return the name of the outermost mapping around a leaf that has one, and the length of its path."""
    value = leaf.tree.value
    for depth, key in enumerate(leaf.path):
        if isinstance(value, dict):
            # A title is a name of one of several things; elsewhere it is a text, such as that of a page.
            is_entry = depth > 0 and str(leaf.path[depth - 1]).isdecimal()
            names = (value.get(one) for one in (*_NAME_KEYS, *(("title",) if is_entry else ())))
            name = next((one for one in names if isinstance(one, str) and one.strip()), "")
            if name:
                return name.strip(), depth
        value = value[key]
    return "", 0


def _list_secrets(context: ImportContext) -> list[SecretToProvide]:
    """List the secrets that the jobs name; a removed part needs none."""
    used = find_secret_names([context.sections, *(draft.definition for draft in context.jobs.values())])
    return [
        SecretToProvide(
            one.name,
            context.secrets.redact(one.purpose),
            tuple(dict.fromkeys(_format_place(context, node) for node in one.places)),
        )
        for one in context.secrets.required.values()
        if one.name in used
    ]


def _format_place(context: ImportContext, node: SourceNode) -> str:
    place = f"{node.tree.file}:{node.line}" if node.line is not None else node.tree.file
    return context.secrets.redact(f"{place} {node.shown_path}".rstrip())
