"""The commands of the command line, one line each. Called by scheduler.cli.main.

Only the module of the typed command is imported: all of them take 30 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

import typer

from observability.generation.targets import TARGETS
from scheduler.cli.needs import Needs


class CommandEntry(NamedTuple):
    """`module`, and the name of the command in it.

    `subcommands`: their needs; a command that has some is a group. `takes_expression`: an argument that begins with `-`
    is not an option.
    """

    module: str
    attribute: str
    needs: Needs
    subcommands: Mapping[str, Needs] = {}
    takes_expression: bool = False


COMMANDS = {
    "serve": CommandEntry("scheduler.cli.commands.serve", "serve", Needs.EVERYTHING),
    "validate": CommandEntry("scheduler.cli.commands.validate", "validate", Needs.NOTHING),
    "jobs": CommandEntry("scheduler.cli.commands.jobs", "jobs", Needs.ALL_JOBS),
    "run": CommandEntry("scheduler.features.runs.commands", "run", Needs.EVERYTHING),
    "next": CommandEntry("scheduler.cli.commands.next", "next_instants", Needs.USABLE, takes_expression=True),
    "explain": CommandEntry("scheduler.cli.commands.explain", "explain", Needs.USABLE, takes_expression=True),
    "schema": CommandEntry("scheduler.cli.commands.schema", "schema", Needs.NOTHING),
    "generate": CommandEntry(
        "scheduler.cli.commands.generation.group",
        "generate",
        Needs.NOTHING,
        {**dict.fromkeys(TARGETS, Needs.EVERYTHING), "apply": Needs.EVERYTHING, "drift": Needs.NOTHING},
    ),
    "import": CommandEntry("scheduler.cli.commands.importing.import_jobs", "import_jobs", Needs.NOTHING),
    "history": CommandEntry("scheduler.features.runs.commands", "history", Needs.STORE),
    "changes": CommandEntry("scheduler.features.changes.commands", "changes", Needs.STORE),
    "health-entries": CommandEntry("scheduler.features.changes.commands", "health_entries", Needs.STORE),
    "heartbeat": CommandEntry("scheduler.features.heartbeats.commands", "heartbeat", Needs.USABLE),
    "uptime": CommandEntry("scheduler.features.statistics.uptime_commands", "uptime", Needs.STORE),
    "downtime": CommandEntry("scheduler.features.statistics.uptime_commands", "downtime", Needs.USABLE),
    "stats": CommandEntry("scheduler.features.statistics.commands", "stats", Needs.ALL_JOBS),
    "export": CommandEntry("scheduler.features.statistics.commands", "export", Needs.ALL_JOBS),
    "slo": CommandEntry(
        "scheduler.features.objectives.commands",
        "slo",
        Needs.NOTHING,
        {"list": Needs.USABLE, "show": Needs.USABLE, "statement": Needs.USABLE, "recompute": Needs.NOTHING},
    ),
    "pause": CommandEntry("scheduler.cli.commands.pause", "pause", Needs.USABLE),
    "resume": CommandEntry("scheduler.cli.commands.resume", "resume", Needs.USABLE),
    "plan": CommandEntry("scheduler.cli.commands.stored_jobs.plan", "plan", Needs.EVERYTHING),
    "apply": CommandEntry("scheduler.cli.commands.stored_jobs.apply", "apply", Needs.EVERYTHING),
    "drift": CommandEntry("scheduler.cli.commands.delivery.drift", "drift", Needs.EVERYTHING),
    "test": CommandEntry("scheduler.cli.commands.delivery.job_test", "run_job_tests", Needs.NOTHING),
    "gate": CommandEntry("scheduler.cli.commands.delivery.gate", "gate", Needs.EVERYTHING),
    "export-jobs": CommandEntry("scheduler.cli.commands.delivery.export_jobs", "export_jobs", Needs.EVERYTHING),
    "versions": CommandEntry("scheduler.cli.commands.stored_jobs.versions", "versions", Needs.STORE),
    "restore": CommandEntry("scheduler.cli.commands.stored_jobs.restore", "restore", Needs.EVERYTHING),
    "delete": CommandEntry("scheduler.cli.commands.stored_jobs.delete", "delete", Needs.USABLE),
    "cancel": CommandEntry("scheduler.features.runs.commands", "cancel", Needs.USABLE),
    "backfill": CommandEntry("scheduler.cli.commands.backfill", "backfill", Needs.EVERYTHING),
    "dead-letters": CommandEntry(
        "scheduler.features.dead_letters.commands",
        "dead_letters",
        Needs.NOTHING,
        {"list": Needs.STORE, "show": Needs.STORE, "replay": Needs.EVERYTHING, "discard": Needs.USABLE},
    ),
    "circuits": CommandEntry(
        "scheduler.features.circuits.commands",
        "circuits",
        Needs.ALL_JOBS,
        {"open": Needs.USABLE, "close": Needs.USABLE, "reset": Needs.USABLE},
    ),
    "incidents": CommandEntry(
        "scheduler.cli.commands.alerting.incidents",
        "incidents",
        Needs.NOTHING,
        {
            "list": Needs.USABLE,
            "show": Needs.USABLE,
            "decisions": Needs.USABLE,
            "acknowledge": Needs.USABLE,
            "snooze": Needs.USABLE,
            "unacknowledge": Needs.USABLE,
            "note": Needs.USABLE,
            "resolve": Needs.USABLE,
        },
    ),
    "silences": CommandEntry(
        "scheduler.cli.commands.alerting.silences",
        "silences",
        Needs.NOTHING,
        {"list": Needs.USABLE, "create": Needs.USABLE, "end": Needs.USABLE, "delete": Needs.USABLE},
    ),
    "channels": CommandEntry(
        "scheduler.cli.commands.alerting.channels",
        "channels",
        Needs.NOTHING,
        {"list": Needs.USABLE, "undelivered": Needs.USABLE, "retry": Needs.USABLE, "discard": Needs.USABLE},
    ),
    "windows": CommandEntry(
        "scheduler.cli.commands.alerting.windows",
        "windows",
        Needs.NOTHING,
        {"list": Needs.USABLE, "start": Needs.USABLE, "end": Needs.USABLE, "delete": Needs.USABLE},
    ),
    "markers": CommandEntry(
        "scheduler.features.changes.commands", "markers", Needs.NOTHING, {"list": Needs.USABLE, "create": Needs.USABLE}
    ),
    "alerts": CommandEntry(
        "scheduler.cli.commands.alerts.group",
        "alerts",
        Needs.NOTHING,
        {"backtest": Needs.ALL_JOBS, "advise": Needs.USABLE},
    ),
    "notify": CommandEntry("scheduler.cli.commands.alerting.notify", "notify", Needs.NOTHING, {"test": Needs.USABLE}),
    "explain-alert": CommandEntry("scheduler.cli.commands.alerts.explain_alert", "explain_alert", Needs.USABLE),
    "audit": CommandEntry(
        "scheduler.cli.commands.audit.group",
        "audit",
        Needs.NOTHING,
        {"list": Needs.STORE, "verify": Needs.STORE, "export": Needs.STORE},
    ),
    "keys": CommandEntry(
        "scheduler.cli.commands.keys.group",
        "keys",
        Needs.STORE,
        {"list": Needs.STORE, "create": Needs.STORE, "rotate": Needs.STORE, "revoke": Needs.STORE},
    ),
    "sessions": CommandEntry(
        "scheduler.cli.commands.sessions.group", "sessions", Needs.STORE, {"list": Needs.STORE, "end": Needs.STORE}
    ),
    "backup": CommandEntry(
        "scheduler.cli.commands.backup.group",
        "backup",
        Needs.NOTHING,
        {"create": Needs.STORE, "verify": Needs.NOTHING, "restore": Needs.STORE},
    ),
    "store": CommandEntry(
        "scheduler.cli.commands.backup.store_group",
        "store",
        Needs.NOTHING,
        {"check": Needs.STORE, "upgrade": Needs.STORE, "move": Needs.STORE},
    ),
    "secrets": CommandEntry(
        "scheduler.cli.commands.secrets.group",
        "secrets",
        Needs.ALL_JOBS,
        {"refresh": Needs.USABLE, "rules": Needs.ALL_JOBS},
    ),
}


def find_needs(command: str) -> Needs:
    """Return the needs of a command, such as `jobs` or `circuits open`."""
    name, _, subcommand = command.partition(" ")
    entry = COMMANDS[name]
    return entry.subcommands[subcommand] if subcommand else entry.needs


def register_commands(app: typer.Typer, typed: str | None) -> None:
    """Add the typed command; all commands if it is unknown or None, for help and for suggestions."""
    for name, entry in COMMANDS.items():
        if typed in COMMANDS and name != typed:
            continue
        command = getattr(import_module(entry.module), entry.attribute)
        if entry.subcommands:
            app.add_typer(command, name=name)
        elif entry.takes_expression:
            from scheduler.cli.schedule_argument import ExpressionCommand

            app.command(name, cls=ExpressionCommand)(command)
        else:
            app.command(name)(command)
