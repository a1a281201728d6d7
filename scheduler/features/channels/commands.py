"""`channels`: list notification channels, and send again or discard what they could not deliver.

`notify`: send a test message to one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.output import (
    EXIT_FAILED,
    Column,
    escape_controls,
    fail,
    is_terminal,
    print_error,
    print_note,
    print_warning,
    show_json,
    show_table,
    show_tabs,
)

if TYPE_CHECKING:
    from datetime import datetime

    from scheduler.alerting.channel_testing import ChannelTestResult
    from scheduler.alerting.delivery.health import ChannelHealth
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.channels.queries import ChannelView

ABOUT = """Notification channels: whether they work, and what they could not deliver.

\b
Examples:
  channels list
  channels retry team-teams"""

channels = typer.Typer(help=ABOUT, no_args_is_help=True)

_LISTED_BY = "`channels list` lists all channels"
_FIELDS = ("name", "kind", "condition", "last_success_at", "failing_since", "waiting", "undelivered", "summary")
_UNDELIVERED_FIELDS = ("id", "given_up_at", "transition", "channels", "error")
_STYLES = {"working": "green", "failing": "bold red", "never_delivered": "yellow"}

ChannelName = Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of the channel; `channels list` lists all.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]


@channels.command("list")
def list_channels(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/channels.")] = False,
) -> None:
    """List channels: the last success, since when one fails, and what it could not deliver.

    \b
    Examples:
      channels list
    """
    from scheduler.cli.context import load_for_command, run_in_store

    now, views = run_in_store(load_for_command("channels list"), _read)
    if as_json:
        from scheduler.features.channels.models import ChannelListModel, ChannelStateModel

        listed = [ChannelStateModel.from_view(view, now) for view in views]
        show_json(ChannelListModel(channels=listed).model_dump_json(indent=2))
        return
    if not views:
        print_note("there are no notification channels")
    _show_channels(views, now)


@channels.command("undelivered")
def list_undelivered(channel: ChannelName, as_json: AsJson = False) -> None:
    """List the notifications for a channel that neither it nor its fallback channels could deliver.

    \b
    Examples:
      channels undelivered team-teams
    """
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.errors import NotFound

    try:
        found = run_in_store(
            load_for_command("channels undelivered"), lambda program: program.channels.list_undelivered(channel)
        )
    except NotFound as error:
        fail(f"{error}; {_LISTED_BY}", EXIT_FAILED)
    if as_json:
        from scheduler.features.channels.models import UndeliveredList, UndeliveredModel

        listed = [UndeliveredModel.from_letter(each) for each in found]
        show_json(UndeliveredList(undelivered=listed, continuation=None).model_dump_json(indent=2))
        return
    if not found:
        print_note(f"{channel} has delivered everything")
    rows = [
        (
            each.id,
            format_iso_instant(each.letter.at),
            each.letter.notification.kind.replace("_", " "),
            " ".join(each.letter.channels),
            each.letter.error,
        )
        for each in found
    ]
    if not is_terminal():
        show_tabs(_UNDELIVERED_FIELDS, rows)
    elif rows:
        columns = [Column(name.replace("_", " "), "bold" if name == "id" else "") for name in _UNDELIVERED_FIELDS[:-1]]
        show_table([*columns, Column("error", no_wrap=False, min_width=24)], rows)


@channels.command("retry")
def retry_undelivered(
    channel: ChannelName,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Undelivered notifications; all by default.")
    ] = None,
) -> None:
    """Send undelivered notifications to their channel again. A running server sends them.

    \b
    Examples:
      channels retry team-teams
    """
    from scheduler.cli.context import run_operation
    from scheduler.identity.principal import command_caller

    result = run_operation(
        "channels retry",
        lambda program: program.operations.undelivered.retry(channel, ids or (), caller=command_caller()),
        listing_hint=_LISTED_BY,
    )
    for each in result.retried:
        print(escape_controls(f"{each} will be sent again"))
    for each in result.skipped:
        print(escape_controls(f"{each} was sent again or discarded meanwhile"))


@channels.command("discard")
def discard_undelivered(
    channel: ChannelName,
    letter: Annotated[str, typer.Argument(metavar="ID", help="Id; `channels undelivered` lists all.")],
) -> None:
    """Delete an undelivered notification permanently. The decisions of its incident record it.

    \b
    Examples:
      channels discard team-teams 1795856400000-5f2c1d9b.1
    """
    from scheduler.cli.context import run_operation
    from scheduler.identity.principal import command_caller

    run_operation(
        "channels discard",
        lambda program: program.operations.undelivered.discard(channel, letter, caller=command_caller()),
        listing_hint=_LISTED_BY,
    )
    print(escape_controls(f"{letter} is discarded"))


async def _read(program: ReadOnlyProgram) -> tuple[datetime, tuple[ChannelView, ...]]:
    return program.clock.now(), await program.channels.list_channels()


def _show_channels(views: tuple[ChannelView, ...], now: datetime) -> None:
    from scheduler.alerting.delivery.health import judge_channel

    found = [(view, judge_channel(view.state, now, given_up_recently=view.undelivered)) for view in views]
    if not is_terminal():
        show_tabs(_FIELDS, [_fields(view, health) for view, health in found])
    elif found:
        columns = (
            Column("channel", "bold"),
            Column("kind", is_optional=True),
            Column("condition"),
            Column("waiting", align_right=True),
            Column("undelivered", align_right=True),
            Column("summary", no_wrap=False, min_width=24),
        )
        show_table(
            columns,
            [
                (
                    view.name,
                    view.kind,
                    (health.condition.replace("_", " "), _STYLES[health.condition]),
                    str(view.waiting),
                    str(view.undelivered),
                    health.text,
                )
                for view, health in found
            ],
        )


def _fields(view: ChannelView, health: ChannelHealth) -> tuple[str, ...]:
    state = view.state
    return (
        view.name,
        view.kind,
        health.condition.value,
        "" if state.last_success_at is None else format_iso_instant(state.last_success_at),
        "" if state.failing_since is None else format_iso_instant(state.failing_since),
        str(view.waiting),
        str(view.undelivered),
        health.text,
    )


ABOUT_NOTIFY = """Notification channels: send a test message.

