"""`keys`: list, create, rotate and revoke the keys of the API. They work before the first start of the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.output import (
    EXIT_BAD_INPUT,
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
    from collections.abc import Sequence
    from datetime import datetime

    from scheduler.app import ReadOnlyProgram
    from scheduler.features.access.service import CreatedKey, NewKey
    from scheduler.identity.principal import Caller
    from scheduler.stores.identity import StoredKey

T = TypeVar("T")
_FIELDS = ("id", "name", "role", "tags", "state", "expires_at", "last_used_at", "created_by")

ABOUT = """Keys of the API: which callers can read, operate and manage, for which jobs.

The text of a key is printed once, when it is created. The store contains only its hash.

\b
Examples:
  keys
  keys create deploy --role operator --tag team:payments --expires 90d
  keys rotate deploy --overlap 2h
  keys revoke deploy"""

keys = typer.Typer(help=ABOUT)

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Name or id of the key; `keys` lists all keys.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]


@keys.callback(invoke_without_command=True)
def list_keys(context: typer.Context, as_json: JsonOption = False) -> None:
    """See ABOUT."""
    if context.invoked_subcommand is None:
        _list("keys", as_json)


@keys.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List all keys by name, also revoked and expired ones.

    \b
    Examples:
      keys list
    """
    _list("keys list", as_json)


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
    as_json: JsonOption = False,
) -> None:
    """Create a key and print its text once, on standard output.

    \b
    Examples:
      keys create admin --role admin
      keys create deploy --role operator --tag team:payments --expires 90d --address 10.20.0.0/16
    """

    seconds, make = parse_new_key(name, role, tags, expires, addresses)

    async def work(program: ReadOnlyProgram, caller: Caller) -> tuple[CreatedKey, datetime]:
        now = program.clock.now()
        return await program.api_keys.create(make(now, seconds), caller), now

    _show_created(*_run("keys create", work), as_json=as_json)


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

    async def work(program: ReadOnlyProgram, caller: Caller) -> tuple[CreatedKey, datetime]:
        found = (await _find(program, caller, key))[0]
        created = await program.api_keys.rotate(found.key.id, caller, overlap=seconds)
        return created, program.clock.now()

    _show_created(*_run("keys rotate", work), as_json=as_json)


@keys.command("revoke")
def revoke(key: KeyArgument) -> None:
    """End a key now. Running servers reject it within seconds. A name stands for all its active keys.

    \b
    Examples:
      keys revoke deploy
    """

    async def work(program: ReadOnlyProgram, caller: Caller) -> list[str]:
        found = await _find(program, caller, key)
        revoked = [await program.api_keys.revoke(one.key.id, caller) for one in found]
        return [f"{one.name} ({one.id}) is revoked; running servers reject it within 5 seconds" for one in revoked]

    for line in _run("keys revoke", work):
        print(escape_controls(line))


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


async def _find(program: ReadOnlyProgram, caller: Caller, key: str) -> list[StoredKey]:
    """Return the key of an id, or the active keys of a name: two while one rotates, the newest first."""
    from scheduler.errors import NotFound

    stored = await program.api_keys.list_keys(caller)
    named = [one for one in stored if key in (one.key.id, one.key.name)]
    active = [one for one in named if one.key.is_active_at(program.clock.now())]
    if not named:
        raise NotFound(f"there is no API key {key!r}; `keys` lists all keys")
    return active or named[:1]


def _list(command: str, as_json: bool) -> None:
    async def work(program: ReadOnlyProgram, caller: Caller) -> tuple[list[StoredKey], datetime]:
        return list(await program.api_keys.list_keys(caller)), program.clock.now()

    found, now = _run(command, work)
    if as_json:
        from scheduler.features.access.models import KeyList, KeyModel

        models = [KeyModel.from_key(one.key, now, one.last_used_at) for one in found]
        show_json(KeyList(keys=models).model_dump_json(indent=2))
        return
    if not found:
        print_note("there are no API keys; `keys create NAME --role admin` creates one")
    if is_terminal():
        columns = tuple(Column(name.removesuffix("_at").replace("_", " ").upper()) for name in _FIELDS)
        show_table(columns, [_cells(one, now, format_local) for one in found])
    else:
        show_tabs(_FIELDS, [_cells(one, now, format_iso_instant) for one in found])


def _cells(stored: StoredKey, now: datetime, text: Callable[[datetime], str]) -> tuple[str, ...]:
    from scheduler.identity.principal import format_tag_limits

    key, used = stored.key, stored.last_used_at
    state = "revoked" if key.revoked_at is not None else "active" if key.is_active_at(now) else "expired"
    return (
        key.id,
        key.name,
        key.role.value,
        " ".join(format_tag_limits(key.tags)),
        state,
        "" if key.expires_at is None else text(key.expires_at),
        "" if used is None else text(used),
        key.created_by,
    )


def _show_created(created: CreatedKey, now: datetime, *, as_json: bool) -> None:
    if as_json:
        from scheduler.features.access.models import CreatedKeyModel

        show_json(CreatedKeyModel.from_created(created, now).model_dump_json(indent=2))
        return
    print(created.text)
    print_note(f"{created.key.name} ({created.key.id}): store the key now, it is not shown again")
    if created.replaced is not None and created.replaced.expires_at is not None:
        print_note(f"the old key {created.replaced.id} ends at {format_iso_instant(created.replaced.expires_at)}")


def parse_new_key(
    name: str, role: str, tags: Sequence[str], expires: str | None, addresses: Sequence[str]
) -> tuple[float | None, Callable[[datetime, float | None], NewKey]]:
    """Return the validity in seconds, and a function that makes the key of the current instant and this validity."""
    from jobs.problems import Problem, describe_wrong_choice
    from scheduler.cli.times import parse_duration_option
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

    def make(now: datetime, validity: float | None) -> NewKey:
        return NewKey(name, Role(role), limits, _end_after(now, validity), tuple(addresses))

    return seconds, make


def _end_after(now: datetime, seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else now + timedelta(seconds=seconds)
    except OverflowError:
        fail("--expires: the end would be after the year 9999")
