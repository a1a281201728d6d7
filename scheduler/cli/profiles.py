"""Profiles: names for running schedulers, in a file of the user; and `profile`, which lists and changes them.

    current = "prod"

    [profiles.prod]
    url = "https://scheduler.example.com"
    key_file = "/run/secrets/scheduler-prod"

The file has the name of a variable or of a file with the key, never a key.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from scheduler.cli.connection import KEY_VARIABLE, read_connection
from scheduler.cli.output import EXIT_FAILED, Column, fail, is_terminal, print_note, show_json, show_table, show_tabs

if TYPE_CHECKING:
    from scheduler.cli.connection import Connection

MAX_FILE_BYTES: Final = 256 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Profile(NamedTuple):
    """Where a scheduler is, and where its key is: an environment variable, a file, or a token of Entra ID.

    `key_variable`, `key_file`, `entra`: at most one is set. `read_key_variable`: for requests that only read.
    """

    url: str
    key_variable: str = ""
    key_file: str = ""
    read_key_variable: str = ""
    entra: str = ""


class ProfileFile(NamedTuple):
    """`current`: the profile in use; empty: none."""

    profiles: Mapping[str, Profile] = {}
    current: str = ""


def find_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return the path of the file of this user."""
    variables = os.environ if environ is None else environ
    if sys.platform == "win32":
        base = variables.get("APPDATA") or str(Path.home() / "AppData" / "Roaming")
    else:
        base = variables.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "scheduler" / "profiles.toml"


def read_profiles() -> ProfileFile:
    """Return what the file has; nothing without one. A file that cannot be read ends the command with 2."""
    path = find_path()
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return ProfileFile()
    except OSError as error:
        fail(f"{path} cannot be read: {(error.strerror or type(error).__name__).lower()}")
    import tomllib

    if len(content) > MAX_FILE_BYTES:
        fail(f"{path} has more than {MAX_FILE_BYTES // 1024} KiB")
    try:
        return _parse(tomllib.loads(content.decode("utf-8")))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        fail(f"{path}:{line}: is not UTF-8 text: write it again")
    except tomllib.TOMLDecodeError as error:
        fail(f"{path}: is not TOML: {error}; correct the line, or remove the file and use `profile add`")
    except ValueError as error:
        fail(f"{path}:{_find_line(content, error)}: {error}; correct it, or use `profile remove` and `profile add`")


class _InvalidProfile(ValueError):
    """`heading`: the line that the message is about begins with it."""

    def __init__(self, heading: str, message: str) -> None:
        super().__init__(message)
        self.heading = heading


def _find_line(content: bytes, error: ValueError) -> int:
    heading = error.heading.encode() if isinstance(error, _InvalidProfile) else b""
    lines = [line.strip() for line in content.splitlines()]
    return next((number for number, line in enumerate(lines, 1) if line.startswith(heading)), 1)


def _parse(document: Mapping[str, Any]) -> ProfileFile:
    current, tables = document.get("current", ""), document.get("profiles", {})
    if unknown := next((name for name in document if name not in ("current", "profiles")), None):
        raise _InvalidProfile(unknown, f"unknown key {unknown!r}: expected current or profiles")
    if not isinstance(current, str):
        raise _InvalidProfile("current", "current: expected the name of a profile in quotes")
    if not isinstance(tables, dict):
        raise _InvalidProfile("profiles", "profiles: expected tables such as [profiles.prod]")
    profiles = {name: _parse_profile(name, fields) for name, fields in tables.items()}
    if current and current not in profiles:
        raise _InvalidProfile("current", f"current: there is no profile {current!r}")
    return ProfileFile(profiles, current)


def _parse_profile(name: str, fields: Any) -> Profile:
    heading = f"[profiles.{name}]"
    if not _NAME.fullmatch(name) or not isinstance(fields, dict):
        raise _InvalidProfile(
            heading, f"profile {name!r}: expected a table, and a name of letters, digits, '.', '_', '-'"
        )
    for key, value in fields.items():
        if key not in Profile._fields:
            raise _InvalidProfile(key, f"profile {name}: unknown key {key!r}: expected {', '.join(Profile._fields)}")
        if not isinstance(value, str):
            raise _InvalidProfile(key, f"profile {name}: {key}: expected a text in quotes")
    if not fields.get("url"):
        raise _InvalidProfile(heading, f"profile {name}: url is missing")
    profile = Profile(**fields)
    if sum(map(bool, (profile.key_variable, profile.key_file, profile.entra))) > 1:
        raise _InvalidProfile(heading, f"profile {name}: key_variable, key_file and entra exclude each other")
    return profile


