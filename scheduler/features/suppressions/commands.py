"""`silences` and `windows`: list, create, end and delete what holds notifications back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.formats import format_count, format_iso_instant
from scheduler.cli.listing import PAGE_SIZE, Field, act, read_all, show_list, show_model
from scheduler.cli.output import Cell, Column, escape_controls, fail, print_warning
from scheduler.cli.times import ForOption, UntilOption, parse_end_options, parse_instant_option

if TYPE_CHECKING:
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.suppressions.models import (
        CreatedSilenceModel,
        SilenceListModel,
        SilenceModel,
        WindowListModel,
        WindowModel,
    )
    from scheduler.identity.principal import Caller
    from scheduler.operations import Operations

SelectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="KEY=VALUE",
        help="job=NAME (* is any text), tag=KEY=VALUE, severity=down, kind=http, or all. Repeatable.",
    ),
]
StartOption = Annotated[
    str | None, typer.Option("--from", metavar="ISO", help="Start, now by default; UTC unless it has an offset.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Reason, shown with each alert that is held back.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]
_LISTS = {"job": "jobs", "severity": "severities", "kind": "kinds"}
_EXPECTED = "expected job=NAME, tag=KEY=VALUE, severity=NAME, kind=NAME or all"


def parse_select_options(texts: list[str] | None) -> dict[str, Any]:
    """Return the keys of `select` in job files. Values of a key are alternatives. An error ends the command with 2."""
    if not texts:
        fail(f"give --select: {_EXPECTED}")
    select: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if text == "all":
            select["all"] = True
        elif key in _LISTS and value:
            select.setdefault(_LISTS[key], []).append(value)
        elif key == "tag" and value.partition("=")[2]:
            name, _, tag = value.partition("=")
            select.setdefault("tags", {}).setdefault(name, []).append(tag)
        else:
            fail(f"--select: {_EXPECTED}, got {text!r}")
    return select


def describe_selector(select: dict[str, Any]) -> str:
    """Return the values of --select that select the same."""
    if select.get("all"):
        return "all"
    parts = [f"job={name}" for name in select.get("jobs", ())]
    parts += [f"tag={key}={value}" for key, values in select.get("tags", {}).items() for value in values]
    parts += [f"severity={severity}" for severity in select.get("severities", ())]
    parts += [f"kind={kind}" for kind in select.get("kinds", ())]
    return " ".join(parts)


def _show_state(item: SilenceModel | WindowModel) -> Cell:
    return item.state, {"active": "bold yellow", "pending": "", "ended": "dim"}[item.state]


def _format(instant: datetime | None) -> str:
    return "" if instant is None else format_iso_instant(instant)


_ABOUT_SILENCES = """\
Silences: notifications of some alerts that are held back for a time. Resolutions are sent all the same.

