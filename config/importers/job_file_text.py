"""Writes the jobs of an import as the text of a job file. Called by validation and report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from jobs.formats.definition_yaml import write_definition
from jobs.problems import make_printable

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
