"""The commands, on the command line's app. Called by scheduler.cli.main.

Each is in a file of its own, and only the one that was typed is imported: all of them take 30 ms.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import typer


class Place(NamedTuple):
    """The module and the name of a command or a group; `takes_expression`: one that begins with `-` is no option."""

    module: str
    name: str
    takes_expression: bool = False
    is_group: bool = False


COMMANDS = {
    "serve": Place("serve", "serve"),
    "validate": Place("validate", "validate"),
    "jobs": Place("jobs", "jobs"),
    "run": Place("run", "run"),
    "next": Place("next", "next_instants", takes_expression=True),
    "explain": Place("explain", "explain", takes_expression=True),
    "history": Place("history", "history"),
    "heartbeat": Place("heartbeat", "heartbeat"),
    "uptime": Place("uptime", "uptime"),
    "pause": Place("pause", "pause"),
    "resume": Place("resume", "resume"),
    "cancel": Place("cancel", "cancel"),
    "backfill": Place("backfill", "backfill"),
    "dead-letters": Place("dead_letters", "dead_letters", is_group=True),
    "circuits": Place("circuits", "circuits", is_group=True),
    "secrets": Place("secrets", "secrets", is_group=True),
}


def add_commands(app: typer.Typer, typed: str | None) -> None:
    """Add the command that was typed; all of them if it is unknown or None, for help and for suggestions."""
    for command in [typed] if typed in COMMANDS else COMMANDS:
        assert command is not None
        place = COMMANDS[command]
        found = getattr(import_module(f"scheduler.cli.{place.module}"), place.name)
        if place.is_group:
            app.add_typer(found, name=command)
        elif place.takes_expression:
            from scheduler.cli.subjects import ExpressionCommand

            app.command(command, cls=ExpressionCommand)(found)
        else:
            app.command(command)(found)
