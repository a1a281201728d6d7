"""A running scheduler: its address, and its API keys or a token of Entra ID; work with a client of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from scheduler.cli.output import fail, print_warning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from scheduler.features.delivery.remote import RemoteApi, RemoteKeys

    T = TypeVar("T")

KEY_VARIABLE = "SCHEDULER_API_KEY"

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Connection(NamedTuple):
    """Where a scheduler is, and the keys for it."""

    url: str
    keys: RemoteKeys


def read_connection(
    url: str | None,
    variable: str,
    read_variable: str | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    entra: str | None = None,
    key_file: str | None = None,
) -> Connection | None:
    """Return the connection that the options name; what is wrong ends the command with 2. None: no --url.

    `entra`: the audience of a token of Entra ID. `key_file`: contains the key. Both replace the key of `variable`.
    """
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
    is_open = parts.scheme == "http" and parts.hostname not in _LOOPBACK
    if entra is not None:
        if is_open:
            fail(f"a token of Entra ID is not sent to {parts.hostname} without encryption: use https")
        token = RemoteKey(read_token(entra), "--entra", is_token=True)
        return Connection(url.rstrip("/"), RemoteKeys(token, token))
    variables = os.environ if environ is None else environ
    if key_file is not None:
        variable, variables = key_file, {**variables, f"{KEY_VARIABLE}_FILE": key_file, KEY_VARIABLE: ""}
    change, read = (
        RemoteKey(read_key(KEY_VARIABLE, variables, "key_file"), name)
        if name == key_file
        else RemoteKey(read_key(name, variables, option), name)
        for option, name in (("--key-variable", variable), ("--read-key-variable", read_variable or variable))
    )
    if (change.text or read.text) and is_open:
        print_warning(f"the API key is sent to {parts.hostname} without encryption: use https")
    return Connection(url.rstrip("/"), RemoteKeys(change, read))


def read_token(audience: str) -> str:
    """Return a token of the signed-in user, or of the managed identity; without one the command ends with 1."""
    from config.identity import fetch_command_token
    from jobs.errors import TokenUnavailable
    from scheduler.cli.output import EXIT_FAILED

    if not re.fullmatch(r"[!-~]{1,300}", audience):
        fail("--entra: expected an audience such as api://scheduler, the setting http.entra.audience of the scheduler")
    try:
        return fetch_command_token(audience)
    except TokenUnavailable as error:
        fail(str(error), EXIT_FAILED)


def read_key(variable: str, environ: Mapping[str, str], option: str = "--key-variable") -> str | None:
    """Return the API key of an environment variable, or of the file that NAME_FILE names; None without both."""
    from config.settings.variables import UnusableSecretFile, read_secret_variable

    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        fail(f"{option}: expected the name of an environment variable, got {variable!r}")
    try:
        text = read_secret_variable(environ, variable)
    except UnusableSecretFile as error:
        fail(str(error).replace(f"{variable}_FILE", option, 1) if option == "key_file" else str(error))
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
