"""All commands but `serve`, on the command line's app. Called by scheduler.cli.main."""

from __future__ import annotations

import typer

from scheduler.cli.backfill import backfill
from scheduler.cli.cancel import cancel
from scheduler.cli.circuits import circuits
from scheduler.cli.dead_letters import dead_letters
from scheduler.cli.explain import explain
from scheduler.cli.heartbeat import heartbeat
from scheduler.cli.history import history
from scheduler.cli.jobs import jobs
from scheduler.cli.next import next_instants
from scheduler.cli.pause import pause
from scheduler.cli.resume import resume
from scheduler.cli.run import run
from scheduler.cli.secrets import secrets
from scheduler.cli.subjects import ExpressionCommand
from scheduler.cli.uptime import uptime
from scheduler.cli.validate import validate


def add_others(app: typer.Typer) -> None:
    app.command("validate")(validate)
    app.command("jobs")(jobs)
    app.command("run")(run)
    app.command("next", cls=ExpressionCommand)(next_instants)
    app.command("explain", cls=ExpressionCommand)(explain)
    app.command("history")(history)
    app.command("heartbeat")(heartbeat)
    app.command("uptime")(uptime)
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("cancel")(cancel)
    app.command("backfill")(backfill)
    app.add_typer(dead_letters, name="dead-letters")
    app.add_typer(circuits, name="circuits")
    app.add_typer(secrets, name="secrets")
