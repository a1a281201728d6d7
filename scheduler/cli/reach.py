"""Where a command works: with the configured store, or in a running scheduler, which --url or a profile names.

Every command with a route gets the same options. The functions of scheduler.cli.context ask `find_connection`, and pass
the opened store to the work of the command, or its remote counterpart, scheduler.cli.remote_program.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from scheduler.cli.output import EXIT_FAILED, fail

if TYPE_CHECKING:
    from scheduler.cli.connection import Connection

PAGE: Final = "docs/operating-from-your-machine.md"


def _declare(
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="A running scheduler, over its API."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="A profile, see `profile`."),
    ] = None,
    is_local: Annotated[
        bool,
        typer.Option("--local", help="The configured store, whatever profile is in use."),
    ] = False,
    key_variable: Annotated[
        str | None,
        typer.Option(
            "--key-variable",
            metavar="NAME",
            help="Variable with the API key; NAME_FILE names a file that contains it. (default: SCHEDULER_API_KEY)",
        ),
    ] = None,
    read_key_variable: Annotated[
        str | None,
        typer.Option(
            "--read-key-variable",
            metavar="NAME",
            help="The same, for requests that only read. (default: that of --key-variable)",
        ),
    ] = None,
    entra: Annotated[
        str | None,
        typer.Option(
            "--entra",
            metavar="AUDIENCE",
            help="Sign in with Entra ID (`az login`, managed identity), such as api://scheduler.",
        ),
    ] = None,
) -> None:
    """Declare the options of every command with a route."""


_OPTIONS: Final = tuple(inspect.signature(_declare, eval_str=True).parameters.values())
_connection: ContextVar[Connection | None] = ContextVar("connection", default=None)


def find_profiles_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return the path of the profiles of this user."""
    variables = os.environ if environ is None else environ
    if sys.platform == "win32":
        base = variables.get("APPDATA") or os.path.expanduser(r"~\AppData\Roaming")
    else:
        base = variables.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(base) / "scheduler" / "profiles.toml"


def find_connection() -> Connection | None:
    """Return the running scheduler of this command; None: the configured store."""
    return _connection.get()


def with_route(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command with the options that name a running scheduler."""

    def act(given: Mapping[str, Any], *args: Any, **others: Any) -> Any:
        with _connected(given):
            return command(*args, **others)

    return _add_options(command, act)


def without_route(name: str, reason: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command that needs the store: it rejects the options, and a profile in use, with the reason."""

    def act(given: Mapping[str, Any], *args: Any, **others: Any) -> Any:
        is_chosen = given["url"] is not None or bool(given["profile"])
        if not given["is_local"] and (is_chosen or _is_profile_in_use(given)):
            here = "" if is_chosen else ", or give --local for the store of this machine's settings"
            fail(f"{name} needs the store, because {reason}: run it where the store is ({PAGE}){here}")
        return command(*args, **others)

    return _add_options(command, act, is_hidden=True)


def _is_profile_in_use(given: Mapping[str, Any]) -> bool:
    from scheduler.cli.profiles import find_profile

    return given["profile"] is None and find_profile(None) is not None


def _add_options(
    command: Callable[..., Any], act: Callable[..., Any], *, is_hidden: bool = False
) -> Callable[..., Any]:
    @wraps(command)
    def reaching(*args: Any, **words: Any) -> Any:
        given = {option.name: words.pop(option.name) for option in _OPTIONS}
        is_group = any(getattr(each, "invoked_subcommand", None) for each in (*args, *words.values()))
        if is_group:  # the subcommand has the same options
            if _is_any_given(given):
                fail("give --url, --profile and the options of the key after the subcommand")
            return command(*args, **words)
        return act(given, *args, **words)

    signature = inspect.signature(command, eval_str=True)
    options = [_hide(option) for option in _OPTIONS] if is_hidden else _OPTIONS
    own = [*signature.parameters.values(), *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in options)]
    reaching.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    reaching.__annotations__ = {each.name: each.annotation for each in own}
    return reaching


def _is_any_given(given: Mapping[str, Any]) -> bool:
    """Return whether an option was given, an empty address included: it must not mean the configured store."""
    return any(value not in (None, False) for value in given.values())


def _hide(option: inspect.Parameter) -> inspect.Parameter:
    from copy import copy

    kind, shown = option.annotation.__origin__, option.annotation.__metadata__[0]
    hidden = copy(shown)
    hidden.hidden = True
    return option.replace(annotation=Annotated[kind, hidden])


@contextmanager
def _connected(given: Mapping[str, Any]) -> Iterator[None]:
    """Work with the chosen scheduler; what it refuses, and an unknown job, ends the command."""
    connection = None
    if _is_any_given(given) or os.path.exists(find_profiles_path()):  # else without imports that take milliseconds
        from scheduler.cli.profiles import find_target

        connection = find_target(**given)
    if connection is None:
        yield
        return
    token = _connection.set(connection)
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        _end(error)
        raise
    finally:
        _connection.reset(token)


def _end(error: Exception) -> None:
    """End the command for an error of the API that it has not handled."""
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.cli.output import EXIT_BAD_INPUT
    from scheduler.errors import OperationError
    from scheduler.features.delivery.remote import RemoteError

    if isinstance(error, UnknownJob):
        fail(f"{error}" if error.suggestion else f"{error}; `jobs` lists all jobs", EXIT_BAD_INPUT)
    if isinstance(error, RemoteError):
        fail(str(error), EXIT_BAD_INPUT if error.is_invalid_input else EXIT_FAILED)
    if isinstance(error, OperationError):
        fail(str(error), EXIT_FAILED)
