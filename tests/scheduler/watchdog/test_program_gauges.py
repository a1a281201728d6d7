"""scheduler/watchdog/program_gauges.py: what is published each minute, and what not while the store is unavailable."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.running.runner import RunnerLoad
from observability.events import Measurements
from observability.program_events import Meter, ProgramMetrics
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.stores.alerting.outbox import OutboxRows
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.runs.repository import Runs
from scheduler.watchdog.program_gauges import ProgramGauges
from tests.scheduler.fakes import START, VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore


class UnavailableOutbox(OutboxRows):
    async def count_waiting(self) -> Mapping[str, int]:
        raise StoreUnavailable("the store is away")


class OutboxWithRows(OutboxRows):
    async def count_waiting(self) -> Mapping[str, int]:
        return {"team": 2}


async def published(
    outbox: type[OutboxRows], incidents: Mapping[str, int] | None = None
) -> dict[tuple[str, ...], float]:
    sent: list[Measurements] = []
    store = MemoryStore()
    meter = Meter(sent.append)
    gauges = ProgramGauges(
        ProgramMetrics(meter, by_circuit=True),
        lambda: RunnerLoad(3, 0.25),
        lambda: incidents,
        outbox(store),
        Runs(store),
        Catalog(JobSnapshot([entry()], START)),
        VirtualClock(),
    )
    await gauges.publish()
    meter.flush()
    return {(each.metric.name, *each.tags.values()): each.values[0] for event in sent for each in event.measured}


async def test_each_severity_has_a_value_also_without_incidents() -> None:
    found = await published(OutboxWithRows, {"down": 2})
    assert found == {
        ("scheduler.circuit.open",): 3,
        ("scheduler.retry_budget.use",): 0.25,
        ("scheduler.incident.open", "down"): 2,
        **{("scheduler.incident.open", each): 0 for each in ("info", "degraded", "blind")},
        ("scheduler.notification.pending", "undefined"): 2,
        ("scheduler.rollup.lag",): 0,
    }


async def test_while_the_store_is_unavailable_the_gauges_of_the_process_are_published() -> None:
    assert await published(UnavailableOutbox) == {
        ("scheduler.circuit.open",): 3,
        ("scheduler.retry_budget.use",): 0.25,
    }
