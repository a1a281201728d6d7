"""`profile`: list, show, add, use and remove profiles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from scheduler.cli.connection import KEY_VARIABLE, read_connection
from scheduler.cli.output import EXIT_FAILED, Column, fail, is_terminal, print_note, show_json, show_table, show_tabs
from scheduler.cli.profiles import PROFILE_NAME, Profile, ProfileFile, read_profiles, write_profiles

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
    if not PROFILE_NAME.fullmatch(name):
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
