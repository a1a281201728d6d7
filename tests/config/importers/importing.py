"""Imports a text in the test's process, and what of a document must be reported.

report = import_text("crontab", "* * * * * curl https://shop.example/")
report.definitions["shop.example"], outcomes(report)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from config.job_files.job_set import JobFile
from config.job_files.reader import JobFileReader
from importers.import_context import ImportOptions
from importers.report import ImportReport
from importers.running import run_import
from importers.source_tree import SourceFile
from jobs.definition import JobDefinition


def text_file(text: str, name: str = "source.yaml") -> SourceFile:
    return SourceFile(Path(name), name, text.encode())


def import_text(
    source: str, text: str, *others: SourceFile, name: str = "source.yaml", options: ImportOptions | None = None
) -> ImportReport:
    return run_import(source, [text_file(text, name), *others], options)


def outcomes(report: ImportReport) -> dict[str, str]:
    """The outcome of each leaf by its key."""
    return {entry.key: entry.outcome.words for entry in report.entries}


def details(report: ImportReport) -> dict[str, str]:
    return {entry.key: f"{entry.detail} {entry.nearest}".strip() for entry in report.entries}


def read_jobs(report: ImportReport) -> dict[str, JobDefinition]:
    """The jobs of the written text, as `validate` reads them. Raises ConfigurationError."""
    file = JobFile("imported.yaml", "imported.yaml", report.text.encode())
    return dict(JobFileReader(Path(), {}).parse("imported.yaml", [file]).jobs)


def leaf_paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """The paths of all leaves of a document, found without the importer's own code."""
    if isinstance(value, dict) and value:
        return set().union(*(leaf_paths(one, (*path, key)) for key, one in value.items()))
    if isinstance(value, list) and value:
        return set().union(*(leaf_paths(one, (*path, at)) for at, one in enumerate(value)))
    return {path}
