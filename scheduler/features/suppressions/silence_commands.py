"""`silences`: list, create, end and delete silences, which hold back notifications.

What they select is given and shown in the same form by `windows`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.formats import format_count, format_iso_instant
from scheduler.cli.output import (
    Column,
    escape_controls,
    fail,
    is_terminal,
    print_note,
    print_warning,
    show_json,
    show_table,
    show_tabs,
)
from scheduler.cli.times import ForOption, UntilOption, parse_end_options

if TYPE_CHECKING:
    from datetime import datetime

    from jobs.incidents.suppression.windows import ExplicitSelector, Silence
    from scheduler.app import Program, ReadOnlyProgram
    from scheduler.features.suppressions.queries import SuppressionView

SelectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="KEY=VALUE",
        help="job=NAME (* is any text), tag=KEY=VALUE, severity=down, kind=http, or all. Repeatable.",
    ),
]
STATE_STYLES = {"active": "bold yellow", "pending": "", "ended": "dim"}
"""Of the states of silences and windows."""
_LISTS = {"job": "jobs", "severity": "severities", "kind": "kinds"}
_EXPECTED = "expected job=NAME, tag=KEY=VALUE, severity=NAME, kind=NAME or all"


def parse_select_options(texts: list[str] | None) -> dict[str, Any]:
    """Return the keys of `select` in job files. Values of a key are alternatives. An error ends the command with 2."""
    if not texts:
        fail(f"give --select: {_EXPECTED}")
    found: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if text == "all":
            found["all"] = True
        elif key in _LISTS and value:
            found.setdefault(_LISTS[key], []).append(value)
        elif key == "tag" and value.partition("=")[2]:
            name, _, tag = value.partition("=")
            found.setdefault("tags", {}).setdefault(name, []).append(tag)
        else:
            fail(f"--select: {_EXPECTED}, got {text!r}")
    return found


def describe_selector(selector: ExplicitSelector) -> str:
    """Return the values of --select that select the same."""
    if selector.all:
        return "all"
    found = [f"job={each}" for each in selector.jobs]
    found += [f"tag={key}={value}" for key, values in selector.tags.items() for value in values]
    found += [f"severity={each}" for each in selector.severities] + [f"kind={each}" for each in selector.kinds]
    return " ".join(found)


ABOUT = """Silences: notifications of some alerts that are held back for a time. Resolutions are sent all the same.

