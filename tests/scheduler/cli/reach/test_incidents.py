"""`incidents` by the API, as with the store, and as callers of each role."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.parts.host import Host, job
from tests.scheduler.cli.reach.two_ways import TwoWays, two_ways

JOBS = {
    "checkout": job("http://127.0.0.1:9/", "every 1s", tags={"team": "payments"}, alerts=[{"open_after": 1}]),
    "search": job("http://127.0.0.1:9/"),
}


async def open_incident(host: Host) -> str:
    """Let a job fail, and then pause it, until its incident stays as it is; its id."""
    found = await wait_for_incident(host, "")
    await host.client.post("/api/jobs/checkout/pause", json={})
    await wait_for_incident(host, "held back by the window pause")
    return str(found["id"])


async def wait_for_incident(host: Host, suppression: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            for found in (await host.get("/api/incidents"))["incidents"]:
                if found["suppression"] == suppression:
                    incident: dict[str, Any] = found
                    return incident
            await asyncio.sleep(0.1)


async def check_bundles(ways: TwoWays, incident: str) -> None:
    """Compare the bundles, but for the time at which they were read."""
    for form in ("markdown", "json"):
        words = ("incidents", "bundle", incident, "--format", form)
        here, there = await ways.local(*words), await ways.remote(*words, role="viewer")
        assert (here.code, there.code) == (0, 0), there.stderr
        shown = [re.sub(r'(as of |"as_of": ?")[0-9T:Z-]+', "", each.stdout) for each in (here, there)]
        assert shown[0] == shown[1]
        assert "127.0.0.1:9 refused the connection" in there.stdout
    out = ways.folder / "bundle.md"
    written = await ways.remote("incidents", "bundle", incident, "--out", str(out), role="viewer")
    assert (written.code, written.stdout, written.stderr) == (0, "", f"wrote {out}\n")
    assert out.read_text(encoding="utf-8").startswith("# `DOWN checkout`\n")
    await ways.same("incidents", "bundle", "unknown")
    await ways.same("incidents", "bundle", incident, "--format", "html")
    await ways.same("incidents", "bundle", incident, "--out", str(ways.folder / "no" / "x.md"))


async def test_incidents_are_shown_and_handled_as_with_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_ways(tmp_path, monkeypatch, JOBS) as ways:
        incident = await open_incident(ways.host)
        for words in (
            ("incidents", "list"),
            ("incidents", "list", "--json"),
            ("incidents", "list", "--severity", "down", "--tag", "team=payments", "--status", "open", "--from", "2026"),
            ("incidents", "list", "--status", "resolved"),
            ("incidents", "list", "--job", "chekout"),
            ("incidents", "show", incident),
            ("incidents", "show", incident, "--json"),
            ("incidents", "show", "x/../y"),
            ("incidents", "decisions", incident),
            ("incidents", "decisions", incident, "--json"),
            ("incidents", "acknowledge", "unknown"),
            ("incidents", "note", incident, " "),
            ("incidents", "snooze", incident, "--for", "400d"),
        ):
            await ways.same(*words, role="operator")
        await check_bundles(ways, incident)
        await ways.same("incidents", "list", terminal=True)
        await ways.same("incidents", "show", incident, terminal=True)
        for words in (("acknowledge", incident), ("note", incident, "seen"), ("resolve", incident)):
            await ways.refused("incidents", *words, role="viewer", needs="operator")

        noted = await ways.remote("incidents", "note", incident, "restarting", role="operator")
        snoozed = await ways.remote("incidents", "snooze", incident, "--for", "2h", "--json", role="operator")
        handled = await ways.remote("incidents", "show", incident, role="viewer")
        await ways.remote("incidents", "unacknowledge", incident, role="operator")
        resolved = await ways.remote("incidents", "resolve", incident, "--note", "over", role="operator")
        again = await ways.same("incidents", "acknowledge", incident, role="operator")

        assert (noted.stderr, noted.stdout) == ("", f"incident {incident} about checkout: open\n")
        assert json.loads(snoozed.stdout)["handling"].startswith("snoozed by api_key:a-operator until ")
        assert "history:" in handled.stdout
        assert "restarting" in handled.stdout
        assert (resolved.code, resolved.stdout) == (0, f"incident {incident} about checkout: resolved\n")
        assert again.code == 1
        missing = await ways.remote("incidents", "show", "unknown", role="viewer")
        assert missing.stderr == (await ways.local("incidents", "show", "unknown")).stderr
