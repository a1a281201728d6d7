"""`apply`: make the changes of a desired set of stored jobs, all or none."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.commands.stored_jobs.set_options import AdoptOption, FilesArgument, SetOption, load_set
from scheduler.cli.output import EXIT_FAILED, fail, is_terminal, print_note

if TYPE_CHECKING:
    from config.desired_sets import DesiredSet
    from config.loading import Configuration
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
    from scheduler.cli.commands.stored_jobs.plan_text import describe_result, show_plan

    _check_confirmation(yes, plan_hash, as_json)
    configuration, desired = load_set("apply", files, owner)
    target = _Target(configuration, desired, owner, adopt)
    if yes or plan_hash is not None:
        applied = target.apply(plan_hash)
        show_plan(applied, as_json)
    else:
        applied = target.apply(_confirm(target.plan()))
    print_note(describe_result(applied))


@dataclass(frozen=True, slots=True)
class _Target:
    """The set, and the program that applies it."""

    configuration: Configuration
    desired: DesiredSet
    owner: str
    adopt: bool

    def plan(self) -> SetPlan:
        return self._run(self._plan)

    def apply(self, plan_id: str | None) -> SetPlan:
        """`plan_id` None: the plan that is made now."""
        from scheduler.identity.command_caller import command_caller

        async def work(program: Program) -> SetPlan:
            confirmed = plan_id or (await self._plan(program)).id
            sets = program.operations.job_sets
            return await sets.apply(self.owner, self.desired.document, confirmed, command_caller(), adopt=self.adopt)

        return self._run(work)

    async def _plan(self, program: Program) -> SetPlan:
        from scheduler.identity.command_caller import command_caller

        sets = program.operations.job_sets
        return await sets.plan(self.owner, self.desired.document, command_caller(), adopt=self.adopt)

    def _run(self, work: Callable[[Program], Awaitable[SetPlan]]) -> SetPlan:
        from scheduler.cli.mutations import run_changing

        return run_changing(self.configuration, work, locate=self.desired.locate)


def _confirm(plan: SetPlan) -> str:
    """Return the hash of the plan if the user confirms it. Without changes the command ends."""
    from scheduler.cli.commands.stored_jobs.plan_text import has_changes, show_plan

    show_plan(plan, as_json=False)
    if plan.conflicts:
        raise typer.Exit(EXIT_FAILED)
    if not has_changes(plan):
        raise typer.Exit
    if not typer.confirm("Apply this plan?", err=True):
        fail("nothing was changed", EXIT_FAILED)
    return plan.id


def _check_confirmation(yes: bool, plan_hash: str | None, as_json: bool) -> None:
    if yes and plan_hash is not None:
        fail("--yes and --plan-hash exclude each other: --plan-hash confirms the plan")
    if yes or plan_hash is not None:
        return
    if as_json or not is_terminal() or not sys.stdin.isatty():
        fail("apply needs a confirmation: give --plan-hash with the hash that `plan` prints, or --yes")
