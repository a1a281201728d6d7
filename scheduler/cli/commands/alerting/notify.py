"""`notify`: send test messages to notification channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import EXIT_FAILED, escape_controls, print_error, print_warning, show_json

if TYPE_CHECKING:
    from scheduler.alerting.channel_testing import ChannelTestResult

ABOUT = """Notification channels: send a test message.

\b
Examples:
  notify test team-teams
  notify test mail --incident 1795856400000-5f2c1d9b"""

notify = typer.Typer(help=ABOUT, no_args_is_help=True)


@notify.callback()
def about() -> None:
    """See ABOUT."""


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
    from scheduler.cli.mutations import run_operation
    from scheduler.identity.principal import command_caller

    result = run_operation(
        "notify test",
        lambda program: program.operations.channel_tests.send(channel, incident, caller=command_caller()),
    )
    if as_json:
        from scheduler.api.models.alerting.channels import ChannelTestModel

        show_json(ChannelTestModel.from_result(result).model_dump_json(indent=2))
    else:
        _show(result)
    if not result.is_delivered:
        raise typer.Exit(EXIT_FAILED)


def _show(result: ChannelTestResult) -> None:
    """Print the message as people see it, then the answer."""
    from jobs.notifications.message import plain_text

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
