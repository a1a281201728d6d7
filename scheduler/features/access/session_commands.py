"""`sessions`: list and end the sessions of browsers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.output import (
    EXIT_FAILED,
    Column,
    escape_controls,
    fail,
    is_terminal,
    print_note,
    show_json,
    show_table,
    show_tabs,
)
from scheduler.cli.times import format_local

if TYPE_CHECKING:
    from datetime import datetime

    from scheduler.app import ReadOnlyProgram
    from scheduler.stores.identity import Session

T = TypeVar("T")
_FIELDS = ("id", "principal", "role", "tags", "address", "started_at", "last_used_at", "ends_at")

ABOUT = """Sessions of browsers, which have signed in to the dashboard.

A principal has at most 20. The id is the beginning of the stored one; no cookie is shown.

\b
Examples:
  sessions
  sessions end 9f86d081884c
  sessions end api_key:deploy"""

sessions = typer.Typer(help=ABOUT)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/sessions.")]


@sessions.callback(invoke_without_command=True)
def list_sessions(context: typer.Context, as_json: JsonOption = False) -> None:
    """See ABOUT."""
    if context.invoked_subcommand is None:
        _list("sessions", as_json)


@sessions.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the sessions that have not ended, by principal.

    \b
    Examples:
      sessions list
    """
    _list("sessions list", as_json)


@sessions.command("end")
def end(
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="Id of a session, or a principal: all its sessions end.")
    ],
) -> None:
    """End a session, or all sessions of a principal. Running servers reject them within seconds.

    \b
    Examples:
      sessions end 9f86d081884c
      sessions end api_key:deploy
    """

    async def work(program: ReadOnlyProgram) -> Sequence[Session]:
        from scheduler.identity.principal import command_caller

        caller = command_caller()
        return await program.sessions.end_all_of(session, caller) or [await program.sessions.end(session, caller)]

    for one in _run("sessions end", work):
        print(escape_controls(f"session {one.handle} of {one.principal.id} is ended"))


def _run(command: str, work: Callable[[ReadOnlyProgram], Awaitable[T]]) -> T:
    """Do the work in the opened store. A rejection ends the command with 1."""
    from scheduler.cli.context import run_without_jobs
    from scheduler.errors import OperationError

    try:
        return run_without_jobs(command, work)
    except OperationError as error:
        fail(str(error), EXIT_FAILED)


def _list(command: str, as_json: bool) -> None:
    async def work(program: ReadOnlyProgram) -> Sequence[Session]:
        return await program.sessions.list_sessions()

    found = _run(command, work)
    if as_json:
        from scheduler.features.access.models import BrowserSessionList, BrowserSessionModel

        models = [BrowserSessionModel.from_session(each) for each in found]
        show_json(BrowserSessionList(sessions=models).model_dump_json(indent=2))
        return
    if not found:
        print_note("no browser has a session")
    if is_terminal():
        columns = tuple(Column(name.removesuffix("_at").replace("_", " ").upper()) for name in _FIELDS)
        show_table(columns, [_cells(each, format_local) for each in found])
    else:
        show_tabs(_FIELDS, [_cells(each, format_iso_instant) for each in found])


def _cells(session: Session, text: Callable[[datetime], str]) -> tuple[str, ...]:
    from scheduler.identity.principal import format_tag_limits

    who, started = session.principal, session.started_at
    instants = "" if started is None else text(started), text(session.used_at), text(session.ends_at)
    return (session.handle, who.id, who.role.value, " ".join(format_tag_limits(who.tags)), session.address, *instants)
