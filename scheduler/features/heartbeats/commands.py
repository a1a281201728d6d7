"""`heartbeat`: show the heartbeat of a job, its latest pings, and how to send one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import describe_span, format_iso_instant
from scheduler.cli.output import (
    Column,
    escape_controls,
    fail,
    is_terminal,
    print_note,
    show_json,
    show_table,
    show_tabs,
)
from scheduler.cli.times import format_instant

if TYPE_CHECKING:
    from config.settings.model import Settings
    from jobs.heartbeat import Ping
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.heartbeats.queries import HeartbeatView

_FIELDS = ("number", "at", "signal", "exit_code", "run", "source", "agent", "body")


def heartbeat(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name; `jobs` lists all jobs.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="Maximum number of pings.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/jobs/JOB/heartbeat.")] = False,
) -> None:
    """Show the heartbeat of a job: its state, its latest pings, and a command that sends one.

    \b
    Examples:
      heartbeat nightly-backup
      heartbeat nightly-backup --limit 100 --json
    """
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.cli.selection import require_job
    from scheduler.errors import Conflict

    configuration = load_for_command("heartbeat")
    require_job(configuration, job)

    async def work(program: ReadOnlyProgram) -> tuple[HeartbeatView, datetime]:
        return await program.heartbeats.view_heartbeat(job, limit), program.clock.now()

    try:
        view, now = run_in_store(configuration, work)
    except Conflict as error:
        fail(str(error))
    if as_json:
        from scheduler.features.heartbeats.models import HeartbeatModel

        show_json(HeartbeatModel.from_view(view).model_dump_json(indent=2))
    elif is_terminal():
        _show(view, now)
    else:
        show_tabs(_FIELDS, map(_fields, view.pings))
    print_note(f"to send a ping after a command has ended, with the secret {view.secret} in the variable TOKEN:")
    print_note(ping_command(find_base_url(configuration.settings, os.environ)))


def find_base_url(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return where the API is: at the running server, at this Functions app, or else at the address of the settings."""
    from jobs.formats import format_host_port
    from scheduler.stores.sqlite.file_lock import read_api_address

    if settings.sqlite_path is not None and (recorded := read_api_address(settings.sqlite_path)) is not None:
        return recorded
    if name := environ.get("WEBSITE_HOSTNAME"):
        return f"https://{name}"
    return f"http://{format_host_port(settings.host, settings.port)}"


def ping_command(base: str) -> str:
    """Return the line for a shell that sends a ping with the exit code of the command before it, to be copied."""
    return f'curl -fsS -m 10 --retry 5 "{base}/api/ping/$TOKEN/$?"'


def _show(view: HeartbeatView, now: datetime) -> None:
    print(escape_controls(f"{view.job} is {view.state}. {view.summary}"))
    if view.down_at is not None:
        is_down = view.down_at <= now
        print(f"{'It went down' if is_down else 'Without a ping it goes down'} {format_instant(view.down_at, now)}.")
    if view.beat.duration_s is not None:
        print(f"The last run took {describe_span(view.beat.duration_s)}.")
    if view.pings:
        columns = (
            Column("ping", align_right=True),
            Column("at"),
            Column("signal", "bold"),
            Column("from"),
            Column("agent", no_wrap=False),
            Column("body", no_wrap=False, is_optional=True),
        )
        show_table(columns, (_cells(ping, now) for ping in view.pings))


def _cells(ping: Ping, now: datetime) -> tuple[str, ...]:
    code = "" if ping.exit_code is None else f" {ping.exit_code}"
    run = f" {ping.run}" if ping.run else ""
    body = " ".join(ping.body.split())[:200]
    return str(ping.number), format_instant(ping.at, now), f"{ping.signal}{code}{run}", ping.source, ping.agent, body


def _fields(ping: Ping) -> tuple[str, ...]:
    code = "" if ping.exit_code is None else str(ping.exit_code)
    at = format_iso_instant(ping.at, precise=True)
    return str(ping.number), at, str(ping.signal), code, ping.run, ping.source, ping.agent, ping.body