\b
Examples:
  silences create --select tag=team=payments --for 2h --reason "the provider repairs its gateway"
  silences end 1795856400000-5f2c1d9b"""

silences = typer.Typer(help=_ABOUT_SILENCES, no_args_is_help=True)

_SILENCE_FIELDS: tuple[Field[SilenceModel], ...] = (
    Field("id", lambda silence: silence.id, Column("id", "bold")),
    Field("state", lambda silence: silence.state, Column("state"), _show_state),
    Field("starts_at", lambda silence: format_iso_instant(silence.starts_at), Column("from", is_optional=True)),
    Field("ends_at", lambda silence: format_iso_instant(silence.ends_at), Column("until")),
    Field("select", lambda silence: describe_selector(silence.select), Column("selects", no_wrap=False, min_width=16)),
    Field("author", lambda silence: silence.author, Column("author", is_optional=True)),
    Field("reason", lambda silence: silence.reason, Column("reason", no_wrap=False, min_width=16, is_optional=True)),
)
_SILENCES_LISTED_BY = "`silences list` lists all"

SilenceId = Annotated[str, typer.Argument(metavar="ID", help="Id of the silence; `silences list` lists all.")]


@silences.command("list")
def list_silences(
    ended: Annotated[
        bool, typer.Option("--ended", help="Only silences that ended more than some minutes ago.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/silences.")] = False,
) -> None:
    """List silences, oldest first.

    \b
    Examples:
      silences list
    """
    from scheduler.cli.context import load_for_command, run_in_store

    listed = run_in_store(load_for_command("silences list"), lambda program: _read_silences(program, ended))
    empty = "there are no silences" if not ended else "no silence has ended"
    show_list(listed, _SILENCE_FIELDS, as_json=as_json, empty=empty)


@silences.command("create")
def create_silence(
    select: SelectOption = None,
    length: ForOption = None,
    until: UntilOption = None,
    start: StartOption = None,
    reason: ReasonOption = "",
    as_json: AsJson = False,
) -> None:
    """Hold back the notifications of some alerts, now or later, for a time. Print its id and when it ends.

    \b
    Examples:
      silences create --select tag=team=payments --for 2h --reason "the provider repairs its gateway"
      silences create --select job=checkout-* --select severity=degraded --until 2026-12-01T06:00:00Z
    """
    selected, (seconds, end) = parse_select_options(select), parse_end_options(length, until)
    starts_at = parse_instant_option("--from", start)
    created = act(
        "silences create",
        lambda operations, caller: _create(operations, caller, selected, seconds, end, starts_at, reason.strip()),
    )
    if not created.jobs:
        print_warning("the silence selects no job: check --select")
    if as_json:
        show_model(created)
        return
    since = "" if starts_at is None else f"from {format_iso_instant(created.starts_at)} "
    until, count = format_iso_instant(created.ends_at), format_count(len(created.jobs), "job")
    print(escape_controls(f"silence {created.id} {since}until {until}, {count}"))


@silences.command("end")
def end_silence(silence: SilenceId) -> None:
    """End a silence now. One that has not started is deleted with `silences delete`.

    \b
    Examples:
      silences end 1795856400000-5f2c1d9b
    """
    act(
        "silences end",
        lambda operations, caller: operations.silences.end(silence, caller),
        f"silence {silence} has ended",
        listing_hint=_SILENCES_LISTED_BY,
    )


@silences.command("delete")
def delete_silence(silence: SilenceId) -> None:
    """Delete a silence that has not started. Others are part of the history: end them.

    \b
    Examples:
      silences delete 1795856400000-5f2c1d9b
    """
    act(
        "silences delete",
        lambda operations, caller: operations.silences.delete(silence, caller),
        f"silence {silence} is deleted",
        listing_hint=_SILENCES_LISTED_BY,
    )


async def _create(
    operations: Operations,
    caller: Caller,
    selected: dict[str, Any],
    seconds: float | None,
    end: datetime | None,
    starts_at: datetime | None,
    reason: str,
) -> CreatedSilenceModel:
    from pydantic import ValidationError

    from jobs.incidents.suppression.windows import ExplicitSelector
    from jobs.problems import validation_problems
    from scheduler.errors import InvalidArgument
    from scheduler.features.suppressions.service import NewSilence

    try:
        selector = ExplicitSelector.model_validate(selected)
    except ValidationError as error:
        raise InvalidArgument("select", "; ".join(map(str, validation_problems(error, ExplicitSelector)))) from None
    try:
        return await operations.silences.create(NewSilence(selector, end, starts_at, reason, seconds), caller)
    except InvalidArgument as error:
        option = {"starts_at": "from", "ends_at": "until"}.get(error.field, error.field)
        raise InvalidArgument(option, str(error)) from None


async def _read_silences(program: ReadOnlyProgram, ended: bool) -> SilenceListModel:
    from scheduler.identity.principal import LOCAL_PRINCIPAL

    return await read_all(
        lambda after: program.suppressions.list_silences(LOCAL_PRINCIPAL, ended=ended, limit=PAGE_SIZE, after=after)
    )


_ABOUT_WINDOWS = """Maintenance windows: times at which jobs do not notify, or do not run.

