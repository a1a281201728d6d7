"""The whole way of an alert in virtual time: two processes that judge runs, run passes and deliver, and crash between
any two writes. Runs of a process that has crashed are delivered again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.incidents.rotas import Rota
from jobs.incidents.values import Incident
from jobs.notifications.port import SendFailed
from jobs.runs import Run
from scheduler.alerting.delivery.channel_pass import DeliveryTools, deliver_channel
from scheduler.alerting.engine_runner import EngineRunner
from scheduler.alerting.facts import DefinedFactsSource
from scheduler.catalog.catalog import JobSnapshot
from scheduler.stores.port import StoreError
from tests.scheduler.alerting.delivery.memory_outbox import World
from tests.scheduler.alerting.evaluation.evaluator_world import EvaluatorWorld, Process, run_of
from tests.scheduler.fakes import entry

CHANNELS = ("mail", "teams")
RULE = {"open_after": 2, "notify": list(CHANNELS), "reopen_within": "3m", "remind_every": "5m"}
MINUTES = st.lists(
    st.tuples(
        st.tuples(st.sampled_from("SFF-"), st.sampled_from("SFF-")),
        st.tuples(st.integers(0, 1), st.integers(0, 1)),
        st.one_of(st.none(), st.tuples(st.integers(0, 1), st.integers(0, 7))),
        st.sampled_from(["", "", "mail"]),
    ),
    min_size=3,
    max_size=14,
)


async def no_rotas(snapshot: JobSnapshot) -> Mapping[str, Rota]:
    return {}


class Channels(World):
    """What a message announces depends on the stored incident."""

    def __init__(self, processes: Sequence[Process]) -> None:
        super().__init__(*CHANNELS)
        self.processes = processes

    async def read_is_open(self, incident: str) -> bool:
        found = await self.processes[0].stored.incident_log.find(incident)
        return found is not None and found.is_open


class Show:
    """`failed`: the channel that is unavailable now."""

    def __init__(self) -> None:
        jobs = [entry(name, "every 1m", alerts=[RULE]) for name in ("a", "b")]
        self.world = EvaluatorWorld(*jobs, processes=2)
        self.channels = Channels(self.world.processes)
        self.runners = [self._start_runner(each) for each in self.world.processes]
        self.owners = 2
        self.crashes = 0
        self.unfinished: list[Run] = []

    def _start_runner(self, process: Process) -> EngineRunner:
        stored, evaluator = process.stored, process.evaluator
        facts = DefinedFactsSource(
            lambda: evaluator.book,
            stored.silences,
            stored.requested_windows,
            process.pauses,
            process.due_times,
            no_rotas,
            shares_runs=True,
            group_wait=timedelta(seconds=10),
        )
        runner = EngineRunner(stored.engine_rows, facts, self.world.clock)
        evaluator.on_change = runner.request_pass
        return runner

    def restart(self, process: int) -> None:
        self.world.restart(process)
        self.runners[process] = self._start_runner(self.world.processes[process])
        self.owners += 1
        self.crashes += 1

    async def pass_minute(
        self, letters: Sequence[str], processes: Sequence[int], crash: tuple[int, int] | None, failed: str
    ) -> None:
        for name, channel in self.channels.channels.items():
            channel.fail = (lambda _: SendFailed("Expected status 2xx, got 503.")) if name == failed else lambda _: None
        if crash is not None:
            self.world.processes[crash[0]].store.breaks_after = crash[1]
        again, self.unfinished = self.unfinished, []
        runs = [run_of(job, self.world.minute, letter) for job, letter in zip("ab", letters, strict=True)]
        self.world.minute += 1
        for run in runs:
            self.world.store_run(run)
        published = [*zip(runs, processes, strict=True), *((run, 0) for run in again)]
        await asyncio.gather(*(self._publish(run, process) for run, process in published))
        for _ in range(3):
            self.world.clock.move(15)
            await asyncio.gather(*(self._tick(process) for process in (0, 1)))
        if crash is not None:
            self.restart(crash[0])

    async def _publish(self, run: Run, process: int) -> None:
        try:
            await self.world.processes[process].publish(run)
        except StoreError:
            self.unfinished.append(run)

    async def _tick(self, process: int) -> None:
        one = self.world.processes[process]
        await one.evaluator.tick()
        await self.runners[process].tick()
        for channel in CHANNELS:
            tools = DeliveryTools(
                one.stored.outbox_rows,
                self.channels,
                self.channels,
                self.world.clock,
                f"process-{process}-{self.owners}",
                jitter=lambda: 0.0,
            )
            with suppress(StoreError):
                await deliver_channel(tools, channel)

    async def incidents(self) -> Sequence[Incident]:
        return (await self.world.process.stored.incident_log.list_page(limit=1000)).incidents


async def check(minutes: Sequence[tuple[Sequence[str], Sequence[int], tuple[int, int] | None, str]]) -> None:
    show = Show()
    for each in minutes:
        await show.pass_minute(*each)
    for _ in range(2):
        await show.pass_minute("FF", (0, 1), None, "")
    opened = [each.lead.subject for each in await show.incidents() if each.is_open]
    members = [one.key.subject for each in await show.incidents() if each.is_open for one in each.open_members]
    assert sorted(members) == ["a", "b"], f"both jobs fail, and {opened} are open"

    for _ in range(40):
        await show.pass_minute("SS", (1, 0), None, "")
    incidents = await show.incidents()
    assert not [each for each in incidents if each.is_open], "what has recovered is resolved"
    assert not await show.world.process.stored.outbox_rows.list_channels(), "everything is delivered"
    for name, channel in show.channels.channels.items():
        sent = defaultdict(list)
        for message in channel.sent:
            sent[message.incident].append(message)
        assert len(channel.sent) - len({each.dedup_key for each in channel.sent}) <= show.crashes
        for incident in incidents:
            numbers = [each.number for each in sent[incident.id]]
            assert numbers == sorted(numbers), "in order"
            assert [str(each.kind) for each in sent[incident.id]][-1:] == ["resolved"], (name, incident)


@settings(max_examples=15)
@given(MINUTES)
def test_no_incident_is_lost_whatever_crashes(
    minutes: list[tuple[Sequence[str], Sequence[int], tuple[int, int] | None, str]],
) -> None:
    asyncio.run(check(minutes))
