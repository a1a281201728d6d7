"""`channels`: list notification channels, and send again or discard what they could not deliver.

`notify`: send a test message to one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.listing import PAGE_SIZE, Field, act, read_all, show_list, show_model
from scheduler.cli.output import (
    EXIT_FAILED,
    Cell,
    Column,
    escape_controls,
    fail,
    print_error,
    print_warning,
)

if TYPE_CHECKING:
    from datetime import datetime

    from scheduler.features.channels.models import ChannelStateModel, ChannelTestModel, UndeliveredModel

ABOUT = """Notification channels: whether they work, and what they could not deliver.

\b
Examples:
  channels list
  channels retry team-teams"""

channels = typer.Typer(help=ABOUT, no_args_is_help=True)

_LISTED_BY = "`channels list` lists all channels"
_STYLES = {"working": "green", "failing": "bold red", "never_delivered": "yellow"}


def _show_condition(channel: ChannelStateModel) -> Cell:
    return channel.condition.replace("_", " "), _STYLES[channel.condition]


def _format(instant: datetime | None) -> str:
    return "" if instant is None else format_iso_instant(instant)


_FIELDS: tuple[Field[ChannelStateModel], ...] = (
    Field("name", lambda channel: channel.name, Column("channel", "bold")),
    Field("kind", lambda channel: channel.kind, Column("kind", is_optional=True)),
    Field("condition", lambda channel: channel.condition, Column("condition"), _show_condition),
    Field("last_success_at", lambda channel: _format(channel.last_success_at)),
    Field("failing_since", lambda channel: _format(channel.failing_since)),
    Field("waiting", lambda channel: str(channel.waiting), Column("waiting", align_right=True)),
    Field("undelivered", lambda channel: str(channel.undelivered), Column("undelivered", align_right=True)),
    Field("summary", lambda channel: channel.summary, Column("summary", no_wrap=False, min_width=24)),
)
_UNDELIVERED_FIELDS: tuple[Field[UndeliveredModel], ...] = (
    Field("id", lambda letter: letter.id, Column("id", "bold")),
    Field("given_up_at", lambda letter: format_iso_instant(letter.given_up_at), Column("given up at")),
    Field("transition", lambda letter: letter.kind.replace("_", " "), Column("transition")),
    Field("channels", lambda letter: " ".join(letter.channels), Column("channels")),
    Field("error", lambda letter: letter.error, Column("error", no_wrap=False, min_width=24)),
)

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

    listed = run_in_store(load_for_command("channels list"), lambda program: program.channels.list_channels())
    show_list(listed, _FIELDS, as_json=as_json, empty="there are no notification channels")


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
        listed = run_in_store(
            load_for_command("channels undelivered"),
            lambda program: read_all(
                lambda after: program.channels.list_undelivered(channel, limit=PAGE_SIZE, after=after)
            ),
        )
    except NotFound as error:
        fail(f"{error}; {_LISTED_BY}", EXIT_FAILED)
    show_list(listed, _UNDELIVERED_FIELDS, as_json=as_json, empty=f"{channel} has delivered everything")


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
    result = act(
        "channels retry",
        lambda operations, caller: operations.undelivered.retry(channel, ids or (), caller=caller),
        listing_hint=_LISTED_BY,
    )
    for letter in result.retried:
        print(escape_controls(f"{letter} will be sent again"))
    for letter in result.skipped:
        print(escape_controls(f"{letter} was sent again or discarded meanwhile"))


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
    act(
        "channels discard",
        lambda operations, caller: operations.undelivered.discard(channel, letter, caller=caller),
        f"{letter} is discarded",
        listing_hint=_LISTED_BY,
    )


ABOUT_NOTIFY = """Notification channels: send a test message.

\b
Examples:
  notify test team-teams
  notify test mail --incident 1795856400000-5f2c1d9b"""

notify = typer.Typer(help=ABOUT_NOTIFY, no_args_is_help=True)


@notify.callback()
def about() -> None:
    """Make `test` a command of a group, whose help is ABOUT_NOTIFY."""


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
    result = act(
        "notify test", lambda operations, caller: operations.channel_tests.send_test(channel, incident, caller=caller)
    )
    if as_json:
        show_model(result)
    else:
        _show_test(result)
    if not result.delivered:
        raise typer.Exit(EXIT_FAILED)


def _show_test(result: ChannelTestModel) -> None:
    """Print the message as people see it, then the answer."""
    if result.template_problem:
        print_warning(f"the templates cannot be rendered, so the default text is used: {result.template_problem}")
    print(escape_controls(result.title), "", *map(escape_controls, result.full_text.splitlines()), "", sep="\n")
    for answer in result.answers:
        print(escape_controls(f"answer: {answer}"))
    if result.error:
        print_error(escape_controls(f"channel {result.channel} ({result.kind}) did not accept it: {result.error}"))
    else:
        more = " and its resolution" if result.message_count > 1 else ""
        took = f"{result.duration_ms / 1000:.1f} s"
        print(escape_controls(f"channel {result.channel} ({result.kind}) accepted the test{more} within {took}"))