\b
Examples:
  notify test team-teams
  notify test mail --incident 1795856400000-5f2c1d9b"""

notify = typer.Typer(help=ABOUT_NOTIFY, no_args_is_help=True)


@notify.callback()
def about() -> None:
    """See ABOUT_NOTIFY."""


@notify.command("test")
def send_test(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of the channel in the job files.")],
    incident: Annotated[
        str | None, typer.Option(help="Id of the incident that the message shows. (default: the latest, or a sample)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as POST /api/channels/CHANNEL/test.")] = False,
) -> None:
    """Send a message that is marked as a test, with the channel's secrets and templates.

    Print what was sent and what the service answered. If the channel does not accept it, the exit code is 1. Services
    that open alerts get the resolution of the test, too.

    \b
    Examples:
      notify test team-teams
      notify test mail --incident 1795856400000-5f2c1d9b
    """
    from scheduler.cli.context import run_operation
    from scheduler.identity.principal import command_caller

    result = run_operation(
        "notify test",
        lambda program: program.operations.channel_tests.send(channel, incident, caller=command_caller()),
    )
    if as_json:
        from scheduler.features.channels.models import ChannelTestModel

        show_json(ChannelTestModel.from_result(result).model_dump_json(indent=2))
    else:
        _show_test(result)
    if not result.is_delivered:
        raise typer.Exit(EXIT_FAILED)


def _show_test(result: ChannelTestResult) -> None:
    """Print the message as people see it, then the answer."""
    from jobs.notifications.port import plain_text

    message = result.messages[0]
    if result.template_problem:
        print_warning(f"the templates cannot be rendered, so the default text is used: {result.template_problem}")
    print(escape_controls(message.title), "", *map(escape_controls, plain_text(message).splitlines()), "", sep="\n")
    for answer in result.answers:
        print(escape_controls(f"answer: {answer}"))
    if result.error:
        print_error(escape_controls(f"channel {result.channel} ({result.kind}) did not accept it: {result.error}"))
    else:
        more = " and its resolution" if len(result.messages) > 1 else ""
        took = f"{result.duration:.1f} s"
        print(escape_controls(f"channel {result.channel} ({result.kind}) accepted the test{more} within {took}"))
