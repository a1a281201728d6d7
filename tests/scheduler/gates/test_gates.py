"""Gates: asked in order, the first that has something to say decides; and the gates that hold nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.runs import Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import Gates, GateVerdict, Skip, Wait
from scheduler.gates.gates import DefinitionGate, PauseGate, Wakeups
from scheduler.stores.gates import Pause, Pauses
from scheduler.stores.port import StoreUnavailable
from tests.jobs.running.virtual_time import LoopClock, virtual_time
from tests.scheduler.fakes import START, VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore

CHANGED = Reason(ReasonCode.JOB_CHANGED, "the job's new definition no longer includes this run")
IN_THE_WAY = Reason(ReasonCode.OVERLAP, "something is in the way")
DISABLED = Reason(ReasonCode.JOB_DISABLED, "the job is disabled")
NO = Skip(Reason(ReasonCode.NO_SLOT, "no"))
LATER = Wait(START + timedelta(seconds=9), IN_THE_WAY)


def ticket_of(job: CatalogJob, trigger: Trigger = Trigger.SCHEDULE) -> Ticket:
    return replace(Ticket.scheduled(job.job.name, START, job.generation), trigger=trigger)


class ScriptedGate:
    """A gate that says this, and notes what it is told in `log`."""

    def __init__(
        self, name: str, log: list[str], verdict: GateVerdict | Exception = None, *, concerned: bool = True
    ) -> None:
        self._name, self._log, self.verdict, self._concerned = name, log, verdict, concerned

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        return self._concerned

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        self._log.append(f"ask {self._name}")
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        self._log.append(f"leave {self._name}")


async def requested(*gates: ScriptedGate) -> GateVerdict:
    return await Gates(gates, VirtualClock()).check(ticket_of(entry()), entry())


async def test_a_ticket_that_no_gate_minds_runs() -> None:
    log: list[str] = []

    assert await requested(ScriptedGate("one", log), ScriptedGate("unconcerned", log, NO, concerned=False)) is None
    assert log == ["ask one"]


async def test_the_first_gate_that_has_something_to_report_decides() -> None:
    log: list[str] = []

    assert (
        await requested(ScriptedGate("one", log), ScriptedGate("two", log, LATER), ScriptedGate("three", log, NO))
        == LATER
    )
    assert log == ["ask one", "ask two"]


async def test_a_ticket_that_is_skipped_holds_nothing_any_more() -> None:
    log: list[str] = []

    assert await requested(ScriptedGate("one", log), ScriptedGate("two", log, NO)) == NO
    assert log == ["ask one", "ask two", "leave two", "leave one"]


async def test_a_ticket_waits_while_a_gate_cannot_inspect_the_store() -> None:
    verdict = await requested(ScriptedGate("one", [], StoreUnavailable("the store is away")))

    assert isinstance(verdict, Wait)
    assert verdict.retry_at == START + timedelta(seconds=2)
    assert verdict.reason.code is ReasonCode.STORE_UNAVAILABLE
    assert verdict.reason.message == "the store is unavailable, so the gate cannot be checked: the store is away"


async def test_leaving_reports_every_gate_that_is_concerned() -> None:
    log: list[str] = []
    gates = Gates(
        [ScriptedGate("one", log), ScriptedGate("two", log), ScriptedGate("unconcerned", log, concerned=False)],
        VirtualClock(),
    )

    await gates.release(ticket_of(entry()), entry())

    assert log == ["leave two", "leave one"]


@virtual_time
async def test_a_ticket_that_waits_is_requested_again_at_the_instant_that_the_gate_reported() -> None:
    clock = LoopClock()
    job = entry()
    gates = Gates([], clock)

    await gates.wait(ticket_of(job), Wait(clock.now() + timedelta(seconds=9), IN_THE_WAY))

    assert clock.monotonic() == 9


@virtual_time
async def test_a_ticket_does_not_wait_beyond_what_its_worker_requires() -> None:
    clock = LoopClock()
    now = clock.now()

    await Gates([], clock).wait(
        ticket_of(entry()), Wait(now + timedelta(seconds=9), IN_THE_WAY), until=now + timedelta(seconds=2)
    )

    assert clock.monotonic() == 2


@virtual_time
@pytest.mark.parametrize("after", [0, 3])
async def test_a_ticket_that_is_called_is_requested_again_at_once_also_if_it_only_begins_to_wait(after: int) -> None:
    clock = LoopClock()
    calls = Wakeups(clock)
    gates = Gates([], clock, calls)
    ticket = ticket_of(entry())

    asyncio.get_running_loop().call_later(after, calls.wake, ticket.id)
    await asyncio.sleep(0.1)
    await gates.wait(ticket, Wait(clock.now() + timedelta(seconds=9), IN_THE_WAY))

    assert clock.monotonic() == max(after, 0.1)


async def test_what_a_ticket_waits_for_is_known_until_it_runs_or_leaves(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    job = entry()
    gates = Gates([ScriptedGate("one", [], LATER)], VirtualClock())
    await gates.check(ticket_of(job), job)
    await gates.check(ticket_of(job), job)
    waiting = dict(gates.waiting)
    await gates.release(ticket_of(job), job)

    assert waiting == {ticket_of(job).id: "something is in the way"}
    assert gates.waiting == {}
    assert caplog.messages == [f"run {ticket_of(job).id} waits: something is in the way"]


async def by_definition(ticket: Ticket, job: CatalogJob) -> GateVerdict:
    return await Gates([DefinitionGate()], VirtualClock()).check(ticket, job)


@pytest.mark.parametrize("schedule", ["1 * * * * *", "0 0 0 1 1 *", None])
async def test_a_due_instant_that_a_changed_schedule_does_not_have_is_skipped(schedule: str | None) -> None:
    assert await by_definition(ticket_of(entry()), entry(schedule=schedule)) == Skip(CHANGED)


@pytest.mark.parametrize("changed", [{"schedule": "every 20s"}, {"timeout": {"run": "9s"}}])
async def test_a_due_instant_that_a_changed_job_has_too_runs(changed: dict[str, object]) -> None:
    assert await by_definition(ticket_of(entry()), entry(**changed)) is None


async def test_what_people_request_runs_though_the_job_is_changed_meanwhile() -> None:
    assert await by_definition(ticket_of(entry(), Trigger.MANUAL), entry(schedule="1 * * * * *")) is None


async def test_what_another_job_started_is_skipped_if_it_does_not_start_the_changed_one_any_more() -> None:
    after = {"depends_on": [{"job": "database"}]}
    ticket = ticket_of(entry(schedule=None, **after), Trigger.DEPENDENCY)

    verdicts = [await by_definition(ticket, job) for job in (entry(), entry(schedule=None, description="new", **after))]

    assert verdicts == [Skip(CHANGED), None]


@pytest.mark.parametrize("trigger", [Trigger.REPLAY, Trigger.BACKFILL])
async def test_a_replay_is_run_by_whichever_definition_is_in_force(trigger: Trigger) -> None:
    assert await by_definition(ticket_of(entry(), trigger), entry(schedule="every 20s")) is None


@pytest.mark.parametrize("trigger", Trigger)
async def test_a_disabled_job_runs_if_people_request_it(trigger: Trigger) -> None:
    job = entry(enabled=False)

    verdict = await by_definition(ticket_of(job, trigger), job)

    assert verdict == (None if trigger is Trigger.MANUAL or trigger.is_rerun else Skip(DISABLED))


async def of_a_paused_job(triggers: Sequence[Trigger]) -> list[GateVerdict]:
    clock, pauses, job = VirtualClock(), Pauses(MemoryStore()), entry()
    await pauses.set_pause(Pause("checkout", since=START, reason="deployment"))
    gates = Gates([PauseGate(pauses, clock)], clock)
    return [await gates.check(ticket_of(job, trigger), job) for trigger in triggers]


async def test_what_a_paused_jobs_schedule_or_parents_request_is_skipped() -> None:
    reason = Skip(Reason(ReasonCode.JOB_PAUSED, "the job is paused until it is resumed: deployment"))

    assert await of_a_paused_job([Trigger.SCHEDULE, Trigger.DEPENDENCY]) == [reason, reason]


async def test_what_people_request_of_a_paused_job_runs() -> None:
    assert await of_a_paused_job([Trigger.MANUAL, Trigger.REPLAY, Trigger.BACKFILL]) == [None] * 3


async def test_a_wait_is_reported_with_its_cause_and_time_once_it_has_ended() -> None:
    clock, job, waits = VirtualClock(), entry(), list[tuple[str, float]]()
    no_slot = Wait(LATER.retry_at, Reason(ReasonCode.NO_SLOT, "the group is full"))
    gate = ScriptedGate("one", [], LATER)
    gates = Gates([gate], clock)
    gates.on_waited = lambda code, seconds: waits.append((code, seconds))
    for verdict, seconds in ((LATER, 3), (LATER, 2), (no_slot, 4), (None, 0)):
        gate.verdict = verdict
        await gates.check(ticket_of(job), job)
        clock.move(seconds)
    await gates.release(ticket_of(job), job)

    assert waits == [(LATER.reason.code, 5), ("no_slot", 4)]
