"""Every command of the runbooks that has a route, against a server with keys, as viewer, operator and admin."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from scheduler.cli.registry import COMMANDS, has_route
from tests.docs.pages import TEXTS
from tests.docs.test_commands import PROGRAM, commands
from tests.parts.api_keys import create_key
from tests.parts.host import Host, job
from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.reach.two_ways import ROLES, two_ways

NEEDS = {
    "incidents acknowledge": "operator",
    "incidents note": "operator",
    "incidents resolve": "operator",
    "run": "operator",
    "pause": "operator",
    "resume": "operator",
    "windows start": "operator",
    "channels retry": "operator",
    "secrets refresh": "operator",
    "keys": "admin",
    "keys list": "admin",
    "keys create": "admin",
    "keys rotate": "admin",
    "keys revoke": "admin",
}
"""The role of commands that do more than read."""


def name_of(words: tuple[str, ...]) -> str:
    """Return the name of the command that the words call, such as `incidents list`."""
    subcommands = COMMANDS[words[0]].subcommands
    return f"{words[0]} {words[1]}" if len(words) > 1 and words[1] in subcommands else words[0]


PRINTED = {
    command[3:]: name_of(command[3:])
    for page, text in TEXTS.items()
    if page.startswith("docs/runbooks/")
    for command in commands(text)
    if command[:3] == PROGRAM
}
REACHING = {words: name for words, name in PRINTED.items() if has_route(name)}


async def find_incident(host: Host) -> str:
    async with asyncio.timeout(60):
        while True:
            if found := (await host.get("/api/incidents"))["incidents"]:
                return str(found[0]["id"])
            await asyncio.sleep(0.1)


async def test_the_commands_of_the_runbooks_reach_a_running_scheduler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HttpTarget() as target:
        auth = {"kind": "bearer", "token": {"secret": "checkout-token"}}
        checkout: dict[str, Any] = {"check": {"url": target.url, "auth": auth}, "tags": {"team": "payments"}}
        jobs = {
            "checkout-api": {**checkout, "schedule": "0 0 3 1 1 *"},
            "failing": job("http://127.0.0.1:9/", "every 1s", alerts=[{"open_after": 1}]),
        }
        async with two_ways(tmp_path, monkeypatch, jobs, SCHEDULER_SECRET_CHECKOUT_TOKEN="t") as ways:
            store = f"sqlite:///{ways.folder / 'state.db'}"
            await create_key({"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_STORE": store}, "deploy")
            stands_for = {"ID": await find_incident(ways.host), "JOB": "checkout-api"}
            for printed, name in REACHING.items():
                words = tuple(stands_for.get(word, word) for word in printed)
                needed = NEEDS.get(name, "viewer")
                for role in ROLES[: ROLES.index(needed)]:
                    await ways.refused(*words, role=role, needs=needed)
                result = await ways.remote(*words, role=needed)
                assert result.code == 0, f"{words}: {result.stdout}{result.stderr}"
                assert result.stdout, words


def test_the_runbooks_have_commands_of_each_role() -> None:
    assert {NEEDS.get(name, "viewer") for name in PRINTED.values()} == {*ROLES}
    assert len(PRINTED) > 20
