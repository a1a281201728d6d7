"""The commands, on the command line's app. Called by scheduler.cli.main.

Each is in a file of its own, and only the one that was typed is imported: all of them take 30 ms.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import typer


class CommandEntry(NamedTuple):
    """The module and the name of a command or a group; `takes_expression`: one that begins with `-` is no option."""

    module: str
    attribute: str
    takes_expression: bool = False
    is_group: bool = False


COMMANDS = {
    "serve": CommandEntry("serve", "serve"),
    "validate": CommandEntry("validate", "validate"),
    "jobs": CommandEntry("jobs", "jobs"),
    "run": CommandEntry("run", "run"),
    "next": CommandEntry("next", "next_instants", takes_expression=True),
    "explain": CommandEntry("explain", "explain", takes_expression=True),
    "history": CommandEntry("history", "history"),
    "heartbeat": CommandEntry("heartbeat", "heartbeat"),
    "uptime": CommandEntry("uptime", "uptime"),
    "pause": CommandEntry("pause", "pause"),
    "resume": CommandEntry("resume", "resume"),
    "cancel": CommandEntry("cancel", "cancel"),
    "backfill": CommandEntry("backfill", "backfill"),
    "dead-letters": CommandEntry("dead_letters.group", "dead_letters", is_group=True),
    "circuits": CommandEntry("circuits.group", "circuits", is_group=True),
    "secrets": CommandEntry("secrets.group", "secrets", is_group=True),
}


def register_commands(app: typer.Typer, typed: str | None) -> None:
    """Add the command that was typed; all of them if it is unknown or None, for help and for suggestions."""
    for command in [typed] if typed in COMMANDS else COMMANDS:
        assert command is not None
        place = COMMANDS[command]
        found = getattr(import_module(f"scheduler.cli.commands.{place.module}"), place.attribute)
        if place.is_group:
            app.add_typer(found, name=command)
        elif place.takes_expression:
            from scheduler.cli.schedule_argument import ExpressionCommand

            app.command(command, cls=ExpressionCommand)(found)
        else:
            app.command(command)(found)
