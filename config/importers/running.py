"""Runs one import: detects the source, maps the files, validates the jobs. Called by the command `import`. No I/O but
reading the files."""

from __future__ import annotations

from collections.abc import Sequence

from config.importers.errors import UnreadableSource
from config.importers.import_context import ImportContext, ImportOptions
from config.importers.registry import SOURCES, load_source
from config.importers.report import ImportReport, create_report
from config.importers.source_file import SourceFile
from config.importers.validation import validate_drafts


def detect_source(files: Sequence[SourceFile]) -> str:
    """Return the source of the files: the first that detects one of them. Raises UnreadableSource."""
    for name in SOURCES:
        source = load_source(name)
        if any(source.detects(file) for file in files):
            return name
    names = ", ".join(SOURCES)
    raise UnreadableSource(files[0].shown, "no source recognises this file", f"name the source: {names}")


def run_import(source: str, files: Sequence[SourceFile], options: ImportOptions | None = None) -> ImportReport:
    """Return the jobs and what became of each leaf. `source`: a name in SOURCES.

    Raises UnreadableSource: a file cannot be read; nothing is imported.
    """
    context = ImportContext(options)
    load_source(source).import_files(files, context)
    validate_drafts(context)
    return create_report(source, context)
