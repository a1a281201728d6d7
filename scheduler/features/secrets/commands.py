"""`secrets`: list the secrets that jobs use and their state, refresh one. Never shows a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.output import Column, escape_controls, is_terminal, print_note, show_json, show_table, show_tabs
from scheduler.cli.times import format_local

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from scheduler.app import Program
    from scheduler.features.secrets.service import SecretView

_FIELDS = ("name", "source", "read_at", "state", "jobs", "hosts")

ABOUT = """Secrets that jobs use: source, state, and the hosts that may get each. Values are never shown.

This process reads them with its own variables, mounted files and identity.

\b
Examples:
  secrets
  secrets refresh checkout-token
  secrets rules"""

secrets = typer.Typer(help=ABOUT)


@secrets.callback(invoke_without_command=True)
def list_secrets(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/secrets.")] = False,
) -> None:
    """See ABOUT."""
    if context.invoked_subcommand is not None:
        return
    from scheduler.cli.context import exit_if_incomplete, load_for_command, run_in_program

    async def work(program: Program) -> Sequence[SecretView]:
        return await program.secret_monitor.list_secrets(read=True)

    configuration = load_for_command("secrets")
    views = run_in_program(configuration, work)
    if as_json:
        from scheduler.features.secrets.models import SecretList, SecretModel

        show_json(SecretList(secrets=[SecretModel.from_view(view) for view in views]).model_dump_json(indent=2))
    elif views:
        _show(views)
    else:
        print_note("no job uses a secret")
    exit_if_incomplete(configuration)


@secrets.command("refresh")
def refresh(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Secret name; `secrets` lists all secrets.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as the secret in GET /api/secrets.")] = False,
) -> None:
    """Read a secret again after it was changed in the vault. A running server does so within 15 seconds.

    This is not necessary if the app is subscribed to the vault's events, or if the target rejects the old value.

    \b
    Examples:
      secrets refresh checkout-token
    """
    from scheduler.cli.context import run_operation
    from scheduler.identity.principal import command_caller

    view = run_operation(
        "secrets refresh",
        lambda program: program.operations.secrets.refresh(name, caller=command_caller()),
        listing_hint="`secrets` lists the secrets that jobs use",
    )
    if as_json:
        from scheduler.features.secrets.models import SecretModel

        show_json(SecretModel.from_view(view).model_dump_json(indent=2))
        return
    print(escape_controls(f"{view.name} will be read again within 15 seconds; here: {_describe_state(view)}"))


@secrets.command("rules")
def show_rules(
    as_variables: Annotated[
        bool, typer.Option("--variables", help="Print environment variables instead of lines of a settings file.")
    ] = False,
    stored: Annotated[
        bool, typer.Option("--stored", help="Add the stored jobs, which need the store. (default: files alone)")
    ] = False,
) -> None:
    """Print the rules that allow all jobs to send their secrets and tokens to their current hosts.

    Review the rules before you add them to the settings: each rule allows a host to get a secret.

    \b
    Examples:
      secrets rules --stored
      secrets rules --variables
    """
    import json
    import shlex

    from config.warnings import find_required_rules, format_rules
    from jobs.checks.binding.names import ProtectedResource, classify_scope
    from scheduler.cli.context import exit_if_incomplete, load_for_command
    from scheduler.cli.selection import add_stored_jobs

    configuration = load_for_command("secrets rules")
    jobs = add_stored_jobs(configuration.jobs, configuration.settings) if stored else configuration.jobs
    rules = find_required_rules(job for job in jobs if job.enabled)
    scopes = rules.get("identity", {})
    for scope in [scope for scope in scopes if classify_scope(scope) is not ProtectedResource.NONE]:
        print_note(f"skipped: {scope}, because its token opens {classify_scope(scope).value}")
        del scopes[scope]
    rules = {group: names for group, names in rules.items() if names}
    if not rules:
        print_note("no job sends a secret or a token")
    elif as_variables:
        for group, names in rules.items():
            listed = {name: list(hosts) for name, hosts in sorted(names.items())}
            print(escape_controls(f"SCHEDULER_{group.upper()}__ALLOW={shlex.quote(json.dumps(listed))}"))
    else:
        print(*map(escape_controls, format_rules(rules).splitlines()), sep="\n")
    exit_if_incomplete(configuration)


def _show(views: Sequence[SecretView]) -> None:
    if not is_terminal():
        rows = [
            (
                view.name,
                view.source or "",
                _format_read_at(view, format_iso_instant),
                _describe_state(view),
                " ".join(view.jobs),
                _describe_hosts(view),
            )
            for view in views
        ]
        show_tabs(_FIELDS, rows)
        return
    columns = (Column("SECRET"), Column("FROM"), Column("READ"), Column("STATE"), Column("JOBS"), Column("HOSTS"))
    show_table(
        columns,
        [
            (
                view.name,
                view.source or "-",
                _format_read_at(view, format_local) or "-",
                _describe_state(view),
                _join_jobs(view),
                _describe_hosts(view),
            )
            for view in views
        ],
    )


def _format_read_at(view: SecretView, text: Callable[[datetime], str]) -> str:
    return "" if view.read_at is None else text(view.read_at)


def _describe_state(view: SecretView) -> str:
    if view.problem:
        return f"unavailable: {view.problem}"
    if view.expiry is not None:
        end = f" on {format_iso_instant(view.expiry.at)}" if view.expiry.at is not None else ""
        return f"available, {'has expired' if view.expiry.past else 'expires'}{end}"
    return "available"


def _join_jobs(view: SecretView) -> str:
    first = ", ".join(view.jobs[:3])
    return first if len(view.jobs) <= 3 else f"{first} and {len(view.jobs) - 3} more"


def _describe_hosts(view: SecretView) -> str:
    """Which hosts may get it, and for jobs with which tags."""
    if view.hosts is None:
        return "any (no rule)"
    tags = f" (jobs with {' or '.join(view.tags)})" if view.tags else ""
    return f"{', '.join(view.hosts) or 'none'}{tags}"
