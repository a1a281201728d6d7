"""`generate`: write dashboards, alert rules and objectives of a tool; apply them; find what people changed there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.formats import format_count
from observability.generation.targets import TARGETS
from scheduler.cli.output import (
    EXIT_CHANGES,
    EXIT_FAILED,
    fail,
    print_error,
    print_note,
    print_warning,
    show_json,
    show_tabs,
)

if TYPE_CHECKING:
    from observability.generation.applying import ApplyOptions, ApplyOutcome, DocumentDrift
    from observability.generation.document import GeneratedDocument, GenerationTarget
    from observability.generation.portfolio import Portfolio

ABOUT = """Generated dashboards, alert rules and objectives of other tools: they follow the jobs, their tags and groups.

Write them as files, which belong into version control, and apply them. What people change in the tool is retained, and
reported by drift.

\b
Examples:
  generate grafana --out monitoring/prod
  generate grafana --out monitoring/prod --check
  generate apply grafana --out monitoring/prod --dry-run
  generate drift grafana --out monitoring/prod"""

generate = typer.Typer(help=ABOUT, no_args_is_help=True)

OutOption = Annotated[
    Path,
    typer.Option(
        "--out", metavar="DIR", help="Folder of the generated files, one for each environment.", file_okay=False
    ),
]
StoredOption = Annotated[
    bool, typer.Option("--stored", help="Add the stored jobs, which need the store. (default: files alone)")
]
TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help=f"One of {', '.join(TARGETS)}.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_APPLIED = "applied"
_MAX_VALUE_LENGTH = 200
"""Characters of a value in a line. JSON has all of it."""
_DONE = {"create": "created", "update": "updated", "delete": "deleted", "none": "unchanged"}


def _make_command(target: str) -> Callable[..., None]:
    def write(
        out: OutOption,
        check: Annotated[
            bool, typer.Option("--check", help="Write nothing; exit code 1 if a file is out of date.")
        ] = False,
        stored: StoredOption = False,
    ) -> None:

        write_target(target, out, is_check=check, with_stored=stored)

    return write


for _name, _entry in TARGETS.items():
    generate.command(
        _name,
        help=f"""Write {_entry.summary}.

Files that are the same are not written again; files of former jobs are deleted.

