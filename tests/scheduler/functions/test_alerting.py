"""From a failed run to a delivered message on Azure: batches judge, ticks and batches run passes and deliver."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.schedules import PLANNED_UNTIL_CURSOR
from tests.parts.http_target import HttpTarget
from tests.scheduler.functions.hosted import Hosted


@pytest.fixture(autouse=True)
def _announces_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_ALERTING__GROUP_WAIT", "0s")


def write_alerting(folder: Path, target: HttpTarget) -> None:
    """A job that fails, whose first failure is sent to a webhook."""
    check = {"kind": "http", "url": f"{target.url}/down"}
    job = {"schedule": "*/2 * * * * *", "check": check, "retry": {"attempts": 1}, "alerts": [{"open_after": 1}]}
    alerting = {
        "channels": {"hook": {"kind": "webhook", "url": f"{target.url}/hook"}},
        "routes": [{"notify": "hook"}],
    }
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": {"search": job}, "alerting": alerting}))


def sent(target: HttpTarget) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in target.requests if request.path == "/hook"]


async def test_a_failure_is_sent_once_and_its_end_too(hosted: Hosted, jobs: Path, target: HttpTarget) -> None:
    write_alerting(jobs, target)
    await hosted.cursors.advance(PLANNED_UNTIL_CURSOR, datetime.now(UTC) - timedelta(seconds=5))
    assert (await hosted.worker.timer("tick")).failure is None

    await hosted.hand_over((await hosted.queue.take_when_visible())[:1])

    (opened,) = sent(target)
    assert (opened["transition"], opened["subject"]) == ("opened", "search")
    assert (await hosted.worker.timer("tick")).failure is None
    assert len(sent(target)) == 1
    target.on("/down", 200)

    while len(sent(target)) == 1:
        await hosted.hand_over((await hosted.queue.take_when_visible())[:1])

    assert [message["transition"] for message in sent(target)] == ["opened", "resolved"]
    page = await IncidentLog(hosted.store).list_page(limit=10)
    assert [incident.is_open for incident in page.incidents] == [False]
