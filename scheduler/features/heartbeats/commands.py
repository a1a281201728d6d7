"""`heartbeat`: show the heartbeat of a job, its latest pings, and how to send one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import describe_span, format_iso_instant
from scheduler.cli.listing import Field, show_items, show_model
from scheduler.cli.output import (
    Column,
    escape_controls,
    fail,
    is_terminal,
    print_note,
)
from scheduler.cli.times import format_instant

if TYPE_CHECKING:
    from config.settings.model import Settings
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.heartbeats.models import HeartbeatModel, PingModel


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
    from scheduler.cli.reach import find_connection
    from scheduler.cli.selection import require_job
    from scheduler.errors import Conflict

    configuration = load_for_command("heartbeat")
    require_job(configuration, job)

    async def work(program: ReadOnlyProgram) -> tuple[HeartbeatModel, datetime]:
        return await program.heartbeats.view_heartbeat(job, limit), program.clock.now()

    try:
        state, now = run_in_store(configuration, work)
    except Conflict as error:
        fail(str(error))
    if as_json:
        show_model(state)
    else:
        if is_terminal():
            _show_state(state, now)
        show_items(state.pings, _list_fields(now))
    print_note(f"to send a ping after a command has ended, with the secret {state.secret} in the variable TOKEN:")
    connection = find_connection()
    base = find_base_url(configuration.settings, os.environ) if connection is None else connection.url
    print_note(ping_command(base))


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


def _show_state(state: HeartbeatModel, now: datetime) -> None:
    print(escape_controls(f"{state.job} is {state.state}. {state.summary}"))
    if state.down_at is not None:
        is_down = state.down_at <= now
        print(f"{'It went down' if is_down else 'Without a ping it goes down'} {format_instant(state.down_at, now)}.")
    if state.duration_ms is not None:
        print(f"The last run took {describe_span(state.duration_ms / 1000)}.")


def _list_fields(now: datetime) -> Sequence[Field[PingModel]]:
    def show_signal(ping: PingModel) -> str:
        code = "" if ping.exit_code is None else f" {ping.exit_code}"
        return f"{ping.signal}{code}{f' {ping.run}' if ping.run else ''}"

    return (
        Field("number", lambda ping: str(ping.number), Column("ping", align_right=True)),
        Field(
            "at",
            lambda ping: format_iso_instant(ping.at, precise=True),
            Column("at"),
            lambda ping: format_instant(ping.at, now),
        ),
        Field("signal", lambda ping: ping.signal, Column("signal", "bold"), show_signal),
        Field("exit_code", lambda ping: "" if ping.exit_code is None else str(ping.exit_code)),
        Field("run", lambda ping: ping.run),
        Field("source", lambda ping: ping.source, Column("from")),
        Field("agent", lambda ping: ping.agent, Column("agent", no_wrap=False)),
        Field(
            "body",
            lambda ping: ping.body,
            Column("body", no_wrap=False, is_optional=True),
            lambda ping: " ".join(ping.body.split())[:200],
        ),
    )
