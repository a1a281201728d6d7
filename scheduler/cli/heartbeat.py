"""`heartbeat`: how the heartbeat of a job is, its last pings, and how to send one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import Column, clean, fail, note, on_terminal, show_json, show_table, show_tabs
from scheduler.cli.texts import iso, span, when

if TYPE_CHECKING:
    from config.settings import Settings
    from jobs.heartbeat import Ping
    from scheduler.app import Reading
    from scheduler.heartbeats import HeartbeatView

_FIELDS = ("number", "at", "signal", "exit_code", "run", "source", "agent", "body")


def heartbeat(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's name; `jobs` lists them.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many pings at most.")] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on any output, as in GET /api/jobs/JOB/heartbeat.")
    ] = False,
) -> None:
    """Show the heartbeat of a job: its state, its last pings, and the line that sends one.

    \b
    Examples:
      heartbeat nightly-backup
      heartbeat nightly-backup --limit 100 --json
    """
    from scheduler.cli.configured import configured, in_store, known_job
    from scheduler.operations.errors import Conflict

    configuration = configured("heartbeat")
    known_job(configuration, job)

    async def work(program: Reading) -> tuple[HeartbeatView, datetime]:
        return await program.heartbeats.view(job, limit), program.clock.now()

    try:
        view, now = in_store(configuration, work)
    except Conflict as error:
        fail(str(error))
    if as_json:
        from scheduler.api.heartbeat_routes import HeartbeatModel

        show_json(HeartbeatModel.of(view).model_dump_json(indent=2))
    elif on_terminal():
        _show(view, now)
    else:
        show_tabs(_FIELDS, map(_fields, view.pings))
    note(f"to send a ping when a command has ended, with the secret {view.secret} in the variable TOKEN:")
    note(curl_line(base_url(configuration.settings, os.environ)))


def base_url(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return where the API is: at the running server, at this Functions app, or else at the address of the settings."""
    from jobs.targets.places import peer_text
    from scheduler.stores.file_lock import noted_address

    if settings.sqlite_path is not None and (noted := noted_address(settings.sqlite_path)) is not None:
        return noted
    if name := environ.get("WEBSITE_HOSTNAME"):
        return f"https://{name}"
    return f"http://{peer_text(settings.host, settings.port)}"


def curl_line(base: str) -> str:
    """Return the line for a shell that sends a ping with the exit code of the command before it, to be copied."""
    return f'curl -fsS -m 10 --retry 5 "{base}/api/ping/$TOKEN/$?"'


def _show(view: HeartbeatView, now: datetime) -> None:
    print(clean(f"{view.job} is {view.state}. {view.text}"))
    if view.down_at is not None:
        is_down = view.down_at <= now
        print(f"{'It went down' if is_down else 'Without a ping it goes down'} {when(view.down_at, now)}.")
    if view.beat.duration_s is not None:
        print(f"The last run took {span(view.beat.duration_s)}.")
    if view.pings:
        columns = (
            Column("ping", right=True),
            Column("at"),
            Column("tells", "bold"),
            Column("from"),
            Column("agent", whole=False),
            Column("body", whole=False, spare=True),
        )
        show_table(columns, (_cells(ping, now) for ping in view.pings))


def _cells(ping: Ping, now: datetime) -> tuple[str, ...]:
    code = "" if ping.exit_code is None else f" {ping.exit_code}"
    run = f" {ping.run}" if ping.run else ""
    body = " ".join(ping.body.split())[:200]
    return str(ping.number), when(ping.at, now), f"{ping.signal}{code}{run}", ping.source, ping.agent, body


def _fields(ping: Ping) -> tuple[str, ...]:
    code = "" if ping.exit_code is None else str(ping.exit_code)
    at = iso(ping.at, precise=True)
    return str(ping.number), at, str(ping.signal), code, ping.run, ping.source, ping.agent, ping.body
