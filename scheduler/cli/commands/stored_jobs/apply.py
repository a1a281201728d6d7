"""`apply`: make the changes of a desired set of stored jobs, all or none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.commands.stored_jobs.set_options import AdoptOption, FilesArgument, SetOption, load_set
from scheduler.cli.output import EXIT_FAILED, fail, is_terminal, print_note

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.operations.stored_jobs.sets import SetPlan

_YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Apply without a confirmation.")]
_HashOption = Annotated[
    str | None,
    typer.Option("--plan-hash", metavar="HASH", help="Apply only this plan; `plan` prints the hash."),
]


def apply(
    files: FilesArgument,
    owner: SetOption,
    yes: _YesOption = False,
    plan_hash: _HashOption = None,
    adopt: AdoptOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as POST /api/sets/NAME/apply.")] = False,
) -> None:
    """Store a set of jobs: create, change and delete jobs so that the store has exactly those of the files.

    All changes are made together, or none. Only jobs of the set are deleted. On a terminal the command shows the plan
    and waits for a confirmation. If the stored jobs, the job files or the set have changed since the plan, nothing is
    changed and the exit code is 1.

    \b
    Examples:
      apply jobs/reports.yaml --set reports
      apply jobs/ --set reports --plan-hash 0123456789abcdef0123456789abcdef
      apply jobs/ --set reports --yes --json
    """
    from scheduler.cli.commands.stored_jobs.plan_text import describe_result, has_changes, show_plan
    from scheduler.cli.mutations import run_changing
    from scheduler.identity.command_caller import command_caller

    _check_confirmation(yes, plan_hash, as_json)
    configuration, desired = load_set("apply", files, owner)

    async def plan_set(program: Program) -> SetPlan:
        return await program.operations.job_sets.plan(owner, desired.document, command_caller(), adopt=adopt)

    async def apply_plan(program: Program) -> SetPlan:
        plan_id = plan_hash or shown_id or (await plan_set(program)).id
        return await program.operations.job_sets.apply(owner, desired.document, plan_id, command_caller(), adopt=adopt)

    shown_id = ""
    if not yes and plan_hash is None:
        found = run_changing(configuration, plan_set, locate=desired.locate)
        show_plan(found, as_json)
        if found.conflicts:
            raise typer.Exit(EXIT_FAILED)
        if not has_changes(found):
            return
        if not typer.confirm("Apply this plan?", err=True):
            fail("nothing was changed", EXIT_FAILED)
        shown_id = found.id
    applied = run_changing(configuration, apply_plan, locate=desired.locate)
    if not shown_id:
        show_plan(applied, as_json)
    print_note(describe_result(applied))


def _check_confirmation(yes: bool, plan_hash: str | None, as_json: bool) -> None:
    if yes and plan_hash is not None:
        fail("--yes and --plan-hash exclude each other: --plan-hash confirms the plan")
    if yes or plan_hash is not None:
        return
    if as_json or not is_terminal() or not sys.stdin.isatty():
        fail("apply needs a confirmation: give --plan-hash with the hash that `plan` prints, or --yes")
