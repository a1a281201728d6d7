"""Applies the documents of a target to its tool, and reads drift. Used by group."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from scheduler.cli.commands.generation.writing import generate_documents
from scheduler.cli.output import EXIT_FAILED, fail

if TYPE_CHECKING:
    from observability.generation.applying import ApplyOptions, ApplyOutcome, DocumentDrift

_APPLIED = "applied"


def run_apply(target: str, out: Path, options: ApplyOptions, *, with_stored: bool) -> list[ApplyOutcome]:
    """Write the files, unless it is a dry run, and apply them. A tool that cannot be used ends the command with 1."""
    from observability.generation.applying import AppliedFolder, apply_documents
    from observability.generation.document import InvalidFolder, ToolError, write_documents
    from observability.generation.targets import load_target

    loaded = load_target(target)
    documents = generate_documents("generate apply", loaded, with_stored=with_stored)
    try:
        with loaded.connect(os.environ) as tool:
            if not options.is_dry_run:
                write_documents(out / target, documents)
            return list(apply_documents(documents, tool, AppliedFolder(out / _APPLIED / target), options))
    except InvalidFolder as error:
        fail(str(error))
    except ToolError as error:
        fail(str(error), EXIT_FAILED)


def read_drift(target: str, out: Path) -> list[DocumentDrift]:
    """Return what people changed. A tool or folder that cannot be read ends the command with 2."""
    from observability.generation.applying import AppliedFolder, find_drift
    from observability.generation.document import InvalidFolder, ToolError
    from observability.generation.targets import load_target

    try:
        with load_target(target).connect(os.environ) as tool:
            return list(find_drift(tool, AppliedFolder(out / _APPLIED / target)))
    except (InvalidFolder, ToolError) as error:
        fail(str(error))
