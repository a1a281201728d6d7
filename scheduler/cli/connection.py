"""The options that name a running scheduler, and its API keys; work with a client of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, NamedTuple
from urllib.parse import urlsplit

import typer

from scheduler.cli.output import fail, print_warning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from scheduler.features.delivery.remote import RemoteApi, RemoteKeys

    T = TypeVar("T")

KEY_VARIABLE = "SCHEDULER_API_KEY"

UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="A running scheduler, over its API. (default: the configured store)"),
]
KeyOption = Annotated[
    str,
    typer.Option(
        "--key-variable",
        metavar="NAME",
        help="Environment variable with the API key for --url. NAME_FILE names a file that contains it.",
    ),
]
ReadKeyOption = Annotated[
    str | None,
    typer.Option(
        "--read-key-variable",
        metavar="NAME",
        help="Environment variable with the API key for requests that only read. (default: that of --key-variable)",
        show_default=False,
    ),
]
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Connection(NamedTuple):
    """Where a scheduler is, and the keys for it."""

    url: str
    keys: RemoteKeys


def read_connection(
    url: str | None, variable: str, read_variable: str | None = None, environ: Mapping[str, str] | None = None
) -> Connection | None:
    """Return the connection that the options name; what is wrong ends the command with 2. None: no --url."""
    if url is None:
        return None
    from scheduler.features.delivery.remote import RemoteKey, RemoteKeys

    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or parts.query or parts.fragment or parts.username is not None:
        fail("--url: expected an address such as https://scheduler.example.com, without user, query and fragment")
    variables = os.environ if environ is None else environ
    change, read = (
        RemoteKey(read_key(name, variables, option), name)
        for option, name in (("--key-variable", variable), ("--read-key-variable", read_variable or variable))
    )
    if (change.text or read.text) and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        print_warning(f"the API key is sent to {parts.hostname} without encryption: use https")
    return Connection(url.rstrip("/"), RemoteKeys(change, read))


def read_key(variable: str, environ: Mapping[str, str], option: str = "--key-variable") -> str | None:
    """Return the API key of an environment variable, or of the file that NAME_FILE names; None without both."""
    from config.settings.variables import UnusableSecretFile, read_secret_variable

    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        fail(f"{option}: expected the name of an environment variable, got {variable!r}")
    try:
        text = read_secret_variable(environ, variable)
    except UnusableSecretFile as error:
        fail(str(error))
    if text and not (text.isascii() and text.isprintable() and " " not in text):
        fail(f"{variable}: expected an API key, one word of printable characters")
    return text or None


def run_remote(connection: Connection, work: Callable[[RemoteApi], Awaitable[T]]) -> T:
    """Do the work with a client of the scheduler.

    Input that it rejects ends the command with 2, other failures with 1.
    """
    from scheduler.cli.context import run_opened
    from scheduler.cli.output import EXIT_BAD_INPUT, EXIT_FAILED
    from scheduler.features.delivery.remote import RemoteError, open_remote

    try:
        return run_opened(open_remote(*connection), work)
    except RemoteError as error:
        fail(str(error), EXIT_BAD_INPUT if error.is_invalid_input else EXIT_FAILED)
