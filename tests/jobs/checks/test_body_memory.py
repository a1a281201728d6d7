"""The memory that the bodies of all answers share, and what becomes of a body that has none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks import body_memory
from jobs.checks.body_memory import BODY_MEMORY_TIMEOUT, UNCOUNTED_BYTES, BodyMemory, BodyReservation
from jobs.checks.clock import PhaseClock, describe_deadline
from jobs.checks.errors import BodyMemoryExhausted
from jobs.checks.http.responses import read_body
from jobs.checks.kinds.http import HttpCheck
from jobs.checks.port import AttemptContext
from jobs.running.runner import Runner
from jobs.runs import ErrorClass, Observation
from jobs.targets import HttpTarget
from tests.jobs.checks.http_check import HttpCheckDriver, wait_until
from tests.jobs.running.run_parts import TICKET, Stage, answer, job
from tests.jobs.running.virtual_time import virtual_time
from tests.parts.http_target import HttpTarget as Server

MIB = 1024 * 1024


async def _turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def room(memory: BodyMemory, job: str = "a", host: str = "one.internal:80") -> BodyReservation:
    return memory.open_reservation(job, host)


async def parts(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size


@virtual_time
async def test_a_body_that_does_not_fit_waits_until_another_one_is_released() -> None:
    memory = BodyMemory(8 * MIB)
    held = [room(memory, f"job-{number}", f"host-{number}") for number in range(4)]
    for one in held:
        await one.reserve(2 * MIB)
    other = room(memory, "other", "other")
    waiting = asyncio.create_task(other.reserve(MIB))
    await _turn()
    assert not waiting.done()

    held[0].close()

    await waiting
    assert memory.held == 7 * MIB


@virtual_time
async def test_a_body_that_waited_too_long_fails_and_reports_that_it_is_not_the_targets_fault() -> None:
    memory = BodyMemory(8 * MIB)
    for number in range(4):
        await room(memory, f"job-{number}", f"host-{number}").reserve(2 * MIB)
    began = asyncio.get_running_loop().time()

    with pytest.raises(BodyMemoryExhausted) as caught:
        await room(memory, "other", "other").reserve(MIB)

    assert asyncio.get_running_loop().time() - began == pytest.approx(BODY_MEMORY_TIMEOUT)
    assert str(caught.value) == (
        "No memory for a body of 1 MiB: the bodies of all jobs use 8 MiB of 8 MiB, the limit at a "
        "time; this is not the target's fault. Lower the read_limit of jobs, or raise the setting targets.body_memory."
    )
    assert memory.held == 8 * MIB


@virtual_time
async def test_a_job_and_a_host_leave_memory_to_others_and_hold_up_no_one_behind_them() -> None:
    memory = BodyMemory(16 * MIB)
    await room(memory, "greedy").reserve(4 * MIB)
    behind_its_job = asyncio.create_task(room(memory, "greedy").reserve(MIB))
    await room(memory, "second").reserve(4 * MIB)
    behind_its_host = asyncio.create_task(room(memory, "third").reserve(MIB))
    await _turn()
    assert "the bodies of job greedy use 4 MiB of 4 MiB" in room(memory, "greedy").describe_exhaustion(MIB)
    assert "the bodies of host one.internal:80 use 8 MiB of 8 MiB" in room(memory, "third").describe_exhaustion(MIB)

    await room(memory, "elsewhere", "two.internal:80").reserve(4 * MIB)

    assert not behind_its_job.done()
    assert not behind_its_host.done()
    for task in (behind_its_job, behind_its_host):
        task.cancel()


@virtual_time
async def test_a_body_that_is_larger_than_all_memory_is_read_alone() -> None:
    memory = BodyMemory(MIB)
    large, small = room(memory), room(memory, "b", "b")
    await large.reserve(16 * MIB)
    waiting = asyncio.create_task(small.reserve(1))
    await _turn()
    assert not waiting.done()
    large.close()
    await waiting


@virtual_time
async def test_a_wait_that_is_cancelled_holds_nothing() -> None:
    memory = BodyMemory(MIB)
    first = room(memory)
    await first.reserve(MIB)
    gone = asyncio.create_task(room(memory, "b", "b").reserve(MIB))
    await _turn()
    gone.cancel()
    await _turn()
    first.close()
    assert memory.held == 0


async def test_a_room_is_released_with_its_attempt_and_gives_nothing_afterwards() -> None:
    memory = BodyMemory(MIB)
    one = room(memory)
    await one.reserve(MIB)
    one.close()
    assert memory.held == 0
    with pytest.raises(BodyMemoryExhausted):
        await one.reserve(1)


async def test_room_is_made_once_and_only_for_a_body_that_is_larger_than_what_is_free() -> None:
    made: list[int] = []

    async def make() -> None:
        made.append(1)

    await read_body(parts(UNCOUNTED_BYTES), "", MIB, make)
    assert not made
    body = await read_body(parts(UNCOUNTED_BYTES, UNCOUNTED_BYTES, UNCOUNTED_BYTES), "", MIB, make)
    assert (len(made), len(body.content)) == (1, 3 * UNCOUNTED_BYTES)


@pytest.mark.property
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 40)), max_size=60))
def test_bodies_never_take_more_than_all_memory_and_a_job_that_holds_nothing_waits_for_no_share(
    steps: list[tuple[int, int, int]],
) -> None:
    """Each step: a body of a job is read, or one is released, or one gives up waiting."""

    async def go() -> None:
        memory = BodyMemory(40)
        rooms, waiting = list[BodyReservation](), list[tuple[BodyReservation, asyncio.Task[None]]]()
        for act, which, number in steps:
            if act <= 1:
                one = room(memory, f"job-{which}", f"host-{which // 2}")
                waiting.append((one, asyncio.create_task(one.reserve(number))))
            elif act == 2 and rooms:
                rooms.pop(number % len(rooms)).close()
            elif waiting:
                waiting.pop(number % len(waiting))[1].cancel()
            await _turn()
            rooms += [one for one, task in waiting if task.done()]
            waiting = [(one, task) for one, task in waiting if not task.done()]
            assert memory.held == sum(one.held for one in rooms)
            assert memory.held <= 40
            assert bool(memory.held) or not waiting
        for _, task in waiting:
            task.cancel()
        await _turn()
        for one in rooms:
            one.close()
        assert memory.held == 0
        assert not memory._held

    asyncio.run(go())


# --- through the checks and the runner ---


async def observed(check: HttpCheck, url: str, one: BodyReservation, clock: PhaseClock | None = None) -> Observation:
    call = AttemptContext("job@1", 1, clock or PhaseClock(), body_reservation=one)
    return await check.observe(HttpTarget.model_validate({"url": url, "read_limit": "4MiB"}), call)


async def test_an_answer_holds_as_much_as_its_body_has_once_it_is_read(
    run_check: HttpCheckDriver, target: Server
) -> None:
    target.on("/large", 200, body="x" * MIB)
    target.on("/small", 200, body="x" * 1000)
    memory = BodyMemory(8 * MIB)
    large, small = room(memory, "large"), room(memory, "small")
    assert len((await observed(run_check.check, target.url + "/large", large)).body) == MIB
    await observed(run_check.check, target.url + "/small", small)
    assert (large.held, small.held) == (MIB, 0)


async def test_an_answer_without_memory_fails_and_it_is_not_the_targets_fault(
    run_check: HttpCheckDriver, target: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_memory, "BODY_MEMORY_TIMEOUT", 0.0)
    target.on("/", 200, body="x" * MIB)
    memory = BodyMemory(MIB)
    await room(memory, "other", "other").reserve(MIB)
    found = await observed(run_check.check, target.url, room(memory))
    assert found.error is ErrorClass.INTERNAL_ERROR
    assert found.message.startswith("No memory for a body of 1 MiB: the bodies of all jobs use 1 MiB of 1 MiB")


async def test_a_deadline_that_passes_while_a_body_waits_for_memory_is_not_the_targets_fault(
    run_check: HttpCheckDriver, target: Server
) -> None:
    target.on("/", 200, body="x" * MIB)
    memory, clock = BodyMemory(MIB), PhaseClock()
    await room(memory, "other", "other").reserve(MIB)
    requested = asyncio.create_task(observed(run_check.check, target.url, room(memory), clock))
    await wait_until(lambda: clock.verdict is not None)
    error, message = describe_deadline(clock, target.url, 1.0)
    requested.cancel()
    assert error is ErrorClass.INTERNAL_ERROR
    assert "this is not the target's fault" in message


@virtual_time
async def test_the_runner_releases_the_memory_of_an_attempt_once_it_is_judged() -> None:
    memory, held = BodyMemory(8 * MIB), list[int]()

    class Reading:
        async def observe(self, target: object, call: AttemptContext) -> Observation:
            held.append(memory.held)
            await call.body_reservation.reserve(MIB)
            return answer(503)

    stage = Stage(answer())
    runner = Runner({"http": Reading()}, stage.circuits, stage.heard, stage.clock, stage.redactor, bodies=memory)  # type: ignore[dict-item]
    run = await runner.run(job(expect=[{"status": 200}]), TICKET)
    assert len(run.attempts) == 3
    assert held == [0, 0, 0]
    assert memory.held == 0
