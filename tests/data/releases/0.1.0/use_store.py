"""Uses a store as version 0.1.0 does: `python use_store.py FILE read|write`. Prints what it reads as JSON.

In place of a file: `azure:PREFIX`, with the connection string in CONNECTION.

Run by tests/acceptance/test_upgrades.py with the program of that version as PYTHONPATH.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobs.runs import Outcome, Run, Ticket, Trigger
from scheduler.stores.circuits import StoredCircuits
from scheduler.stores.cursors import Cursors
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.pauses import Pauses
from scheduler.stores.runs import RUN_FILTERS, Runs
from scheduler.stores.sqlite import open_sqlite

NOW = datetime(2026, 11, 27, 21, tzinfo=UTC)


async def read(store: Any) -> dict[str, Any]:
    runs = Runs(store)
    found: dict[str, list[str]] = {}
    for outcome in RUN_FILTERS:
        ids, continuation = [], None
        while True:
            page = await runs.list(outcome=outcome, limit=200, continuation=continuation)
            ids += [_text(record) for record in page.records]
            continuation = page.continuation
            if continuation is None:
                break
        found[outcome] = ids
    jobs = sorted({text.partition("@")[0] for ids in found.values() for text in ids})
    return {
        "runs": found,
        "latest": {job: _text(record) for job, record in (await runs.latest_of(jobs)).items()},
        "states": {job: await runs.states_between(job, NOW - timedelta(days=1), NOW) for job in jobs},
        "open": sorted(_text(record) for record in await runs.unfinished()),
        "untold": [run.id for run in await runs.untold()],
        "pauses": {job: str(pause) for job, pause in (await Pauses(store).active(NOW)).items()},
        "letters": [letter.id for letter in await DeadLetters(store).list(limit=200)],
        "planned": str(await Cursors(store).get("planned-until")),
        "beats": {job: str(await Heartbeats(store).beat(job)) for job in jobs},
        "circuits": {job: (await StoredCircuits(store).load(job))[0] for job in jobs},
    }


def _text(record: Any) -> str:
    run = record.run
    ended = "" if run is None else f"{run.outcome} {run.error} {run.message} {len(run.attempts)} attempts"
    return f"{record.ticket.id} {record.state} {record.owner} {ended}"


async def write(store: Any) -> Sequence[str]:
    """Execute two runs, and leave a third one open."""
    runs, ids = Runs(store), []
    for second in range(3):
        due_at = NOW + timedelta(seconds=second)
        ticket = Ticket(f"written@{due_at:%Y%m%dT%H%M%S}.000Z", "written", Trigger.SCHEDULE, due_at)
        claim = await runs.claim(ticket, "an old process", due_at + timedelta(seconds=60), due_at)
        if second < 2:
            run = Run(
                id=ticket.id,
                job=ticket.job,
                trigger=ticket.trigger,
                outcome=Outcome.SUCCEEDED,
                due_at=due_at,
                started_at=due_at,
                finished_at=due_at + timedelta(milliseconds=20),
            )
            await runs.finish(claim, run)
        ids.append(ticket.id)
    await Cursors(store).advance("planned-until", NOW + timedelta(hours=1))
    return ids


async def main() -> None:
    if sys.argv[1].startswith("azure:"):
        from scheduler.stores.azure_tables import open_azure_tables

        prefix = sys.argv[1].removeprefix("azure:")
        store: Any = await open_azure_tables(connection_string=os.environ["CONNECTION"], prefix=prefix)
    else:
        store = await open_sqlite(Path(sys.argv[1]))
    answer = await (read(store) if sys.argv[2] == "read" else write(store))
    await store.aclose()
    print(json.dumps(answer, default=str))


asyncio.run(main())
