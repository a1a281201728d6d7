"""The commands of the command line, one line each, and how much of the configuration each needs.

Only the module of the typed command is imported: all of them take 30 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from importlib import import_module
from typing import Any, NamedTuple

import typer

from observability.generation.targets import TARGETS


class Needs(Enum):
    """How much of the configuration must be valid."""

    EVERYTHING = "everything"
    """It runs jobs, so it needs all of them: the dependents of a run must be known. A problem ends it with 2."""
    ALL_JOBS = "all jobs"
    """It lists jobs: it shows the valid ones and the problems, and ends with 2 because its list is incomplete."""
    STORE = "store"
    """It reads the store; it reads job files only to check whether a job exists. It shows problems of settings."""
    USABLE = "usable"
    """Its answer is complete without the rest: it shows the problems, and its exit code does not change."""
    NOTHING = "nothing"
    """It has no action, or loads the configuration itself."""


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
    "serve": CommandEntry("scheduler.cli.serve", "serve", Needs.EVERYTHING),
    "validate": CommandEntry("scheduler.features.jobs.definition_commands", "validate", Needs.NOTHING),
    "jobs": CommandEntry("scheduler.features.jobs.commands", "jobs", Needs.ALL_JOBS),
    "run": CommandEntry("scheduler.features.runs.commands", "run", Needs.EVERYTHING),
    "next": CommandEntry(
        "scheduler.features.jobs.schedule_commands", "next_instants", Needs.USABLE, takes_expression=True
    ),
    "explain": CommandEntry(
        "scheduler.features.jobs.schedule_commands", "explain", Needs.USABLE, takes_expression=True
    ),
    "schema": CommandEntry("scheduler.features.jobs.definition_commands", "schema", Needs.NOTHING),
    "presets": CommandEntry(
        "scheduler.features.presets.commands",
        "presets",
        Needs.NOTHING,
        {"list": Needs.USABLE, "show": Needs.USABLE},
    ),
    "generate": CommandEntry(
        "scheduler.features.generation.commands",
        "generate",
        Needs.NOTHING,
        {**dict.fromkeys(TARGETS, Needs.EVERYTHING), "apply": Needs.EVERYTHING, "drift": Needs.NOTHING},
    ),
    "discover": CommandEntry(
        "scheduler.features.discovery.commands", "discover", Needs.NOTHING, {"azure": Needs.EVERYTHING}
    ),
    "import": CommandEntry("scheduler.features.importing.commands", "import_jobs", Needs.NOTHING),
    "history": CommandEntry("scheduler.features.runs.commands", "history", Needs.STORE),
    "changes": CommandEntry("scheduler.features.changes.commands", "changes", Needs.STORE),
    "health-entries": CommandEntry("scheduler.features.changes.commands", "health_entries", Needs.STORE),
    "heartbeat": CommandEntry("scheduler.features.heartbeats.commands", "heartbeat", Needs.USABLE),
    "uptime": CommandEntry("scheduler.features.statistics.uptime_commands", "uptime", Needs.STORE),
    "downtime": CommandEntry("scheduler.features.statistics.uptime_commands", "downtime", Needs.USABLE),
    "stats": CommandEntry("scheduler.features.statistics.commands", "stats", Needs.ALL_JOBS),
    "trend": CommandEntry("scheduler.features.trends.commands", "trend", Needs.USABLE),
    "export": CommandEntry("scheduler.features.statistics.commands", "export", Needs.ALL_JOBS),
    "slo": CommandEntry(
        "scheduler.features.objectives.commands",
        "slo",
        Needs.NOTHING,
        {"list": Needs.USABLE, "show": Needs.USABLE, "statement": Needs.USABLE, "recompute": Needs.NOTHING},
    ),
    "pause": CommandEntry("scheduler.features.jobs.acting_commands", "pause", Needs.USABLE),
    "resume": CommandEntry("scheduler.features.jobs.acting_commands", "resume", Needs.USABLE),
    "plan": CommandEntry("scheduler.features.stored_jobs.plan_commands", "plan", Needs.EVERYTHING),
    "apply": CommandEntry("scheduler.features.stored_jobs.commands", "apply", Needs.EVERYTHING),
    "drift": CommandEntry("scheduler.features.delivery.commands", "drift", Needs.EVERYTHING),
    "test": CommandEntry("scheduler.features.trials.commands", "run_job_tests", Needs.NOTHING),
    "gate": CommandEntry("scheduler.features.gate.commands", "gate", Needs.EVERYTHING),
    "export-jobs": CommandEntry("scheduler.features.delivery.commands", "export_jobs", Needs.EVERYTHING),
    "versions": CommandEntry("scheduler.features.stored_jobs.commands", "versions", Needs.STORE),
    "restore": CommandEntry("scheduler.features.stored_jobs.commands", "restore", Needs.EVERYTHING),
    "delete": CommandEntry("scheduler.features.stored_jobs.commands", "delete", Needs.USABLE),
    "cancel": CommandEntry("scheduler.features.runs.commands", "cancel", Needs.USABLE),
    "backfill": CommandEntry("scheduler.features.jobs.acting_commands", "backfill", Needs.EVERYTHING),
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
        "scheduler.features.incidents.commands",
        "incidents",
        Needs.NOTHING,
        {
            "list": Needs.USABLE,
            "show": Needs.USABLE,
            "bundle": Needs.USABLE,
            "decisions": Needs.USABLE,
            "acknowledge": Needs.USABLE,
            "snooze": Needs.USABLE,
            "unacknowledge": Needs.USABLE,
            "note": Needs.USABLE,
            "resolve": Needs.USABLE,
        },
    ),
    "silences": CommandEntry(
        "scheduler.features.suppressions.commands",
        "silences",
        Needs.NOTHING,
        {"list": Needs.USABLE, "create": Needs.USABLE, "end": Needs.USABLE, "delete": Needs.USABLE},
    ),
    "channels": CommandEntry(
        "scheduler.features.channels.commands",
        "channels",
        Needs.NOTHING,
        {"list": Needs.USABLE, "undelivered": Needs.USABLE, "retry": Needs.USABLE, "discard": Needs.USABLE},
    ),
    "windows": CommandEntry(
        "scheduler.features.suppressions.commands",
        "windows",
        Needs.NOTHING,
        {"list": Needs.USABLE, "start": Needs.USABLE, "end": Needs.USABLE, "delete": Needs.USABLE},
    ),
    "markers": CommandEntry(
        "scheduler.features.changes.commands", "markers", Needs.NOTHING, {"list": Needs.USABLE, "create": Needs.USABLE}
    ),
    "alerts": CommandEntry(
        "scheduler.features.backtest.commands",
        "alerts",
        Needs.NOTHING,
        {"backtest": Needs.ALL_JOBS, "advise": Needs.USABLE},
    ),
    "notify": CommandEntry("scheduler.features.channels.commands", "notify", Needs.NOTHING, {"test": Needs.USABLE}),
    "explain-alert": CommandEntry("scheduler.features.alerts.commands", "explain_alert", Needs.USABLE),
    "audit": CommandEntry(
        "scheduler.features.audit.commands",
        "audit",
        Needs.NOTHING,
        {"list": Needs.STORE, "verify": Needs.STORE, "export": Needs.STORE},
    ),
    "keys": CommandEntry(
        "scheduler.features.access.commands",
        "keys",
        Needs.STORE,
        {"list": Needs.STORE, "create": Needs.STORE, "rotate": Needs.STORE, "revoke": Needs.STORE},
    ),
    "sessions": CommandEntry(
        "scheduler.features.access.commands", "sessions", Needs.STORE, {"list": Needs.STORE, "end": Needs.STORE}
    ),
    "backup": CommandEntry(
        "scheduler.features.backup.commands",
        "backup",
        Needs.NOTHING,
        {"create": Needs.STORE, "list": Needs.STORE, "verify": Needs.NOTHING, "restore": Needs.STORE},
    ),
    "store": CommandEntry(
        "scheduler.features.backup.store_commands",
        "store",
        Needs.NOTHING,
        {"check": Needs.STORE, "upgrade": Needs.STORE, "move": Needs.STORE},
    ),
    "profile": CommandEntry(
        "scheduler.cli.profile_commands",
        "profile",
        Needs.NOTHING,
        dict.fromkeys(("list", "show", "add", "use", "remove"), Needs.NOTHING),
    ),
    "secrets": CommandEntry(
        "scheduler.features.secrets.commands",
        "secrets",
        Needs.ALL_JOBS,
        {"refresh": Needs.USABLE, "rules": Needs.ALL_JOBS},
    ),
}


STORE_ONLY: Mapping[str, str] = {
    "alerts backtest": "it replays the stored runs with rules of files",
    "alerts advise": "it reads the stored runs of weeks",
    "audit verify": "it compares the rows of the trail with each other",
    "backup create": "it copies all rows",
    "backup restore": "it writes all rows",
    "store check": "it reads all rows",
    "store upgrade": "it changes the form of the rows",
    "store move": "it copies all rows",
}
"""Commands that a running scheduler has no route for, and why. They reject --url, and a profile in use."""
LOCAL_ONLY: Mapping[str, str] = {
    "serve": "it is a scheduler",
    "validate": "it reads files, and with --stored the store of this machine's settings",
    "schema": "it describes the files of this version",
    **dict.fromkeys(("presets list", "presets show"), "it reads files of this version, or next to job files"),
    **dict.fromkeys((f"generate {target}" for target in (*TARGETS, "apply", "drift")), "it reads job files"),
    "discover azure": "it reads Azure and job files",
    "import": "it reads configuration of other tools",
    "slo recompute": "it reads a statement and exported runs",
    "test": "it runs jobs of files",
    "backup verify": "it reads a file",
    **dict.fromkeys((f"profile {name}" for name in ("list", "show", "add", "use", "remove")), "it is about profiles"),
}
"""Commands that are about this machine alone, whether a profile is in use or not. All others have a route."""


def has_route(command: str) -> bool:
    """Return whether a command, such as `jobs` or `circuits open`, can work in a running scheduler."""
    return command not in STORE_ONLY and command not in LOCAL_ONLY


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
            _add_routes(name, command, has_action=entry.needs is not Needs.NOTHING)
            app.add_typer(command, name=name)
            continue
        command = _add_route(name, command)
        if entry.takes_expression:
            from scheduler.cli.selection import ExpressionCommand

            app.command(name, cls=ExpressionCommand)(command)
        else:
            app.command(name)(command)


def _add_routes(group: str, commands: typer.Typer, *, has_action: bool) -> None:
    """Let each subcommand, and the group itself if it has an action, reach a running scheduler."""
    for info in commands.registered_commands:
        assert info.callback is not None
        info.callback = _add_route(f"{group} {info.name}", info.callback)
    if has_action and commands.registered_callback is not None and commands.registered_callback.callback is not None:
        commands.registered_callback.callback = _add_route(group, commands.registered_callback.callback)


def _add_route(name: str, command: Callable[..., Any]) -> Callable[..., Any]:
    if name in LOCAL_ONLY:
        return command
    from scheduler.cli.reach import with_route, without_route

    return without_route(name, STORE_ONLY[name], command) if name in STORE_ONLY else with_route(command)
