"""`secrets`: which secrets jobs use, and whether they can be had; reading one again. Never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import Column, clean, note, on_terminal, show_json, show_table, show_tabs
from scheduler.cli.texts import iso, local

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.app import Program
    from scheduler.secret_watch import SecretView

_FIELDS = ("name", "source", "read_at", "state", "jobs")

ABOUT = """The secrets that jobs use: where each comes from, and whether it can be had. Values are never shown.

They are read as this process may read them: with its variables, its mounted files and its identity.

\b
Examples:
  secrets
  secrets refresh checkout-token"""

secrets = typer.Typer(help=ABOUT)


@secrets.callback(invoke_without_command=True)
def list_secrets(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output, as GET /api/secrets.")] = False,
) -> None:
    """See ABOUT."""
    if context.invoked_subcommand is not None:
        return
    from scheduler.cli.configured import configured, end_if_incomplete, in_program

    async def work(program: Program) -> Sequence[SecretView]:
        return await program.secret_watch.views(read=True)

    configuration = configured("secrets")
    views = in_program(configuration, work)
    if as_json:
        from scheduler.api.secret_routes import SecretList, SecretModel

        show_json(SecretList(secrets=[SecretModel.of(view) for view in views]).model_dump_json(indent=2))
    else:
        if not views:
            note("no job uses a secret")
        _show(views)
    end_if_incomplete(configuration)


@secrets.command("refresh")
def refresh(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The secret's name; `secrets` lists them.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output, as in GET /api/secrets.")] = False,
) -> None:
    """Have a secret read again that was changed in the vault. A running server does so within 15 seconds.

    It is not needed where the vault's events are subscribed to, nor for a target that refuses the old value.

    \b
    Examples:
      secrets refresh checkout-token
    """
    from scheduler.cli.changes import changed
    from scheduler.operations import Way

    view = changed(
        "secrets refresh",
        lambda program: program.operations.refreshing.refresh(name, way=Way.COMMAND_LINE),
        listed_by="`secrets` lists those that jobs use",
    )
    if as_json:
        from scheduler.api.secret_routes import SecretModel

        show_json(SecretModel.of(view).model_dump_json(indent=2))
        return
    print(clean(f"{view.name} is read again within 15 seconds; {_state(view)} here"))


def _show(views: Sequence[SecretView]) -> None:
    if not on_terminal():
        rows = [
            (view.name, view.source or "", iso(view.read_at) if view.read_at else "", _state(view), " ".join(view.jobs))
            for view in views
        ]
        show_tabs(_FIELDS, rows)
        return
    columns = (Column("SECRET"), Column("FROM"), Column("READ"), Column("STATE"), Column("JOBS"))
    show_table(
        columns,
        [
            (view.name, view.source or "-", local(view.read_at) if view.read_at else "-", _state(view), _jobs(view))
            for view in views
        ],
    )


def _state(view: SecretView) -> str:
    if view.trouble:
        return f"cannot be had: {view.trouble}"
    if view.expiry is not None:
        end = f" on {iso(view.expiry.at)}" if view.expiry.at is not None else ""
        return f"can be had, {'has expired' if view.expiry.past else 'expires'}{end}"
    return "can be had"


def _jobs(view: SecretView) -> str:
    first = ", ".join(view.jobs[:3])
    return first if len(view.jobs) <= 3 else f"{first} and {len(view.jobs) - 3} more"
