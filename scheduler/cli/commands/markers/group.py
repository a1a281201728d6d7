"""`markers`: mark a deployment in the charts of the jobs that it concerns, and list those that were marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats.counts import format_count
from jobs.formats.instants import format_iso_instant
from scheduler.cli.output import (
    Column,
    fail,
    is_terminal,
    print_note,
    print_warning,
    show_json,
    show_table,
    show_tabs,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.app import ReadOnlyProgram
    from scheduler.features.statistics.periods import TimeRange
    from scheduler.stores.changes.markers import DeploymentMarker

ABOUT = """Deployments that the charts of jobs mark. A new version of the scheduler marks itself.

\b
Examples:
  markers create "checkout 4ebecbce" --tag team=payments
  markers list --job checkout-api --from 7d"""

markers = typer.Typer(help=ABOUT, no_args_is_help=True)

_PAGE = 500
_FIELDS = ("at", "text", "tags", "author", "id")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]


@markers.command("create")
def create_marker(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What was deployed, such as a commit.")],
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            metavar="KEY=VALUE",
            help="Tag of the jobs that it concerns. Repeatable: all of them. None: all jobs.",
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="ISO", help="Instant, now by default; UTC unless it has an offset.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Mark a deployment in the charts of the jobs that it concerns. Print its id and the number of these jobs.

    \b
    Examples:
      markers create "checkout 4ebecbce" --tag team=payments
    """
    from scheduler.cli.mutations import run_operation
    from scheduler.cli.options import parse_instant_option
    from scheduler.identity.command_caller import command_caller

    tags, instant, caller = _parse_tags(tag or ()), parse_instant_option("--at", at), command_caller()
    created = run_operation(
        "markers create",
        lambda program: program.operations.markers.create(text, tags=tags, at=instant, caller=caller),
    )
    if not created.jobs:
        print_warning("the marker concerns no job: check --tag")
    if as_json:
        from scheduler.api.models.markers import CreatedMarkerModel

        show_json(CreatedMarkerModel.from_created(created).model_dump_json(indent=2))
        return
    count = format_count(len(created.jobs), "job")
    print(f"marker {created.marker.id} at {format_iso_instant(created.marker.at)}, {count}")


@markers.command("list")
def list_markers(
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Only those that concern this job.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="WHEN", help="Only of this time or later: ISO 8601, UTC unless it has an offset; or 24h."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="Only of this time or earlier, in the same form.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Maximum number of results.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the deployments that were marked, newest first.

    \b
    Examples:
      markers list
      markers list --job checkout-api --from 7d
    """
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.cli.options import parse_interval_options
    from scheduler.cli.selection.named_job import require_job

    at, configuration = parse_interval_options(since, until), load_for_command("markers list")
    if job is not None:
        require_job(configuration, job)
    found = run_in_store(configuration, lambda program: _read(program, job, at, limit))
    if as_json:
        from scheduler.api.models.markers import MarkerListModel, MarkerModel

        listed = [MarkerModel.from_marker(each) for each in found]
        show_json(MarkerListModel(markers=listed, continuation=None).model_dump_json(indent=2))
        return
    if not found:
        print_note("no marker matches")
    _show(found)


def _parse_tags(texts: Sequence[str]) -> dict[str, str]:
    """Parse `team=payments` or `team:payments`. An error ends the command with 2."""
    from scheduler.identity.tags import parse_tag_limits

    try:
        pairs = parse_tag_limits(texts)
    except ValueError as error:
        fail(f"--tag: {error}")
    tags = dict(pairs)
    if len(tags) < len(pairs):
        fail("--tag: a tag is given with two values, and no job has both")
    return tags


async def _read(program: ReadOnlyProgram, job: str | None, at: TimeRange, limit: int) -> list[DeploymentMarker]:
    from scheduler.identity.principal import PROGRAM_PRINCIPAL

    found: list[DeploymentMarker] = []
    continuation: str | None = None
    while len(found) < limit:
        page = await program.markers.list_markers(
            PROGRAM_PRINCIPAL, at, job=job, limit=min(_PAGE, limit - len(found)), continuation=continuation
        )
        found += page.markers
        if (continuation := page.continuation) is None:
            break
    return found


def _show(found: list[DeploymentMarker]) -> None:
    rows = [
        (
            format_iso_instant(each.at),
            each.text,
            " ".join(f"{key}={value}" for key, value in each.tags),
            each.author,
            each.id,
        )
        for each in found
    ]
    if not is_terminal():
        show_tabs(_FIELDS, rows)
    elif rows:
        columns = (
            Column("at"),
            Column("text", "bold", no_wrap=False),
            Column("tags"),
            Column("author", is_optional=True),
            Column("id", is_optional=True),
        )
        show_table(columns, rows)
