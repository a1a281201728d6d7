"""`keys`: list, create, rotate and revoke the keys of the API. `sessions`: list and end the sessions of browsers.

They work before the first start of the server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.listing import Field, show_list, show_model
from scheduler.cli.output import EXIT_BAD_INPUT, EXIT_FAILED, Column, escape_controls, fail, print_note
from scheduler.cli.times import format_local

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.app import ReadOnlyProgram
    from scheduler.features.access.models import (
        BrowserSessionList,
        BrowserSessionModel,
        CreatedKeyModel,
        KeyList,
        KeyModel,
    )
    from scheduler.features.access.service import NewKey
    from scheduler.identity.principal import Caller

T = TypeVar("T")

ABOUT_KEYS = """Keys of the API: which callers can read, operate and manage, for which jobs.

The text of a key is printed once, when it is created. The store contains only its hash.

\b
Examples:
  keys
  keys create deploy --role operator --tag team:payments --expires 90d
  keys rotate deploy --overlap 2h
  keys revoke deploy"""

keys = typer.Typer(help=ABOUT_KEYS)

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Name or id of the key; `keys` lists all keys.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]


def _text_field(name: str, text: Callable[[T], str]) -> Field[T]:
    return Field(name, text, Column(_title_of(name)))


def _instant_field(name: str, find: Callable[[T], datetime | None]) -> Field[T]:
    """Return a field with an instant: in UTC in a pipe, in the zone of this machine on a terminal."""

    def show(item: T, text: Callable[[datetime], str]) -> str:
        instant = find(item)
        return "" if instant is None else text(instant)

    column = Column(_title_of(name))
    return Field(name, lambda item: show(item, format_iso_instant), column, lambda item: show(item, format_local))


def _title_of(name: str) -> str:
    return name.removesuffix("_at").replace("_", " ").upper()


def _find_state(key: KeyModel) -> str:
    return "revoked" if key.revoked_at is not None else "active" if key.active else "expired"


_KEY_FIELDS: tuple[Field[KeyModel], ...] = (
    _text_field("id", lambda key: key.id),
    _text_field("name", lambda key: key.name),
    _text_field("role", lambda key: key.role.value),
    _text_field("tags", lambda key: " ".join(key.tags)),
    _text_field("state", _find_state),
    _instant_field("expires_at", lambda key: key.expires_at),
    _instant_field("last_used_at", lambda key: key.last_used_at),
    _text_field("created_by", lambda key: key.created_by),
)


@keys.callback(invoke_without_command=True)
def list_keys(context: typer.Context, as_json: JsonOption = False) -> None:
    """List all keys without a command of the group. ABOUT_KEYS is the help."""
    if context.invoked_subcommand is None:
        _list_keys("keys", as_json)


@keys.command("list")
def list_keys_command(as_json: JsonOption = False) -> None:
    """List all keys by name, also revoked and expired ones.

    \b
    Examples:
      keys list
    """
    _list_keys("keys list", as_json)


def _list_keys(command: str, as_json: bool) -> None:
    async def work(program: ReadOnlyProgram, caller: Caller) -> KeyList:
        return await program.api_keys.list_keys(caller)

    empty = "there are no API keys; `keys create NAME --role admin` creates one"
    show_list(_run(command, work), _KEY_FIELDS, as_json=as_json, empty=empty, header=True)


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the key, shown in the audit trail.")],
    role: Annotated[str, typer.Option("--role", help="viewer, operator or admin.")],
    tags: Annotated[
        list[str],
        typer.Option("--tag", metavar="TAG", help="Only jobs with this tag, such as team:payments. Repeatable."),
    ] = [],  # noqa: B006 - typer copies it
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION", help="Validity, such as 90d. (default: no end)")
    ] = None,
    addresses: Annotated[
        list[str],
        typer.Option("--address", metavar="NETWORK", help="Only from this address or network. Repeatable."),
    ] = [],  # noqa: B006
    only_if_none: Annotated[
        bool, typer.Option("--if-none", help="Create it only if no key is active: for the first start of a server.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Create a key and print its text once, on standard output.

    \b
    Examples:
      keys create admin --role admin
      keys create deploy --role operator --tag team:payments --expires 90d --address 10.20.0.0/16
    """
    new = parse_new_key(name, role, tags, expires, addresses)

    async def work(program: ReadOnlyProgram, caller: Caller) -> CreatedKeyModel | None:
        if only_if_none and any(each.active for each in (await program.api_keys.list_keys(caller)).keys):
            return None
        return await program.api_keys.create(new, caller)

    created = _run("keys create", work)
    if created is None:
        print_note("no key was created: one is active")
    else:
        _show_created(created, as_json=as_json)


@keys.command("rotate")
def rotate(
    key: KeyArgument,
    overlap: Annotated[
        str, typer.Option("--overlap", metavar="DURATION", help="How long the old key stays valid.")
    ] = "24h",
    as_json: JsonOption = False,
) -> None:
    """Create a successor of a key and print its text once. The old key ends after the overlap.

    \b
    Examples:
      keys rotate deploy --overlap 2h
    """
    from scheduler.cli.times import parse_duration_option

    seconds = parse_duration_option("--overlap", overlap) or 0.0

    async def work(program: ReadOnlyProgram, caller: Caller) -> CreatedKeyModel:
        newest = (await _find_keys(program, caller, key))[0]
        return await program.api_keys.rotate(newest.id, caller, overlap=seconds)

    _show_created(_run("keys rotate", work), as_json=as_json)


