"""`secrets`: list the secrets that jobs use and their state, refresh one. Never shows a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.listing import Field, act, show_list, show_model
from scheduler.cli.output import Column, escape_controls, print_note
from scheduler.cli.times import format_local

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from config.loading import Configuration
    from jobs.definition import JobDefinition
    from scheduler.features.secrets.models import SecretModel

ABOUT = """Secrets that jobs use: source, state, and the hosts that may get each. Values are never shown.

This process reads them with its own variables, mounted files and identity.

\b
Examples:
  secrets
  secrets refresh checkout-token
  secrets rules"""

secrets = typer.Typer(help=ABOUT)


def _join_jobs(secret: SecretModel) -> str:
    first = ", ".join(secret.jobs[:3])
    return first if len(secret.jobs) <= 3 else f"{first} and {len(secret.jobs) - 3} more"


def _describe_state(secret: SecretModel) -> str:
    if secret.error:
        return f"unavailable: {secret.error}"
    if secret.is_expiring:
        end = f" on {format_iso_instant(secret.expires_at)}" if secret.expires_at is not None else ""
        return f"available, {'has expired' if secret.expired else 'expires'}{end}"
    return "not read yet" if secret.read_at is None else "available"


def _describe_hosts(secret: SecretModel) -> str:
    """Return which hosts may get it, and for jobs with which tags."""
    if secret.hosts is None:
        return "any (no rule)"
    tags = f" (jobs with {' or '.join(secret.tags)})" if secret.tags else ""
    return f"{', '.join(secret.hosts) or 'none'}{tags}"


_FIELDS: tuple[Field[SecretModel], ...] = (
    Field("name", lambda secret: secret.name, Column("SECRET")),
    Field("source", lambda secret: secret.source or "", Column("FROM"), lambda secret: secret.source or "-"),
    Field(
        "read_at",
        lambda secret: "" if secret.read_at is None else format_iso_instant(secret.read_at),
        Column("READ"),
        lambda secret: "-" if secret.read_at is None else format_local(secret.read_at),
    ),
    Field("state", _describe_state, Column("STATE")),
    Field("jobs", lambda secret: " ".join(secret.jobs), Column("JOBS"), _join_jobs),
    Field("hosts", _describe_hosts, Column("HOSTS")),
)


@secrets.callback(invoke_without_command=True)
def list_secrets(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/secrets.")] = False,
) -> None:
    """List the secrets without a command of the group. ABOUT is the help."""
    if context.invoked_subcommand is not None:
        return
    from scheduler.cli.context import exit_if_incomplete, load_for_command, run_in_program

    configuration = load_for_command("secrets")
    listed = run_in_program(configuration, lambda program: program.secret_monitor.list_secrets(read=True))
    if listed.items or as_json:
        show_list(listed, _FIELDS, as_json=as_json, empty="")
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
    secret = act(
        "secrets refresh",
        lambda operations, caller: operations.secrets.refresh(name, caller=caller),
        listing_hint="`secrets` lists the secrets that jobs use",
    )
    if as_json:
        show_model(secret)
        return
    print(escape_controls(f"{secret.name} will be read again within 15 seconds; here: {_describe_state(secret)}"))


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

    configuration = load_for_command("secrets rules")
    jobs = _read_jobs(configuration, stored)
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


def _read_jobs(configuration: Configuration, stored: bool) -> Iterable[JobDefinition]:
    """Return the jobs of files, with `stored` those of the store too; of a running scheduler all jobs."""
    from scheduler.cli.context import run_in_store
    from scheduler.cli.reach import find_connection
    from scheduler.cli.selection import add_stored_jobs
    from scheduler.features.jobs.selection import JobSelection

    async def read(program: Any) -> Mapping[str, JobDefinition]:
        found: Mapping[str, JobDefinition] = await program.queries.read_definitions(JobSelection())
        return found

    if find_connection() is not None:
        return run_in_store(configuration, read).values()
    return add_stored_jobs(configuration.jobs, configuration.settings) if stored else configuration.jobs
