"""A process that stalls for longer than the lease of a run does not send what another process sends by then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from jobs.checks.port import AttemptContext
from jobs.runs import Observation, Outcome
from jobs.runs.outcomes import ReasonCode
from jobs.targets import Target
from scheduler.gates import Wait
from scheduler.worker.options import FUNCTIONS_OPTIONS
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import WorkerHarness, entry
from tests.scheduler.stores.memory import MemoryData

LONGER_THAN_A_LEASE = timedelta(minutes=2)


class Process(WorkerHarness):
    """A worker with a target that counts requests. `stall` moves its clock ahead, as a stall does."""

    def __init__(self, owner: str = "one", data: MemoryData | None = None, **job: Any) -> None:
        super().__init__(jobs=[entry("a", **job)], data=data, owner=owner, ways=FUNCTIONS_OPTIONS, shared=True)
        self.check.observe = self.observe  # type: ignore[method-assign]  # the harness has only scripted answers
        self.requests = 0
        self.answers = [answer()]
        self.before_requests: list[Callable[[], Awaitable[object]]] = []
        """What happens right before each of the first requests."""

    async def observe(self, target: Target, call: AttemptContext) -> Observation:
        if self.before_requests:
            await self.before_requests.pop(0)()
        call.clock.permission.confirm_request()
        self.requests += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def stall(self) -> None:
        before = self.clock.now
        self.clock.now = lambda: before() + LONGER_THAN_A_LEASE  # type: ignore[method-assign]

    @property
    def ends(self) -> list[Outcome]:
        return [event.run.outcome for event in self.heard.finished]


async def do_nothing() -> None:
    """Nothing happens before this request."""


@virtual_time
async def test_a_run_that_another_process_took_over_during_a_stall_is_sent_once() -> None:
    one = Process()
    other = Process("other", one.store.data)
    ticket = one.ticket(0, "a")

    async def taken_over() -> None:
        await one.stall()
        await other.stall()  # its clock shows the same
        await other.worker.execute(ticket)

    one.before_requests = [taken_over]
    await one.worker.execute(ticket)

    assert (one.requests, other.requests) == (0, 1)
    assert (one.ends, other.ends) == ([], [Outcome.SUCCEEDED])


@virtual_time
@pytest.mark.parametrize("effect", ["repeatable", "once"])
async def test_a_run_that_nobody_took_over_during_a_stall_starts_anew(effect: str) -> None:
    one = Process(effect=effect)
    one.before_requests = [one.stall]

    await one.worker.execute(one.ticket(0, "a"))

    assert (one.requests, one.ends) == (1, [Outcome.SUCCEEDED])


@virtual_time
async def test_a_run_with_effect_once_is_not_repeated_after_a_stall_between_its_attempts() -> None:
    one = Process(effect="once", dead_letter=True, retry={"attempts": 2, "non_idempotent": True})
    one.answers = [REFUSED, answer()]
    one.before_requests = [do_nothing, one.stall]

    await one.worker.execute(one.ticket(0, "a"))

    assert (one.requests, one.ends) == (1, [Outcome.FAILED])
    assert [event.run.reason for event in one.heard.finished] == [ReasonCode.INTERRUPTED]
    assert len(await one.dead_letters.list_letters()) == 1


@virtual_time
async def test_a_message_that_comes_again_while_its_run_is_in_flight_here_does_not_repeat_the_run() -> None:
    one = Process()
    ticket, again = one.ticket(0, "a"), list[object]()

    async def comes_again() -> None:
        await one.stall()
        again.append(await one.worker.execute(ticket))  # it claims the run, whose lease has ended

    one.before_requests = [comes_again]
    await one.worker.execute(ticket)

    assert isinstance(again[0], Wait)
    assert (one.requests, one.ends) == (1, [Outcome.SUCCEEDED])
