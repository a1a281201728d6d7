"""`circuits`, `heartbeat`, `explain-alert` and `secrets` by the API, as with the store, and as callers of each role."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.heartbeat import Ping, PingSignal
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.port import Store
from tests.parts.host import job
from tests.scheduler.cli.reach.two_ways import two_ways

CIRCUIT = {"consecutive_failures": 3}
TOKEN = {"secret": "nightly-token"}
JOBS = {
    "checkout": job("http://127.0.0.1:9/", circuit=CIRCUIT, alerts=[{"open_after": 2}], tags={"team": "payments"}),
    "search": job("http://127.0.0.1:9/", circuit={**CIRCUIT, "group": "shared"}),
    "sell": job("http://127.0.0.1:9/", circuit={**CIRCUIT, "group": "shared"}),
    "nightly": {"check": {"kind": "heartbeat", "token": TOKEN, "period": "24h"}},
    "ledger": {"check": {"url": "https://ledger.example/", "auth": {"kind": "bearer", "token": {"secret": "ledger"}}}},
}
SECRETS = {"SCHEDULER_SECRET_NIGHTLY_TOKEN": "2fd4e1c67a2d28fced849ee1bb76e739"}


async def put_pings(store: Store) -> None:
    at = datetime.now(UTC) - timedelta(minutes=5)
    for signal in (PingSignal.START, PingSignal.FAIL, PingSignal.SUCCESS):
        ping = Ping(at, signal, source="10.0.0.1", body="disk\tfull\n")
        await Heartbeats(store).add("nightly", lambda _, ping=ping: ping)  # type: ignore[misc]


async def test_circuits_are_forced_and_reset_as_with_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_ways(tmp_path, monkeypatch, JOBS) as ways:
        await ways.host.run("checkout")
        opened = await ways.remote("circuits", "open", "group:shared", "--for", "1h", "--reason", "a", role="operator")
        closed = await ways.remote("circuits", "close", "checkout", "--json", role="operator")
        for words in (
            (),
            ("--json",),
            ("open", "chekout"),
            ("open", "shared"),
            ("open", "checkout", "--until", "2020-01-01"),
            ("close", "checkout", "--reason", "x" * 501),
            ("reset", "nightly"),
            ("reset", "checkout", "nightly", "--dry-run"),
            ("reset",),
        ):
            await ways.same("circuits", *words, role="operator")
        await ways.same("circuits", terminal=True)
        late = await ways.remote("circuits", "open", "checkout", "--until", "2020-01-01", role="operator")
        unknown = await ways.remote("circuits", "open", "shared", role="operator")
        reset = await ways.remote("circuits", "reset", "group:shared", role="operator")
        many = await ways.remote("circuits", "reset", "checkout", "nightly", role="operator")

        assert opened.stdout.startswith("group:shared is held open until ")
        assert json.loads(closed.stdout)["override"]["open"] is False
        assert late.stderr.startswith("--until: 2020-01-01 00:00:00Z is in the past")
        assert unknown.stderr.startswith("no job has a circuit 'shared' (nearest: group:shared); `circuits` lists")
        assert reset.stdout == "group:shared is closed\n"
        assert (many.code, [line.split("\t")[1] for line in many.lines[1:]]) == (1, ["done", "refused"])
        for words in (("open", "checkout"), ("close", "checkout"), ("reset", "checkout"), ("reset", "--all")):
            await ways.refused("circuits", *words, role="viewer", needs="operator")


async def test_heartbeats_alerts_and_secrets_are_shown_as_with_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    async with two_ways(tmp_path, monkeypatch, JOBS, put_pings, **SECRETS) as ways:
        await ways.host.run("checkout")
        for words in (
            ("heartbeat", "nightly"),
            ("heartbeat", "nightly", "--limit", "2", "--json"),
            ("heartbeat", "checkout"),
            ("heartbeat", "nightli"),
            ("explain-alert", "checkout", "--at", "2026-11-28T12:00:00.123456Z"),
            ("explain-alert", "checkout", "--at", "2026-11-28T12:00:00Z", "--rule", "failed", "--json"),
            ("explain-alert", "checkout", "--rule", "nothing"),
            ("explain-alert", "chekout"),
            ("explain-alert", "checkout", "--at", "soon"),
            ("secrets", "rules", "--stored"),
            ("secrets", "rules", "--stored", "--variables"),
            ("secrets", "refresh", "nobodys"),
        ):
            await ways.same(*words, role="operator")
        beat = await ways.remote("heartbeat", "nightly", role="viewer", terminal=True)
        unread = await ways.remote("secrets", role="viewer")
        refreshed = await ways.same("secrets", "refresh", "nightly-token", role="operator")
        listed, here = await ways.remote("secrets", role="viewer"), await ways.local("secrets")
        shown = await ways.remote("secrets", "--json", role="viewer")

        assert "nightly is up" in beat.stdout
        assert f'"{ways.url}/api/ping/$TOKEN/$?"' in beat.stderr
        assert "ledger\t\t\tnot read yet\tledger\tany (no rule)" in unread.stdout
        assert refreshed.stdout.endswith("here: available\n")
        # When a process has read a secret, and what it has not read, differ between processes.
        (of_server,), (of_command,) = (
            [line.split("\t") for line in each.lines if line.startswith("nightly-token\t")] for each in (listed, here)
        )
        assert (of_server[:2], of_server[3:]) == (of_command[:2], of_command[3:])
        assert [each["is_expiring"] for each in json.loads(shown.stdout)["secrets"]] == [False, False]
        assert not any(value in listed.stdout + shown.stdout for value in SECRETS.values())
        await ways.refused("secrets", "refresh", "ledger", role="viewer", needs="operator")
