"""`channels` and `notify` by the API, as with the store, and as callers of each role."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.incidents.values import Notification, TransitionKind
from jobs.notifications.port import ChannelState, OutboxChanges, UndeliveredNotification
from scheduler.stores.alerting.outbox import OutboxRows
from scheduler.stores.port import Store
from tests.parts.host import job
from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.reach.two_ways import two_ways

NOW = datetime.now(UTC).replace(microsecond=0)
INCIDENTS = tuple(f"179585640{number:04}-5f2c1d9b" for number in range(3))
FIRST, SECOND, THIRD = (f"{incident}.1" for incident in INCIDENTS)


async def put_undelivered(store: Store) -> None:
    letters = [
        UndeliveredNotification(
            Notification(incident, 1, TransitionKind.OPENED, "team", NOW), ("team",), NOW, "status \x1b[31m503"
        )
        for incident in INCIDENTS
    ]
    state = ChannelState("team", failing_since=NOW, failures=3, error="status 503", retry_at=NOW)
    await OutboxRows(store).commit(OutboxChanges(state, dead_letters=tuple(letters)))


async def test_channels_are_tested_and_sent_to_again_as_with_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HttpTarget() as target:
        target.on("/refused", 503)
        channels = {
            "mail": {"kind": "webhook", "url": f"{target.url}/refused"},
            "team": {"kind": "webhook", "url": f"{target.url}/hook"},
        }

        async def prepare(store: Store) -> None:
            folder = tmp_path / "server" / "jobs"
            folder.mkdir()
            (folder / "alerting.json").write_text(json.dumps({"alerting": {"channels": channels}}))
            await put_undelivered(store)

        async with two_ways(tmp_path, monkeypatch, {"checkout": job("http://127.0.0.1:9/")}, prepare) as ways:
            for words in (
                ("undelivered", "team"),
                ("undelivered", "team", "--json"),
                ("undelivered", "mail"),
                ("undelivered", "taem"),
                ("retry", "mail"),
                ("retry", "team", "unknown"),
                ("discard", "team", "a.b"),
            ):
                await ways.same("channels", *words, role="admin")
            listed = await ways.remote("channels", "list", role="viewer")
            as_json = await ways.remote("channels", "list", "--json", role="viewer")
            of_store = await ways.local("channels", "list")
            await ways.refused("channels", "retry", "team", role="viewer", needs="operator")
            await ways.refused("channels", "discard", "team", FIRST, role="operator", needs="admin")
            discarded = await ways.remote("channels", "discard", "team", FIRST)
            one = await ways.remote("channels", "retry", "team", SECOND, role="operator")
            every = await ways.remote("channels", "retry", "team", role="operator")
            sent = await ways.remote("notify", "test", "team", role="operator")
            failed = await ways.remote("notify", "test", "mail", role="operator")
            shown = await ways.remote("notify", "test", "mail", "--json", role="operator")
            missing = await ways.same("notify", "test", "taem", role="operator")
            await ways.refused("notify", "test", "team", role="viewer", needs="operator")
            here = await ways.local("notify", "test", "team")

            assert discarded.stdout == f"{FIRST} is discarded\n"
            assert one.stdout == f"{SECOND} will be sent again\n"
            assert f"{THIRD} will be sent again" in every.lines  # and perhaps the second, if it was given up again
            # The last column is relative to the time of the request.
            rows = [[line.split("\t")[:-1] for line in each.lines] for each in (listed, of_store)]
            assert rows[0] == rows[1]
            assert [row[0] for row in rows[0]] == ["name", "mail", "team"]
            assert json.loads(as_json.stdout)["channels"][1]["undelivered"] == 3
            assert (sent.code, sent.lines[0][:9], missing.code) == (0, "TEST DOWN", 1)
            assert sent.lines[-2] == here.lines[-2]
            assert sent.lines[-1].startswith("channel team (webhook) accepted the test within ")
            assert [line.partition("requested by")[0] for line in sent.lines[:-1]] == [
                line.partition("requested by")[0] for line in here.lines[:-1]
            ]
            assert (failed.code, "responded with status 503" in failed.stderr) == (1, True)
            assert (shown.code, json.loads(shown.stdout)["delivered"]) == (1, False)