\b
Examples:
  windows start --for 30m --select tag=team=payments --reason "release 42" --change CHG0042
  windows end CHG0042-5f2c1d9b"""

windows = typer.Typer(help=_ABOUT_WINDOWS, no_args_is_help=True)

_WINDOW_FIELDS: tuple[Field[WindowModel], ...] = (
    Field("id", lambda window: window.id or ""),
    Field("name", lambda window: window.name, Column("name", "bold")),
    Field("state", lambda window: window.state, Column("state"), _show_state),
    Field("effect", lambda window: window.effect, Column("effect")),
    Field("begins_at", lambda window: _format(window.begins_at), Column("begins", is_optional=True)),
    Field("ends_at", lambda window: _format(window.ends_at), Column("ends")),
    Field(
        "select",
        lambda window: describe_selector(window.definition["select"]),
        Column("selects", no_wrap=False, min_width=16),
    ),
    Field(
        "reason",
        lambda window: window.reason,
        Column("reason", no_wrap=False, min_width=16, is_optional=True),
        lambda window: " ".join(filter(None, (window.reason, window.change_id))),
    ),
    Field("change_id", lambda window: window.change_id),
    Field(
        "origin",
        lambda window: window.origin,
        Column("id or file", is_optional=True),
        lambda window: window.id or window.origin,
    ),
)
_WINDOWS_LISTED_BY = "`windows list` lists all"

WindowId = Annotated[str, typer.Argument(metavar="ID", help="Id or name of the window; `windows list` lists all.")]


@windows.command("list")
def list_windows(
    ended: Annotated[bool, typer.Option("--ended", help="Only windows that ended more than some minutes ago.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/windows.")] = False,
) -> None:
    """List maintenance windows: those of job files, then those that users and pipelines have started.

    \b
    Examples:
      windows list
    """
    from scheduler.cli.context import load_for_command, run_in_store

    listed = run_in_store(load_for_command("windows list"), lambda program: _read_windows(program, ended))
    empty = "there are no maintenance windows" if not ended else "no maintenance window has ended"
    show_list(listed, _WINDOW_FIELDS, as_json=as_json, empty=empty)


@windows.command("start")
def start_window(
    select: SelectOption = None,
    length: ForOption = None,
    until: UntilOption = None,
    start: StartOption = None,
    reason: ReasonOption = "",
    change: Annotated[str, typer.Option("--change", help="Id of the change record, such as CHG0042.")] = "",
    name: Annotated[str | None, typer.Option("--name", help="Name; by default the change with a unique end.")] = None,
    pause: Annotated[
        bool, typer.Option("--pause", help="Jobs do not run; otherwise they run and do not notify.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start a maintenance window, which ends by itself. Print its id, its name and when it ends.

    \b
    Examples:
      windows start --for 30m --select tag=team=payments --reason "release 42" --change CHG0042
      windows start --from 2026-12-01T22:00:00Z --for 4h --select all --pause --name migration
    """
    _, end = parse_end_options(length, until)
    begin = parse_instant_option("--from", start)
    given = {
        "name": name,
        "select": parse_select_options(select),
        "for": length,
        "until": None if end is None else format_iso_instant(end, precise=True),
        "from": None if begin is None else format_iso_instant(begin, precise=True),
        "effect": "pause" if pause else None,
        "reason": reason.strip() or None,
        "change_id": change.strip() or None,
    }
    definition = {key: value for key, value in given.items() if value is not None}
    created = act("windows start", lambda operations, caller: operations.windows.create(definition, caller))
    if not created.jobs:
        print_warning("the window selects no job: check --select")
    if as_json:
        show_model(created)
        return
    since = f"from {_format(created.begins_at)} " if created.state == "pending" else ""
    count = format_count(len(created.jobs), "job")
    print(escape_controls(f"window {created.id} {created.name} {since}until {_format(created.ends_at)}, {count}"))


@windows.command("end")
def end_window(window: WindowId) -> None:
    """End a maintenance window now. One that recurs does not begin again.

    \b
    Examples:
      windows end CHG0042-5f2c1d9b
    """
    ended = act(
        "windows end",
        lambda operations, caller: operations.windows.end(window, caller),
        listing_hint=_WINDOWS_LISTED_BY,
    )
    print(escape_controls(f"window {ended.id} {ended.name} has ended"))


@windows.command("delete")
def delete_window(window: WindowId) -> None:
    """Delete a maintenance window that has not started. Others are part of the history: end them.

    \b
    Examples:
      windows delete migration
    """
    act(
        "windows delete",
        lambda operations, caller: operations.windows.delete(window, caller),
        f"window {window} is deleted",
        listing_hint=_WINDOWS_LISTED_BY,
    )


async def _read_windows(program: ReadOnlyProgram, ended: bool) -> WindowListModel:
    from scheduler.identity.principal import LOCAL_PRINCIPAL

    return await read_all(
        lambda after: program.suppressions.list_windows(LOCAL_PRINCIPAL, ended=ended, limit=PAGE_SIZE, after=after)
    )