@keys.command("revoke")
def revoke(key: KeyArgument) -> None:
    """End a key now. Running servers reject it within seconds. A name stands for all its active keys.

    \b
    Examples:
      keys revoke deploy
    """

    async def work(program: ReadOnlyProgram, caller: Caller) -> list[KeyModel]:
        named = await _find_keys(program, caller, key)
        for each in named:
            await program.api_keys.revoke(each.id, caller)
        return named

    for revoked in _run("keys revoke", work):
        print(escape_controls(f"{revoked.name} ({revoked.id}) is revoked; running servers reject it within 5 seconds"))


async def _find_keys(program: ReadOnlyProgram, caller: Caller, key: str) -> list[KeyModel]:
    """Return the key of an id, or the active keys of a name: two while one rotates, the newest first."""
    from scheduler.errors import NotFound

    listed = await program.api_keys.list_keys(caller)
    named = [each for each in listed.keys if key in (each.id, each.name)]
    if not named:
        raise NotFound(f"there is no API key {key!r}; `keys` lists all keys")
    return [each for each in named if each.active] or named[:1]


def _show_created(created: CreatedKeyModel, *, as_json: bool) -> None:
    if as_json:
        show_model(created)
        return
    print(escape_controls(created.key))
    print_note(f"{created.name} ({created.id}): store the key now, it is not shown again")
    if created.replaced is not None and created.replaced.expires_at is not None:
        print_note(f"the old key {created.replaced.id} ends at {format_iso_instant(created.replaced.expires_at)}")


def parse_new_key(name: str, role: str, tags: Sequence[str], expires: str | None, addresses: Sequence[str]) -> NewKey:
    """Return the key to create. Invalid options end the command with 2."""
    from jobs.problems import Problem, describe_wrong_choice
    from scheduler.cli.times import end_after, parse_duration_option
    from scheduler.features.access.service import NewKey
    from scheduler.identity.principal import Role, parse_tag_limits

    if role not in tuple(Role):
        message, hint = describe_wrong_choice(role, tuple(Role))
        fail(str(Problem("--role", message, hint)))
    try:
        limits = parse_tag_limits(tags)
    except ValueError as error:
        fail(f"--tag: {error}")
    seconds = parse_duration_option("--expires", expires)
    end = None if seconds is None else end_after(seconds, "--expires")
    return NewKey(name, Role(role), limits, end, tuple(addresses))


ABOUT_SESSIONS = """Sessions of browsers, which have signed in to the dashboard.

A principal has at most 20. The id is the beginning of the stored one; no cookie is shown.

\b
Examples:
  sessions
  sessions end 9f86d081884c
  sessions end api_key:deploy"""

sessions = typer.Typer(help=ABOUT_SESSIONS)

SessionsJsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/sessions.")]

_SESSION_FIELDS: tuple[Field[BrowserSessionModel], ...] = (
    _text_field("id", lambda session: session.id),
    _text_field("principal", lambda session: session.principal),
    _text_field("role", lambda session: session.role.value),
    _text_field("tags", lambda session: " ".join(session.tags)),
    _text_field("address", lambda session: session.address),
    _instant_field("started_at", lambda session: session.started_at),
    _instant_field("last_used_at", lambda session: session.last_used_at),
    _instant_field("ends_at", lambda session: session.ends_at),
)


@sessions.callback(invoke_without_command=True)
def list_sessions(context: typer.Context, as_json: SessionsJsonOption = False) -> None:
    """List the sessions without a command of the group. ABOUT_SESSIONS is the help."""
    if context.invoked_subcommand is None:
        _list_sessions("sessions", as_json)


@sessions.command("list")
def list_sessions_command(as_json: SessionsJsonOption = False) -> None:
    """List the sessions that have not ended, by principal.

    \b
    Examples:
      sessions list
    """
    _list_sessions("sessions list", as_json)


def _list_sessions(command: str, as_json: bool) -> None:
    async def work(program: ReadOnlyProgram, caller: Caller) -> BrowserSessionList:
        return await program.sessions.list_sessions()

    show_list(_run(command, work), _SESSION_FIELDS, as_json=as_json, empty="no browser has a session", header=True)


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

    async def work(program: ReadOnlyProgram, caller: Caller) -> list[BrowserSessionModel]:
        ended = await program.sessions.end_all_of(session, caller)
        return ended or [await program.sessions.end(session, caller)]

    for ended in _run("sessions end", work):
        print(escape_controls(f"session {ended.id} of {ended.principal} is ended"))


def _run(command: str, work: Callable[[ReadOnlyProgram, Caller], Awaitable[T]]) -> T:
    """Do the work in the opened store. Invalid input ends the command with 2, another rejection with 1."""
    from scheduler.cli.context import run_without_jobs
    from scheduler.errors import InvalidArgument, OperationError
    from scheduler.identity.principal import command_caller

    try:
        return run_without_jobs(command, lambda program: work(program, command_caller()))
    except InvalidArgument as error:
        fail(f"{error.field}: {error}", EXIT_BAD_INPUT)
    except OperationError as error:
        fail(str(error), EXIT_FAILED)
