"""`downtime`: the uptime of a job by time."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.values import AlertKey, Incident, IncidentStatus, Member, TransitionKind
from jobs.runs.states import Cause, JobStatus, StateChange
from scheduler.stores.repositories import Repositories
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

NOW = datetime.now(UTC).replace(microsecond=0)
CHECKOUT = {"schedule": {"every": "1m"}, "check": {"url": "http://127.0.0.1:9/"}, "alerts": [{}]}


async def store_outage(path: Path) -> None:
    """The job was observed for ten days, and down for 6 of the last 24 hours."""
    store = await open_sqlite(path, StoreAccess.SHARED)
    rows = Repositories(store)
    since, until = NOW - timedelta(hours=10), NOW - timedelta(hours=4)
    observed = StateChange("checkout-api", 1, JobStatus.UP, NOW - timedelta(days=10), Cause("succeeded"))
    await rows.changes.write(observed, "")
    key = AlertKey("checkout-api", "failed")
    member = Member(key, 1, "down", 20, since, since, resolved_at=until)
    incident_id = f"{int(since.timestamp() * 1000):013d}-00000001"
    step = IncidentStep(
        None, Incident(incident_id, 0, IncidentStatus.RESOLVED, since, (member,), key, resolved_at=until)
    )
    step.add_transition(TransitionKind.OPENED, since, "opened", key=key)
    await rows.engine_rows.write((await rows.engine_rows.read()).head, NOW, [step])
    await store.aclose()


def test_it_shows_when_a_job_was_down_and_its_uptime(job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api=CHECKOUT)
    asyncio.run(store_outage(job_folder.parent / "state.db"))

    shown = invoke("downtime", "checkout-api", "--window", "24h")
    terminal = invoke("downtime", "checkout-api", terminal=True)
    answer = json.loads(invoke("downtime", "checkout-api", "--from", "24h", "--json").stdout)

    row = dict(zip(shown.lines[0].split("\t"), shown.lines[1].split("\t"), strict=True))
    assert (row["state"], row["seconds"]) == ("down", str(6 * 3600))
    assert "up 75.000% of" in shown.stderr
    assert "not observed" in terminal.stdout
    assert (answer["uptime"], answer["down_seconds"]) == (pytest.approx(0.75, abs=0.001), 6 * 3600)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("checkout-apo",), "checkout-apo"),
        (("checkout-api", "--window", "2d"), "--window: expected one of"),
        (("checkout-api", "--window", "7d", "--month", "2026-11"), "--window: "),
    ],
)
def test_what_is_wrong_is_named(job_folder: Path, arguments: tuple[str, ...], message: str) -> None:
    write_jobs(job_folder, checkout_api=CHECKOUT)
    found = invoke("downtime", *arguments)
    assert found.code == 2
    assert message in found.stderr