\b
Examples:
  silences create --select tag=team=payments --for 2h --reason "the provider repairs its gateway"
  silences end 1795856400000-5f2c1d9b"""

silences = typer.Typer(help=ABOUT, no_args_is_help=True)

_PAGE = 200
_LISTED_BY = "`silences list` lists all"
_FIELDS = ("id", "state", "starts_at", "ends_at", "select", "author", "reason")

SilenceId = Annotated[str, typer.Argument(metavar="ID", help="Id of the silence; `silences list` lists all.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]


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

    views = run_in_store(load_for_command("silences list"), lambda program: _read(program, ended))
    if as_json:
        from scheduler.features.suppressions.models import SilenceListModel, SilenceModel

        listed = [SilenceModel.from_view(view) for view in views]
        show_json(SilenceListModel(silences=listed, continuation=None).model_dump_json(indent=2))
        return
    if not views:
        print_note("there are no silences" if not ended else "no silence has ended")
    _show(views)


@silences.command("create")
def create_silence(
    select: SelectOption = None,
    length: ForOption = None,
    until: UntilOption = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="ISO", help="Start, now by default; UTC unless it has an offset.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Reason, shown with each alert that is held back.")] = "",
    as_json: AsJson = False,
) -> None:
    """Hold back the notifications of some alerts, now or later, for a time. Print its id and when it ends.

    \b
    Examples:
      silences create --select tag=team=payments --for 2h --reason "the provider repairs its gateway"
      silences create --select job=checkout-* --select severity=degraded --until 2026-12-01T06:00:00Z
    """
    from scheduler.cli.context import run_operation
    from scheduler.cli.times import parse_instant_option

    selected, (seconds, end) = parse_select_options(select), parse_end_options(length, until)
    starts_at = parse_instant_option("--from", start)
    view, jobs = run_operation(
        "silences create", lambda program: _create(program, selected, seconds, end, starts_at, reason.strip())
    )
    silence = view.value
    if not jobs:
        print_warning("the silence selects no job: check --select")
    if as_json:
        from scheduler.features.suppressions.models import CreatedSilenceModel

        show_json(CreatedSilenceModel.from_created(view, jobs).model_dump_json(indent=2))
        return
    since = "" if starts_at is None else f"from {format_iso_instant(silence.starts_at)} "
    print(f"silence {silence.id} {since}until {format_iso_instant(silence.ends_at)}, {format_count(len(jobs), 'job')}")


@silences.command("end")
def end_silence(silence: SilenceId) -> None:
    """End a silence now. One that has not started is deleted with `silences delete`.

    \b
    Examples:
      silences end 1795856400000-5f2c1d9b
    """
    from scheduler.cli.context import run_operation
    from scheduler.identity.principal import command_caller

    run_operation(
        "silences end",
        lambda program: program.operations.silences.end(silence, command_caller()),
        listing_hint=_LISTED_BY,
    )
    print(escape_controls(f"silence {silence} has ended"))


@silences.command("delete")
def delete_silence(silence: SilenceId) -> None:
    """Delete a silence that has not started. Others are part of the history: end them.

    \b
    Examples:
      silences delete 1795856400000-5f2c1d9b
    """
    from scheduler.cli.context import run_operation
    from scheduler.identity.principal import command_caller

    run_operation(
        "silences delete",
        lambda program: program.operations.silences.delete(silence, command_caller()),
        listing_hint=_LISTED_BY,
    )
    print(escape_controls(f"silence {silence} is deleted"))


async def _create(
    program: Program,
    selected: dict[str, Any],
    seconds: float | None,
    end: datetime | None,
    starts_at: datetime | None,
    reason: str,
) -> tuple[SuppressionView[Silence], tuple[str, ...]]:
    from pydantic import ValidationError

    from jobs.incidents.suppression.windows import ExplicitSelector
    from jobs.problems import validation_problems
    from scheduler.errors import InvalidArgument
    from scheduler.features.suppressions.queries import view_suppression
    from scheduler.features.suppressions.service import NewSilence
    from scheduler.identity.principal import command_caller

    try:
        selector = ExplicitSelector.model_validate(selected)
    except ValidationError as error:
        raise InvalidArgument("select", "; ".join(map(str, validation_problems(error, ExplicitSelector)))) from None
    new = NewSilence(selector, end, starts_at, reason, seconds)
    try:
        created = await program.operations.silences.create(new, command_caller())
    except InvalidArgument as error:
        option = {"starts_at": "from", "ends_at": "until"}.get(error.field, error.field)
        raise InvalidArgument(option, str(error)) from None
    return view_suppression(created.stored, program.clock.now()), created.jobs


async def _read(program: ReadOnlyProgram, ended: bool) -> list[SuppressionView[Silence]]:
    from scheduler.identity.principal import LOCAL_PRINCIPAL

    views: list[SuppressionView[Silence]] = []
    after: str | None = ""
    while after is not None:
        page = await program.suppressions.list_silences(LOCAL_PRINCIPAL, ended=ended, limit=_PAGE, after=after)
        views += page.found
        after = page.continuation
    return views


def _show(views: list[SuppressionView[Silence]]) -> None:
    rows = [
        (
            view.value.id,
            view.state.value,
            format_iso_instant(view.value.starts_at),
            format_iso_instant(view.value.ends_at),
            describe_selector(view.value.select),
            view.value.author,
            view.value.reason,
        )
        for view in views
    ]
    if not is_terminal():
        show_tabs(_FIELDS, rows)
        return
    columns = (
        Column("id", "bold"),
        Column("state"),
        Column("from", is_optional=True),
        Column("until"),
        Column("selects", no_wrap=False, min_width=16),
        Column("author", is_optional=True),
        Column("reason", no_wrap=False, min_width=16, is_optional=True),
    )
    if rows:
        show_table(columns, [(row[0], (row[1], STATE_STYLES[row[1]]), *row[2:]) for row in rows])
