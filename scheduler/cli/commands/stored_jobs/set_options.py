"""The arguments of `plan` and `apply`, and the set that the files define."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import fail

if TYPE_CHECKING:
    from config.desired_sets import DesiredSet
    from config.loading import Configuration

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Job files or folders of job files: all jobs of the set.")
]
SetOption = Annotated[
    str,
    typer.Option("--set", metavar="NAME", help="Name of the set, the owner of its jobs, such as a repository."),
]
AdoptOption = Annotated[
    bool, typer.Option("--adopt", help="Take over jobs of other sets, and jobs that were made by hand.")
]
LiteralOption = Annotated[
    bool,
    typer.Option(
        "--allow-literal",
        help="Accept literal credentials, such as an Authorization header, which a scheduler rejects with --url.",
    ),
]


def load_set(command: str, files: list[Path], owner: str) -> tuple[Configuration, DesiredSet]:
    """Read the configuration and the files; what is wrong ends the command with 2."""
    from config.desired_sets import read_desired_set
    from config.errors import ConfigurationError, format_problems
    from scheduler.cli.context import load_for_command
    from scheduler.cli.working_copy import check_owner

    check_owner(owner)
    configuration = load_for_command(command)
    try:
        return configuration, read_desired_set(files, Path.cwd(), configuration.settings.default_schedule)
    except ConfigurationError as error:
        fail(format_problems(error.problems))
