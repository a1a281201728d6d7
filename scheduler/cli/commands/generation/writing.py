"""Writes the documents of a target, or checks that they are up to date. Used by group and applying."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from jobs.formats.counts import format_count
from scheduler.cli.output import EXIT_FAILED, fail, print_error, print_note

if TYPE_CHECKING:
    from observability.generation.core.document import GeneratedDocument
    from observability.generation.core.portfolio import Portfolio
    from observability.generation.core.tool import GenerationTarget


def write_target(target: str, out: Path, *, is_check: bool, with_stored: bool) -> None:
    """Write the files that differ and print their paths. With `is_check`, only print them; then 1 ends the command."""
    from observability.generation.core.folder import InvalidFolder, compare_folder, write_documents
    from observability.generation.targets import load_target

    documents = generate_documents(f"generate {target}", load_target(target), with_stored=with_stored)
    try:
        changes = (compare_folder if is_check else write_documents)(out / target, documents)
    except InvalidFolder as error:
        fail(str(error))
    for path in changes.outdated:
        print(f"{'outdated' if is_check else 'written'}\t{out / target / path}")
    for path in changes.removed:
        print(f"{'obsolete' if is_check else 'deleted'}\t{out / target / path}")
    if is_check and changes:
        print_error(f"the files are not those of the jobs: run `generate {target} --out {out}`")
        raise typer.Exit(EXIT_FAILED)

    done = "all up to date" if not changes else f"{format_count(len(changes.outdated), 'file')} written"
    print_note(f"{format_count(len(documents), 'document')}, {done}")


def generate_documents(command: str, target: GenerationTarget, *, with_stored: bool) -> Sequence[GeneratedDocument]:
    """Return the documents for the configured jobs. A problem of the configuration ends the command with 2."""
    return target.generate(_load_portfolio(command, with_stored=with_stored))


def _load_portfolio(command: str, *, with_stored: bool) -> Portfolio:
    from observability.generation.core.portfolio import build_portfolio
    from scheduler.cli.context import load_for_command

    configuration = load_for_command(command)
    jobs = configuration.jobs
    if with_stored:
        from scheduler.cli.selection import add_stored_jobs

        jobs = add_stored_jobs(jobs, configuration.settings)
    return build_portfolio(jobs, configuration.settings, os.environ)
