"""All commands of `python -m scheduler`, and how the process ends. Called by scheduler.__main__.

Command modules import typer at their top and everything heavier inside their functions.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from scheduler.cli.registry import register_commands
from scheduler.version import VERSION, VERSION_VARIABLE

ABOUT = """Run scheduled jobs and health checks, store their results, and publish them.

SCHEDULER_JOBS sets the job file or folder, SCHEDULER_STORE the state store, SCHEDULER_ENVIRONMENT the environment: \
dev, test or prod. A command prints tables on a terminal and lines with tabs in a pipe; --json prints JSON on both.

Exit codes: 0 success, 1 failure, 2 invalid input or configuration, 3 planned changes, 130 interrupted."""

MIN_BOX_COLUMNS = 100
"""Columns of a terminal that shows help in boxes: in fewer of them, long options are cut."""
TERMINAL_COLUMNS = max(shutil.get_terminal_size().columns, 20)


class CommandGroup(TyperGroup):
    """Reports an invalid value without the words that pydantic, by which typer reads values, puts before it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    cls=CommandGroup,
    help=ABOUT,
    no_args_is_help=True,
    add_completion=False,
    # A traceback is for us: short, and without the values of variables.
    pretty_exceptions_enable=False,
    # Boxes and colours are for people, and cost 0.1 s. In a narrow terminal they cut words.
    rich_markup_mode="rich" if sys.stdout.isatty() and TERMINAL_COLUMNS >= MIN_BOX_COLUMNS else None,
    # Without its width, help takes 50 columns at least.
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": min(TERMINAL_COLUMNS, 80) - 2},
)
# As a program, `python -m scheduler` or the installed command, there is one command line in a process; tests have many.
IS_PROGRAM = os.path.basename(sys.argv[0]) in ("__main__.py", "scheduler")
register_commands(app, next(iter(sys.argv[1:]), None) if IS_PROGRAM else None)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        print(f"scheduler {os.environ.get(VERSION_VARIABLE) or VERSION}")
        raise typer.Exit


@app.callback()
def _global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Replaced by the help of `app`."""


def main() -> int:
    """Run the command of sys.argv; gives the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the terminal's encoding lacks is shown escaped instead of ending the command.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as end:
        return _flush_output(end.code if isinstance(end.code, int) else 0)
    return _flush_output(0)


def _flush_output(code: int) -> int:
    """Flush the output; a reader that has closed the pipe (`| head`), or a closed terminal, is not an error."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        # Python flushes once more at its end, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
