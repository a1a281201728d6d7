"""Profiles: names for running schedulers, in a file of the user; and which scheduler a command reaches.

    current = "prod"

    [profiles.prod]
    url = "https://scheduler.example.com"
    key_file = "/run/secrets/scheduler-prod"

The file has the name of a variable or of a file with the key, never a key.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scheduler.cli.connection import KEY_VARIABLE, read_connection
from scheduler.cli.output import EXIT_FAILED, fail, print_note
from scheduler.cli.reach import find_profiles_path

if TYPE_CHECKING:
    from scheduler.cli.connection import Connection

MAX_FILE_BYTES: Final = 256 * 1024
PROFILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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


def read_profiles() -> ProfileFile:
    """Return what the file has; nothing without one. A file that cannot be read ends the command with 2."""
    path = find_profiles_path()
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
    if not PROFILE_NAME.fullmatch(name) or not isinstance(fields, dict):
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

    path = find_profiles_path()
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
        if entra is not None:
            fail("--entra belongs to --url or to a profile: neither is given")
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
