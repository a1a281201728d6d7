"""`apply`: make the changes of a desired set of stored jobs, all or none."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple, Protocol

import typer

from scheduler.cli.connection import KEY_VARIABLE, KeyOption, UrlOption, read_connection, run_remote
from scheduler.cli.output import EXIT_FAILED, fail, is_terminal, print_note
from scheduler.cli.selection import AdoptOption, FilesArgument, LiteralOption, SetOption, load_set

if TYPE_CHECKING:
    from pathlib import Path

    from config.desired_sets import DesiredSet
    from config.loading import Configuration
    from scheduler.app import Program
    from scheduler.cli.connection import Connection
    from scheduler.features.delivery.api_scheduler import ApiScheduler
    from scheduler.features.stored_jobs.sets import SetPlan

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
    allow_literal: LiteralOption = False,
    url: UrlOption = None,
    key_variable: KeyOption = KEY_VARIABLE,
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
      apply jobs/ --set reports --yes --url https://scheduler.example.com
    """
    from scheduler.features.stored_jobs.plan_commands import describe_result, show_plan

    _check_confirmation(yes, plan_hash, as_json)
    rules = _SetRules(adopt, allow_literal)
    target = _find_target(files, owner, rules, read_connection(url, key_variable))
    if yes or plan_hash is not None:
        applied = target.apply(plan_hash)
        show_plan(applied, as_json)
    else:
        applied = target.apply(_confirm(target.plan()))
    print_note(describe_result(applied))


class _SetRules(NamedTuple):
    adopt: bool
    allow_literal: bool


class _Target(Protocol):
    """Where a set is planned and applied. Failures end the command."""

    def plan(self) -> SetPlan: ...

    def apply(self, plan_id: str | None) -> SetPlan:
        """`plan_id` None: the plan that is made now."""
        ...


@dataclass(frozen=True, slots=True)
class _StoreTarget:
    """The set, and the configured store."""

    configuration: Configuration
    desired: DesiredSet
    owner: str
    rules: _SetRules

    def plan(self) -> SetPlan:
        return self._run(self._plan)

    def apply(self, plan_id: str | None) -> SetPlan:
        """See _Target.apply."""
        from scheduler.identity.principal import command_caller

        async def work(program: Program) -> SetPlan:
            confirmed = plan_id or (await self._plan(program)).id
            sets = program.operations.job_sets
            return await sets.apply(
                self.owner, self.desired.document, confirmed, command_caller(), **self.rules._asdict()
            )

        return self._run(work)

    async def _plan(self, program: Program) -> SetPlan:
        from scheduler.identity.principal import command_caller

        sets = program.operations.job_sets
        return await sets.plan(self.owner, self.desired.document, command_caller(), **self.rules._asdict())

    def _run(self, work: Callable[[Program], Awaitable[SetPlan]]) -> SetPlan:
        from scheduler.cli.context import run_changing

        return run_changing(self.configuration, work, locate=self.desired.locate)


@dataclass(frozen=True, slots=True)
class _RemoteTarget:
    """The set, and a running scheduler."""

    connection: Connection
    desired: DesiredSet
    owner: str
    rules: _SetRules

    def plan(self) -> SetPlan:
        return self._run(lambda remote: remote.plan_set(self.owner, self.desired.document, **self.rules._asdict()))

    def apply(self, plan_id: str | None) -> SetPlan:
        """See _Target.apply."""

        async def work(remote: ApiScheduler) -> SetPlan:
            document = self.desired.document
            rules = self.rules._asdict()
            confirmed = plan_id or (await remote.plan_set(self.owner, document, **rules)).id
            return await remote.apply_set(self.owner, document, confirmed, **rules)

        return self._run(work)

    def _run(self, work: Callable[[ApiScheduler], Awaitable[SetPlan]]) -> SetPlan:
        from jobs.running.clocks import SystemClock
        from scheduler.features.delivery.api_scheduler import ApiScheduler

        return run_remote(self.connection, lambda api: work(ApiScheduler(api, SystemClock())))


def _find_target(files: list[Path], owner: str, rules: _SetRules, connection: Connection | None) -> _Target:
    if connection is None:
        return _StoreTarget(*load_set("apply", files, owner), owner, rules)
    from scheduler.cli.working_copy import read_default_schedule, read_working_copy

    desired = read_working_copy(files, owner, read_default_schedule()).desired
    assert desired is not None  # there is an owner
    return _RemoteTarget(connection, desired, owner, rules)


def _confirm(plan: SetPlan) -> str:
    """Return the hash of the plan if the user confirms it. Without changes the command ends."""
    from scheduler.features.stored_jobs.plan_commands import has_changes, show_plan

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
