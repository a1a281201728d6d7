"""A night of the on-call, with each message as it is read: 15 jobs, a parent, a rota, a window, two rules of a job, and
a kill in the middle after which the scheduler does not run for an hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from syrupy.assertion import SnapshotAssertion

from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.engine.announcing import acknowledge, resolve_by_hand
from jobs.incidents.rota_calendar import evaluate_calendar
from jobs.incidents.rotas import Rota
from jobs.incidents.routes import Route
from jobs.incidents.suppression.windows import MaintenanceWindow
from jobs.runs import Run
from jobs.schedules import load_time_zone
from scheduler.alerting.delivery.channel_pass import DeliveryTools, deliver_channel
from scheduler.alerting.delivery.delivery import StartGate
from scheduler.alerting.delivery.rendering import StoredIncidentRenderer
from scheduler.alerting.engine_runner import EngineRunner, IncidentChanges
from scheduler.alerting.facts import DefinedFactsSource, FirstRuns
from scheduler.alerting.message_source import DefinitionMessageSource
from scheduler.catalog.catalog import JobSnapshot
from scheduler.stores.runs.repository import Runs
from tests.jobs.incidents.routing.calendars import calendar_of
from tests.scheduler.alerting.delivery.memory_outbox import World as Channels
from tests.scheduler.alerting.evaluation.evaluator_world import START, EvaluatorWorld, run_of
from tests.scheduler.fakes import entry

CHANNELS = ("team", "anna-phone", "performance", "pager")
API = {"kind": "http", "url": "https://api.example.com/health"}
RULE: dict[str, Any] = {
    "open_after": 2,
    "remind_every": "5m",
    "reopen_within": "3m",
    "escalate": [{"after": "8m", "notify": ["pager"]}],
}
SLOW = {"name": "response-time", "when": "degraded", "open_after": 3, "remind_every": "5m"}
SHOPS = [f"shop-{number}" for number in range(1, 6)]
JOBS = (
    entry("checkout", "every 1m", check=API, alerts=[{"name": "failed", **RULE}, SLOW]),
    *(entry(name, "every 1m", check=API, alerts=[RULE]) for name in ("cart", "payments")),
    entry("router", "every 1m", alerts=[RULE]),
    *(entry(name, "every 1m", alerts=[RULE], alert_parent="router") for name in SHOPS),
    *(entry(name, "every 1m", alerts=[RULE]) for name in ("ledger", "search", "wiki", "mail", "report", "export")),
)
ROUTES = (
    {"match": {"severities": "degraded"}, "notify": "performance"},
    {"notify": "team", "on_call": "primary"},
)
PATCHING = {"name": "patching", "from": "2026-03-01 03:10", "for": "10m", "select": {"jobs": "ledger"}}
_DAY = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
_CALENDAR = evaluate_calendar(
    calendar_of(("Anna", "20260301T000000Z", "P1D")), load_time_zone("Europe/Berlin"), ["Anna"], *_DAY, now=_DAY[0]
)
ROTA = Rota(_CALENDAR.table, {"Anna": ("anna-phone",)}, ("team",))


async def read_rotas(snapshot: JobSnapshot) -> Mapping[str, Rota]:
    return {"primary": ROTA}


class Night:
    """`bad`: the letter of the runs of jobs that are not well."""

    def __init__(self) -> None:
        parts = {
            "routes": tuple(DefinedEntry("", Route.model_validate(each)) for each in ROUTES),
            "windows": (DefinedEntry("", MaintenanceWindow.model_validate(PATCHING)),),
        }
        self.world = EvaluatorWorld(*JOBS, alerting=define_alerting(parts))
        self.channels = Channels(*CHANNELS)
        self.bad: dict[str, str] = {}
        self.read: list[str] = []
        self._open()

    def _open(self) -> None:
        world, process = self.world, self.world.process
        stored, evaluator = process.stored, process.evaluator
        facts = DefinedFactsSource(
            lambda: evaluator.book,
            stored.silences,
            stored.requested_windows,
            process.pauses,
            process.due_times,
            read_rotas,
            shares_runs=False,
            group_wait=timedelta(seconds=10),
            first_runs=FirstRuns(stored.cursors, process.due_times, shares_runs=False),
        )
        self.runner = EngineRunner(stored.engine_rows, facts, world.clock)
        evaluator.on_change = self.runner.request_pass
        logs = stored.incident_log, stored.health_histories
        source = DefinitionMessageSource(world.catalog, Runs(process.store), None, *logs)
        self.tools = DeliveryTools(
            stored.outbox_rows,
            self.channels,
            StoredIncidentRenderer(stored.incident_log, source),
            world.clock,
            "scheduler",
            jitter=lambda: 0.0,
            is_only_worker=True,
            gate=StartGate(stored.incident_log, facts, world.clock),
        )
        self.changes = IncidentChanges(stored.engine_rows, stored.incident_log, self.runner, world.clock)

    async def pass_minutes(self, count: int) -> None:
        for _ in range(count):
            runs = [run_of(each.job.name, self.world.minute, self.bad.get(each.job.name, "S")) for each in JOBS]
            self.world.minute += 1
            await self._finish(runs)
            for _ in range(5):
                await self.tick(11)

    async def _finish(self, runs: list[Run]) -> None:
        for run in runs:
            self.world.store_run(run)
        for run in runs:
            await self.world.process.publish(run)

    async def tick(self, seconds: float) -> None:
        await self.world.tick(seconds)
        await self.runner.tick()
        for name, channel in self.channels.channels.items():
            known = len(channel.sent)
            await deliver_channel(self.tools, name)
            for message in channel.sent[known:]:
                at = f"{self.world.clock.now():%H:%M:%S}"
                self.read.append(f"{at} {name}: {message.title}\n    {message.text.replace(chr(10), chr(10) + '    ')}")

    async def kill(self, minutes: int) -> None:
        """End the process at once, and start another one later."""
        self.world.minute += minutes
        due_at = START + self.world.minute * timedelta(minutes=1)
        self.world.clock.move((due_at - self.world.clock.now()).total_seconds())
        self.world.restart()
        self._open()
        await self.world.process.stored.cursors.record_start(self.world.clock.now())
        self.read.append(f"{self.world.clock.now():%H:%M:%S} --- the scheduler was killed, and starts again")
        for _ in range(3):
            await self.tick(2)
        self.world.minute += 1

    async def act(self, action: Any, subject: str) -> None:
        incidents = (await self.world.process.stored.incident_log.list_page(limit=100)).incidents
        found = next(each for each in incidents if each.is_open and each.leading.key.subject == subject)
        await self.changes.apply(found.id, lambda incident, now: action(incident, "anna", now))

    async def list_decisions(self, code: str) -> list[str]:
        log = self.world.process.stored.incident_log
        incidents = (await log.list_page(limit=100)).incidents
        found = [each for one in incidents for each in (await log.list_decisions(one.id, limit=500)).entries]
        return [each.text for each in found if each.code == code]


async def test_a_night_reads_as_it_was(text_snapshot: SnapshotAssertion) -> None:
    night = Night()
    await night.pass_minutes(2)
    night.bad = dict.fromkeys(("checkout", "cart", "payments"), "F")
    await night.pass_minutes(4)
    del night.bad["payments"]
    night.bad["checkout"] = "D"
    await night.pass_minutes(3)
    night.bad |= dict.fromkeys(("router", *SHOPS), "F")
    await night.pass_minutes(3)
    await night.act(acknowledge, "router")
    night.bad["ledger"] = "F"
    await night.pass_minutes(4)
    del night.bad["cart"]
    await night.pass_minutes(2)
    # The first runs after the kill find that the router and the ledger are well, and search is down.
    night.bad = {"checkout": "D", "search": "F", "wiki": "F"}
    await night.kill(60)
    assert "killed" in night.read[-1], "nothing is sent before the jobs have run"
    await night.pass_minutes(4)
    del night.bad["wiki"]
    await night.act(resolve_by_hand, "search")
    await night.pass_minutes(2)
    night.bad.clear()
    await night.pass_minutes(4)

    assert await night.list_decisions("held_back_start")
    assert "\n".join(night.read) + "\n" == text_snapshot