def write_profiles(content: ProfileFile) -> None:
    """Replace the file, which only the user can read."""
    from config.whole_files import replace_file

    path = find_path()
    lines = [f"current = {_quote(content.current)}\n"] if content.current else []
    for name, profile in content.profiles.items():
        fields = [f"{key} = {_quote(value)}\n" for key, value in profile._asdict().items() if value]
        heading = name if re.fullmatch("[A-Za-z0-9_-]+", name) else _quote(name)
        lines.append("".join([f"[profiles.{heading}]\n", *fields]))
    try:
        replace_file(path, "\n".join(lines), mode=0o600)
    except OSError as error:
        fail(f"{path} cannot be written: {(error.strerror or type(error).__name__).lower()}", EXIT_FAILED)


def _quote(text: str) -> str:
    """Return a basic string of TOML, whose escapes are those of JSON; it has DEL as one, too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def find_profile(name: str | None) -> tuple[str, Profile] | None:
    """Return the profile of this name, or that in use; None without one. An unknown name ends the command with 2."""
    content = read_profiles()
    chosen = content.current if name is None else name
    if not chosen:
        return None
    if chosen not in content.profiles:
        from jobs.problems.findings import did_you_mean, suggest_name

        near = did_you_mean(suggest_name(chosen, [*content.profiles])) or "; `profile list` lists all"
        fail(f"--profile: there is no profile {chosen!r}{near}")
    return chosen, content.profiles[chosen]


def find_target(
    url: str | None,
    profile: str | None,
    is_local: bool,
    key_variable: str | None,
    read_key_variable: str | None,
    entra: str | None,
) -> Connection | None:
    """Return the running scheduler that the options, or the profile in use, name; None: the configured store.

    With a URL no profile counts: its key would be sent to another host.
    """
    if sum((url is not None, bool(profile), is_local)) > 1:
        fail("--url, --profile and --local exclude each other")
    if entra is not None and key_variable is not None:
        fail("--entra and --key-variable exclude each other")
    if is_local:
        return None
    if url is not None:
        return read_connection(url, key_variable or KEY_VARIABLE, read_key_variable, entra=entra)
    found = find_profile(profile)
    if found is None:
        if key_variable or read_key_variable or entra:
            fail("a key belongs to --url or to a profile: neither is given")
        return None
    name, chosen = found
    if is_to_be_named():
        print_note(f"{name}: {chosen.url}")
    if key_variable is not None:
        chosen = chosen._replace(key_variable=key_variable, key_file="", entra="")
    elif entra is not None:
        chosen = chosen._replace(key_variable="", key_file="", entra=entra)
    return read_connection(
        chosen.url,
        chosen.key_variable or KEY_VARIABLE,
        read_key_variable or chosen.read_key_variable or None,
        entra=chosen.entra or None,
        key_file=chosen.key_file or None,
    )


def note_unused_profile() -> None:
    """Say that a command works with the configured store although a profile is in use."""
    if (found := find_profile(None)) is not None:
        print_note(f"the profile {found[0]} is not used: the command works with the store of this machine's settings")


def is_to_be_named() -> bool:
    """Return whether a person reads the notes."""
    return sys.stderr.isatty()


ABOUT = """Profiles: names for running schedulers, so that commands reach them without --url.

A profile has the address, and where the API key is: a variable, a file, or a sign-in with Entra ID. Never the key.

