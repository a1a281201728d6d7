"""The options that select jobs. Used by the commands that list jobs or act on several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import fail

if TYPE_CHECKING:
    from scheduler.operations.selected_jobs import SelectedJobs
    from scheduler.queries.selection import JobSelection

JobsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[JOB]...", help="Job names: * is any text, ? any character.")
]
KindOption = Annotated[
    list[str] | None,
    typer.Option("--kind", help="Only jobs with a check of this kind: http, steps, tcp, dns, tls, heartbeat."),
]
TagOption = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY[=VALUE]", help="Only jobs with this tag.")]
StateOption = Annotated[
    list[str] | None, typer.Option("--state", help="Only jobs in this state: enabled, paused, disabled.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All jobs.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="List the jobs and change nothing.")]


@dataclass(frozen=True, slots=True)
class SelectionOptions:
    """The arguments and options of a command that select jobs."""

    names: Sequence[str]
    tags: Sequence[str]
    kinds: Sequence[str]
    states: Sequence[str]
    every: bool
    dry_run: bool

    @classmethod
    def from_arguments(
        cls,
        names: list[str] | None,
        tags: list[str] | None,
        kinds: list[str] | None,
        states: list[str] | None,
        every: bool,
        dry_run: bool,
    ) -> SelectionOptions:
        return cls(names or (), tags or (), kinds or (), states or (), every, dry_run)

    @property
    def single_name(self) -> str | None:
        """The only name, if the command is about one job."""
        if len(self.names) != 1 or self.tags or self.kinds or self.states or self.every or self.dry_run:
            return None
        return None if set("*?") & set(self.names[0]) else self.names[0]

    def parse(self) -> SelectedJobs:
        """Return the selection; what is wrong with it ends the command with 2."""
        from scheduler.operations.selected_jobs import SelectedJobs

        selection = parse_selection_options(names=self.names, kinds=self.kinds, tags=self.tags, states=self.states)
        if selection.is_empty and not self.every:
            fail("give job names, --tag, --kind or --state; --all selects all jobs")
        if self.every and not selection.is_empty:
            fail(f"--all and a filter exclude each other: {selection}")
        return SelectedJobs(selection, self.every, self.dry_run)


def parse_selection_options(
    names: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    states: Sequence[str] | None = None,
    outcomes: Sequence[str] | None = None,
    *,
    name_option: str = "JOB",
) -> JobSelection:
    """Parse filters; what is wrong with them ends the command with 2. `name_option`: how a message names `names`."""
    from scheduler.queries.selection import InvalidFilter, parse_selection

    try:
        return parse_selection(
            names=names or (), kinds=kinds or (), tags=tags or (), states=states or (), outcomes=outcomes or ()
        )
    except InvalidFilter as error:
        fail(f"{name_option if error.filter == 'name' else f'--{error.filter}'}: {error}")
