"""Adding a store backend touches its module and its line."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

BACKEND = """
from __future__ import annotations

from scheduler.stores.backend import BackendOptions
from tests.scheduler.stores.memory import MemoryStore


async def open_store(options: BackendOptions) -> MemoryStore:
    return MemoryStore()
"""
USE_IT = """
import asyncio
from datetime import UTC, datetime
from pathlib import Path

from config.identity import AppIdentity
from config.loading import load_settings
from jobs.running.clocks import SystemClock
from jobs.runs import Ticket
from scheduler.app.adapters import open_store
from scheduler.stores.runs.repository import Runs


async def main() -> None:
    settings = load_settings({"SCHEDULER_STORE": "rows:in-a-dict"}, root=Path.cwd()).settings
    store = await open_store(settings, AppIdentity(settings, clock=SystemClock()), owns_file=True)
    runs = Runs(store)
    ticket = Ticket.scheduled("checkout", datetime(2026, 3, 1, tzinfo=UTC), "")
    await runs.enqueue(ticket)
    print((await runs.find(ticket.id)).state)


asyncio.run(main())
"""


def test_a_store_backend(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a store backend")
    change.write("scheduler/stores/dict_store.py", BACKEND)
    change.insert(
        "config/settings/fields.py",
        after="STORE_BACKENDS: Mapping[str, str] = {",
        text='    "rows": "scheduler.stores.dict_store",',
    )

    assert change.python(USE_IT) == "queued\n"
    change.assert_touches_documented_files()