\b
Examples:
  generate {_name} --out monitoring/prod
  generate {_name} --out monitoring/prod --check""",
    )(_make_command(_name))


@generate.command("apply")
def apply_target(
    target: TargetArgument,
    out: OutOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; show what would change. Exit code 3 if something would.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what people changed where the generated value changed, too.")
    ] = False,
    stored: StoredOption = False,
    as_json: JsonOption = False,
) -> None:
    """Generate the files and apply them to the tool. A second time changes nothing.

    What people changed in the tool is retained. Where the generated value changed as well, theirs is retained and
    reported as a conflict. DIR/applied stores what was applied. Exit code 1: a conflict remains, or the tool refused
    something.

    \b
    Examples:
      generate apply datadog --out monitoring/prod
      generate apply datadog --out monitoring/prod --dry-run
      generate apply grafana --out monitoring/prod --overwrite
    """
    from observability.generation.applying import ApplyOptions

    _check_target(target)
    outcomes = run_apply(target, out, ApplyOptions(dry_run, overwrite), with_stored=stored)
    show_outcomes(outcomes, as_json=as_json)
    _note(outcomes, dry_run)
    if any(outcome.error or outcome.conflicts for outcome in outcomes):
        raise typer.Exit(EXIT_FAILED)
    if dry_run and any(outcome.action != "none" for outcome in outcomes):
        raise typer.Exit(EXIT_CHANGES)


@generate.command("drift")
def drift(target: TargetArgument, out: OutOption, as_json: JsonOption = False) -> None:
    """Show what people changed in the tool since the last apply, and where.

    Exit code 0: nothing, 1: something was changed, 2: the tool or the folder cannot be read.

    \b
    Examples:
      generate drift datadog --out monitoring/prod
      generate drift grafana --out monitoring/prod --json
    """
    from scheduler.cli.output import EXIT_BAD_INPUT

    _check_target(target)
    drifts = read_drift(target, out)
    show_drift(drifts, as_json=as_json)
    if any(one.error for one in drifts):
        raise typer.Exit(EXIT_BAD_INPUT)
    if any(one.differences for one in drifts):
        raise typer.Exit(EXIT_FAILED)
    print_note("no document is applied" if not drifts else "nothing was changed by hand")


def _check_target(target: str) -> None:
    if target not in TARGETS:
        fail(f"TARGET: expected one of {', '.join(TARGETS)}, got {target!r}")


def _note(outcomes: list[ApplyOutcome], is_dry_run: bool) -> None:

    changed = sum(outcome.action != "none" for outcome in outcomes)
    would = "would change" if is_dry_run else "changed"
    conflicts = sum(len(outcome.conflicts) for outcome in outcomes)
    more = f", {format_count(conflicts, 'conflict')}" if conflicts else ""
    print_note(f"{format_count(len(outcomes), 'document')}, {changed} {would}{more}")


def write_target(target: str, out: Path, *, is_check: bool, with_stored: bool) -> None:
    """Write the files that differ and print their paths. With `is_check`, only print them; then 1 ends the command."""
    from observability.generation.document import InvalidFolder, compare_folder, write_documents
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
    from observability.generation.portfolio import build_portfolio
    from scheduler.cli.context import load_for_command

    configuration = load_for_command(command)
    jobs = configuration.jobs
    if with_stored:
        from scheduler.cli.selection import add_stored_jobs

        jobs = add_stored_jobs(jobs, configuration.settings)
    return build_portfolio(jobs, configuration.settings, os.environ)


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


def show_outcomes(outcomes: Sequence[ApplyOutcome], *, as_json: bool) -> None:
    """Print a line a document, then conflicts and errors on stderr; or everything as JSON."""
    if as_json:
        show_json(json.dumps({"documents": [_outcome_as_json(outcome) for outcome in outcomes]}, indent=2))
        return
    show_tabs(("action", "document"), [("failed" if one.error else _DONE[one.action], one.path) for one in outcomes])
    for outcome in outcomes:
        for conflict in outcome.conflicts:
            print_warning(
                f"{outcome.path}{_format_place(conflict.pointer)}: retained {_format(conflict.theirs)}, which was set "
                f"by hand; generated is {_format(conflict.ours)}, before it was {_format(conflict.base)}"
            )
        if outcome.error:
            print_error(f"{outcome.path}: {outcome.error}")


def show_drift(drifts: Sequence[DocumentDrift], *, as_json: bool) -> None:
    """Print a line a difference: document, JSON pointer, value before and after; or everything as JSON."""
    if as_json:
        show_json(json.dumps({"documents": [_drift_as_json(drift) for drift in drifts]}, indent=2))
    else:
        rows = [
            (drift.path, _format_place(difference.pointer), _format(difference.before), _format(difference.after))
            for drift in drifts
            for difference in drift.differences
        ]
        if rows:
            show_tabs(("document", "pointer", "applied", "now"), rows)
    for drift in drifts:
        if drift.error:
            print_error(f"{drift.path}: {drift.error}")


def _outcome_as_json(outcome: ApplyOutcome) -> dict[str, object]:
    conflicts = [
        {"pointer": _format_place(one.pointer), **_present(base=one.base, generated=one.ours, retained=one.theirs)}
        for one in outcome.conflicts
    ]
    return {"path": outcome.path, "action": outcome.action, "conflicts": conflicts, "error": outcome.error or None}


def _drift_as_json(drift: DocumentDrift) -> dict[str, object]:
    differences = [
        {"pointer": _format_place(one.pointer), **_present(before=one.before, after=one.after)}
        for one in drift.differences
    ]
    return {"path": drift.path, "differences": differences, "error": drift.error or None}


def _present(**values: Any) -> dict[str, Any]:
    """The values that exist."""
    from observability.generation.merge import MISSING

    return {name: value for name, value in values.items() if value is not MISSING}


def _format_place(pointer: Sequence[str]) -> str:
    from observability.generation.merge import format_pointer

    return format_pointer(tuple(pointer))


def _format(value: Any) -> str:
    from observability.generation.merge import MISSING

    if value is MISSING:
        return "nothing"
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[: _MAX_VALUE_LENGTH - 1]}…"
