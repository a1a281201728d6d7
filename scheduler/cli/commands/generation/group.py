"""`generate`: write dashboards, alert rules and objectives of a tool; apply them; find what people changed there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats.counts import format_count
from observability.generation.targets import TARGETS
from scheduler.cli.output import EXIT_CHANGES, EXIT_FAILED, fail, print_note

if TYPE_CHECKING:
    from observability.generation.applying import ApplyOutcome

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


def _make_command(target: str) -> Callable[..., None]:
    def write(
        out: OutOption,
        check: Annotated[
            bool, typer.Option("--check", help="Write nothing; exit code 1 if a file is out of date.")
        ] = False,
        stored: StoredOption = False,
    ) -> None:
        from scheduler.cli.commands.generation.writing import write_target

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
    from scheduler.cli.commands.generation.applying import run_apply
    from scheduler.cli.commands.generation.report import show_outcomes

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
    from scheduler.cli.commands.generation.applying import read_drift
    from scheduler.cli.commands.generation.report import show_drift
    from scheduler.cli.output import EXIT_BAD_INPUT

    _check_target(target)
    found = read_drift(target, out)
    show_drift(found, as_json=as_json)
    if any(one.error for one in found):
        raise typer.Exit(EXIT_BAD_INPUT)
    if any(one.differences for one in found):
        raise typer.Exit(EXIT_FAILED)
    print_note("no document is applied" if not found else "nothing was changed by hand")


def _check_target(target: str) -> None:
    if target not in TARGETS:
        fail(f"TARGET: expected one of {', '.join(TARGETS)}, got {target!r}")


def _note(outcomes: list[ApplyOutcome], is_dry_run: bool) -> None:

    changed = sum(outcome.action != "none" for outcome in outcomes)
    would = "would change" if is_dry_run else "changed"
    conflicts = sum(len(outcome.conflicts) for outcome in outcomes)
    more = f", {format_count(conflicts, 'conflict')}" if conflicts else ""
    print_note(f"{format_count(len(outcomes), 'document')}, {changed} {would}{more}")
