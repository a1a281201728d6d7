"""`keys`, `sessions` and `audit` by the API, as with the store, and as callers of each role."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.stores.identity import Session, StoredSessions, expiry_prefix
from scheduler.stores.port import Store
from tests.parts.host import job
from tests.scheduler.cli.reach.two_ways import two_ways

NOW = datetime.now(UTC)
END = NOW + timedelta(hours=1)
JOBS = {"checkout": job("http://127.0.0.1:9/", tags={"team": "shop"})}


async def put_sessions(store: Store) -> None:
    for name, letter in (("deploy", "a"), ("deploy", "b"), ("ada", "c")):
        who = Principal(PrincipalKind.API_KEY, name, Role.OPERATOR, (("team", "shop"),))
        session = Session(f"{expiry_prefix(END)}-{letter * 64}", who, "", END, NOW, started_at=NOW, address="::1")
        await StoredSessions(store).insert(session, NOW)


async def test_keys_and_sessions_are_managed_as_with_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ("--role", "operator", "--tag", "team:shop", "--expires", "90d", "--address", "10.0.0.0/8")
    async with two_ways(tmp_path, monkeypatch, JOBS, put_sessions) as ways:
        made = await ways.remote("keys", "create", "deploy", *limits)
        shown = await ways.remote("keys", "create", "other", "--role", "viewer", "--json")
        rotated = await ways.remote("keys", "rotate", "deploy", "--overlap", "2h")
        for words in (
            ("keys", "create", "deploy", "--role", "viewer"),
            ("keys", "create", "no name", "--role", "viewer"),
            ("keys", "create", "new", "--role", "viewer", "--address", "nowhere"),
            ("keys", "rotate", "nobody"),
            ("keys", "rotate", "other", "--overlap", "90d"),
            ("keys", "revoke", "nobody"),
            ("sessions", "end", "unknown"),
        ):
            await ways.same(*words, role="admin")
        for words in (("keys",), ("sessions",), ("sessions", "list", "--json")):
            await ways.same(*words, role="admin")
        revoked = await ways.remote("keys", "revoke", "deploy")
        listed = await ways.same("keys", "list", "--json", role="admin")
        one = await ways.remote("sessions", "end", "c" * 12)
        every = await ways.remote("sessions", "end", "api_key:deploy")

        texts = (made.stdout.strip(), json.loads(shown.stdout)["key"], rotated.stdout.strip())
        assert all(text.startswith("sch_") for text in texts)
        assert len(made.lines) == len(rotated.lines) == 1
        assert not any(text in each.stderr for text in texts for each in (made, shown, rotated))
        assert "store the key now" in made.stderr
        assert "the old key " in rotated.stderr
        assert [line.endswith("running servers reject it within 5 seconds") for line in revoked.lines] == [True, True]
        keys = {each["name"]: each for each in json.loads(listed.stdout)["keys"] if each["successor"] is None}
        assert (keys["deploy"]["tags"], keys["deploy"]["active"]) == (["team:shop"], False)
        assert one.stdout == f"session {'c' * 12} of api_key:ada is ended\n"
        assert every.lines == [f"session {letter * 12} of api_key:deploy is ended" for letter in "ab"]
        for words in (("keys",), ("keys", "create", "x", "--role", "viewer"), ("keys", "revoke", "x"), ("sessions",)):
            await ways.refused(*words, role="operator", needs="admin")
        await ways.refused("sessions", "end", "x", role="viewer", needs="admin")


async def test_an_admin_revokes_the_key_that_it_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_ways(tmp_path, monkeypatch, JOBS) as ways:
        revoked = await ways.remote("keys", "revoke", "a-admin")

        assert (revoked.code, revoked.stdout[:9]) == (0, "a-admin (")
        assert "a-admin\tadmin\t\trevoked" in (await ways.local("keys")).stdout


async def test_the_audit_trail_is_listed_and_exported_as_with_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_ways(tmp_path, monkeypatch, JOBS) as ways:
        await ways.remote("pause", "checkout", "--reason", "caf\u00e9", role="operator")
        await ways.remote("resume", "checkout", role="operator")
        async with asyncio.timeout(60):
            while True:
                if (await ways.host.get("/api/audit?action=jobs.load"))["entries"]:
                    break
                await asyncio.sleep(0.1)
        for words in (
            ("list",),
            ("list", "--json"),
            ("list", "--action", "job", "--job", "checkout", "--limit", "1"),
            ("list", "--principal", "a-operator", "--from", "1h"),
            ("list", "--job", "unknown"),
            ("list", "--from", "soon"),
            ("export",),
            ("export", "--from", "2030-01-01"),
        ):
            await ways.same("audit", *words, role="admin")
        await ways.same("audit", "list", role="admin", terminal=True)
        exported = await ways.remote("audit", "export", role="admin")
        file = tmp_path / "audit.jsonl"
        file.write_text(exported.stdout)
        verified = await ways.local("audit", "verify", "--file", str(file))
        visible = await ways.remote("audit", "export", role="viewer")
        monkeypatch.setenv("ADMIN", "sch_a_unknown_key")
        refused = await ways.remote("audit", "export", role="admin")

        assert (verified.code, len(exported.lines) >= 5) == (0, True), verified.stdout
        actions = [json.loads(line)["action"] for line in visible.lines]
        assert sorted(actions) == ["job.pause", "job.resume", "jobs.load"]
        assert (refused.code, refused.stdout) == (1, "")
        assert "the key of ADMIN was refused" in refused.stderr
        assert os.environ["ADMIN"] not in refused.stderr