\\b
Examples:
  profile add prod https://scheduler.example.com --key-file ~/.secrets/scheduler-prod
  profile add test https://scheduler-test.example.com --entra api://scheduler-test
  profile use prod
  profile use --none"""

profile = typer.Typer(help=ABOUT, no_args_is_help=True)
_NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the profile.")]
_JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@profile.command("list")
def list_profiles(as_json: _JsonOption = False) -> None:
    """List the profiles; `*` marks the one in use.

    \b
    Examples:
      profile list
    """
    content = read_profiles()
    if as_json:
        profiles = [_to_document(name, one, content) for name, one in content.profiles.items()]
        show_json(json.dumps({"profiles": profiles}, indent=2, ensure_ascii=False))
        return
    rows = [
        ("*" if name == content.current else "", name, one.url, _describe_key(one))
        for name, one in content.profiles.items()
    ]
    if not is_terminal():
        show_tabs(("current", "name", "url", "key"), rows)
    elif rows:
        show_table(
            (Column(""), Column("name", "bold"), Column("url", no_wrap=False), Column("key", no_wrap=False)), rows
        )
    else:
        print_note("there are no profiles: `profile add NAME URL` adds one")


@profile.command("show")
def show_profile(name: _NameArgument, as_json: _JsonOption = False) -> None:
    """Show a profile, and whether its key can be read. The key is not shown.

    \b
    Examples:
      profile show prod
    """
    one = _find(read_profiles(), name)
    if as_json:
        show_json(json.dumps(_to_document(name, one, read_profiles()), indent=2, ensure_ascii=False))
        return
    for key, value in (("name", name), *one._asdict().items()):
        if value:
            print(f"{key.replace('_', ' ')}: {value}")
    if not one.entra:
        connection = read_connection(one.url, one.key_variable or KEY_VARIABLE, key_file=one.key_file or None)
        assert connection is not None
        print(f"key: {'is set' if connection.keys.change.text else 'is not set'}")


@profile.command("add")
def add_profile(
    name: _NameArgument,
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the scheduler, such as https://example.com.")],
    key_variable: Annotated[
        str, typer.Option("--key-variable", metavar="NAME", help="Environment variable with the API key.")
    ] = "",
    key_file: Annotated[
        Path | None, typer.Option("--key-file", metavar="FILE", help="File that contains the API key.")
    ] = None,
    read_key_variable: Annotated[
        str, typer.Option("--read-key-variable", metavar="NAME", help="Variable with the key for requests that read.")
    ] = "",
    entra: Annotated[
        str, typer.Option("--entra", metavar="AUDIENCE", help="Sign in with Entra ID, such as api://scheduler.")
    ] = "",
) -> None:
    """Add or replace a profile. It is used after `profile use`, or with --profile.

    \b
    Examples:
      profile add prod https://scheduler.example.com --key-variable PROD_SCHEDULER_KEY
    """
    if not _NAME.fullmatch(name):
        fail("NAME: expected letters, digits, '.', '_' and '-', at most 100 characters")
    if sum((bool(key_variable), key_file is not None, bool(entra))) > 1:
        fail("--key-variable, --key-file and --entra exclude each other")
    read_connection(url, KEY_VARIABLE, environ={})
    for option, variable in (("--key-variable", key_variable), ("--read-key-variable", read_key_variable)):
        if variable and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            fail(f"{option}: expected the name of an environment variable, got {variable!r}")
    file = "" if key_file is None else str(key_file.expanduser().absolute())
    content = read_profiles()
    added = Profile(url.rstrip("/"), key_variable, file, read_key_variable, entra)
    write_profiles(content._replace(profiles={**content.profiles, name: added}))
    print(f"profile {name} is {'replaced' if name in content.profiles else 'added'}")


@profile.command("use")
def use_profile(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of the profile.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Use no profile: commands work with the store.")] = False,
) -> None:
    """Let all commands that have a route use the scheduler of this profile, until another one is used.

    \b
    Examples:
      profile use prod
      profile use --none
    """
    if (name is None) != none:
        fail("give the name of a profile, or --none")
    content = read_profiles()
    if name is not None:
        _find(content, name)
    write_profiles(content._replace(current=name or ""))
    print("no profile is in use" if name is None else f"profile {name} is in use: {content.profiles[name].url}")


@profile.command("remove")
def remove_profile(name: _NameArgument) -> None:
    """Remove a profile. If it was in use, none is then.

    \b
    Examples:
      profile remove test
    """
    content = read_profiles()
    _find(content, name)
    left = {each: one for each, one in content.profiles.items() if each != name}
    write_profiles(ProfileFile(left, "" if content.current == name else content.current))
    print(f"profile {name} is removed")


def _find(content: ProfileFile, name: str) -> Profile:
    if name not in content.profiles:
        fail(f"there is no profile {name!r}; `profile list` lists all", EXIT_FAILED)
    return content.profiles[name]


def _describe_key(one: Profile) -> str:
    if one.entra:
        return f"Entra ID, {one.entra}"
    return f"file {one.key_file}" if one.key_file else f"variable {one.key_variable or KEY_VARIABLE}"


def _to_document(name: str, one: Profile, content: ProfileFile) -> dict[str, Any]:
    fields = {key: value or None for key, value in one._asdict().items()}
    return {"name": name, "is_current": name == content.current, **fields}
