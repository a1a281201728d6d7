"""Places of runs that go on at the same time, and the shares of jobs and hosts."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.worker.places import FifoSemaphore, HeldPlace, Shares

HOST = "one.internal:80"


async def _turn() -> None:
    """Let everybody go on who can."""
    for _ in range(3):
        await asyncio.sleep(0)


async def _filled(places: FifoSemaphore, number: int, job: str = "slow", host: str = HOST) -> list[HeldPlace]:
    return [await places.acquire(job, host) for _ in range(number)]


async def test_a_place_reaches_who_has_waited_longest_though_another_one_requests_at_the_same_moment() -> None:
    places, came, held = FifoSemaphore(1), list[str](), list[HeldPlace]()

    async def take(name: str) -> None:
        held.append(await places.acquire(name, HOST))
        came.append(name)

    await take("first")
    waiting = [asyncio.create_task(take(name)) for name in ("second", "third")]
    await _turn()
    assert places.is_full

    places.release(held.pop())
    late = asyncio.create_task(take("late"))
    await _turn()
    assert came == ["first", "second"]

    places.release(held.pop())
    await _turn()
    places.release(held.pop())
    await asyncio.gather(*waiting, late)
    assert came == ["first", "second", "third", "late"]
    assert places.is_full
    places.release(held.pop())
    assert not places.is_full


async def test_who_is_cancelled_while_it_waits_is_passed_over() -> None:
    places = FifoSemaphore(1)
    (held,) = await _filled(places, 1)
    gone, next_one = (asyncio.create_task(places.acquire("slow", HOST)) for _ in range(2))
    await _turn()
    gone.cancel()
    await _turn()
    places.release(held)
    await next_one
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_who_is_cancelled_at_the_moment_it_gets_a_place_hands_it_on() -> None:
    places = FifoSemaphore(1)
    (held,) = await _filled(places, 1)
    gone, next_one = (asyncio.create_task(places.acquire("slow", HOST)) for _ in range(2))
    await _turn()
    places.release(held)
    gone.cancel()
    places.release(await next_one)
    assert not places.is_full
    await asyncio.wait_for(places.acquire("slow", HOST), 10)


# --- shares ---


async def test_a_job_has_at_most_its_share_of_the_places() -> None:
    places = FifoSemaphore(200, Shares(job=0.1))
    await _filled(places, 20)
    assert places.try_acquire("slow", HOST) is None
    assert places.try_acquire("other", HOST) is not None


async def test_a_run_that_waits_for_the_share_of_its_job_blocks_no_one_behind_it() -> None:
    places = FifoSemaphore(20, Shares(job=0.1))
    await _filled(places, 2)
    held_back = asyncio.create_task(places.acquire("slow", HOST))
    others = [await places.acquire(f"job-{number}", HOST) for number in range(18)]
    behind = asyncio.create_task(places.acquire("behind", HOST))
    await _turn()
    assert places.is_full
    places.release(others[0])
    await asyncio.wait_for(behind, 10)
    assert not held_back.done()
    held_back.cancel()


async def test_a_run_that_was_held_back_comes_before_those_that_came_later() -> None:
    places = FifoSemaphore(4, Shares(job=0.5))
    slow = await _filled(places, 2)
    others = await _filled(places, 2, "other")
    held_back = asyncio.create_task(places.acquire("slow", HOST))
    await _turn()
    later = asyncio.create_task(places.acquire("later", HOST))
    await _turn()
    places.release(slow[0])
    await asyncio.wait_for(held_back, 10)
    assert not later.done()
    places.release(others[0])
    await asyncio.wait_for(later, 10)


async def test_a_host_may_have_more_than_its_share_while_more_than_half_of_the_places_are_free() -> None:
    places = FifoSemaphore(200, Shares(host=0.25))
    held = [place for number in range(200) if (place := places.try_acquire(f"job-{number}", HOST)) is not None]
    assert len(held) == 100
    others = [places.try_acquire(f"other-{number}", "two.internal:80") for number in range(60)]
    assert sum(place is not None for place in others) == 50
    assert places.try_acquire("third", "three.internal:80") is not None


async def test_what_a_host_was_held_back_from_is_given_as_soon_as_half_of_the_places_are_free() -> None:
    places = FifoSemaphore(8, Shares(host=0.25))
    await _filled(places, 2, "here")
    there = await _filled(places, 2, "there", "two.internal:80")
    waiting = asyncio.create_task(places.acquire("here", HOST))
    await _turn()
    assert not waiting.done()
    places.release(there[0])
    await asyncio.wait_for(waiting, 10)


async def test_a_job_and_a_host_have_two_places_at_least() -> None:
    places = FifoSemaphore(5, Shares(job=0.01, host=0.01))
    await _filled(places, 2)
    assert places.try_acquire("slow", HOST) is None


async def test_a_single_place_is_anybodys() -> None:
    places = FifoSemaphore(1, Shares(job=0.1, host=0.25))
    assert places.try_acquire("slow", HOST) is not None


async def test_why_there_is_no_place_names_the_limit() -> None:
    places = FifoSemaphore(4, Shares(job=0.5, host=0.75))
    await _filled(places, 2)
    assert places.denial_reason("slow", HOST) == "its job holds 2 of 4 places, the share of a job"
    await places.acquire("second", HOST)
    assert places.denial_reason("third", HOST) == f"the jobs of {HOST} hold 3 of 4 places, the share of a host"
    await places.acquire("third", "two.internal:80")
    assert places.denial_reason("fourth", "three.internal:80") == "all 4 places are in use"


async def test_the_report_names_who_holds_the_places_and_since_when() -> None:
    now = 100.0
    places = FifoSemaphore(5, Shares(job=0.5), lambda: now)
    await _filled(places, 1, "quick")
    await _filled(places, 3)
    now = 103.0
    waiting = asyncio.create_task(places.acquire("slow", HOST))
    await _turn()
    assert places.usage().full_s == 0
    quick = await places.acquire("other", HOST)
    now = 110.0
    report = places.usage()
    assert (report.total, report.used, report.waiting, report.full_s) == (5, 5, 1, 7.0)
    assert report.held_back == (("job slow", 1),)
    assert [(one.job, one.host, one.places, one.held_s) for one in report.holders] == [
        ("slow", HOST, 3, 10.0),
        ("quick", HOST, 1, 10.0),
        ("other", HOST, 1, 7.0),
    ]
    places.release(quick)
    assert places.usage().full_s == 0
    assert places.usage().held_back == (("job slow", 1),)
    waiting.cancel()


@pytest.mark.property
@given(
    st.integers(1, 12),
    st.floats(0.05, 1),
    st.floats(0.05, 1),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 20)), max_size=120),
)
def test_no_limit_is_ever_exceeded_and_no_one_waits_who_could_have_a_place(
    number: int, job_share: float, host_share: float, steps: list[tuple[int, int, int]]
) -> None:
    """Each step: a run of a job begins, ends, or gives up waiting."""

    async def go() -> None:
        places = FifoSemaphore(number, Shares(job_share, host_share))
        held, waiting = list[HeldPlace](), list[tuple[str, str, asyncio.Task[HeldPlace]]]()
        for job, act, which in steps:
            # Two jobs on each host.
            name, host = f"job-{job}", f"host-{job // 2}"
            if act == 0:
                waiting.append((name, host, asyncio.create_task(places.acquire(name, host))))
            elif act == 1 and held:
                places.release(held.pop(which % len(held)))
            elif act == 2 and waiting:
                waiting[which % len(waiting)][2].cancel()
            await _turn()
            held += [task.result() for *_, task in waiting if task.done() and not task.cancelled()]
            waiting = [one for one in waiting if not one[2].done()]
            assert len(held) == places.usage().used <= number
            assert max(Counter(place.job for place in held).values(), default=0) <= places._job_limit
            for name, host, _ in waiting:
                assert not places._free or places._limit_that_blocks(name, host) is not None
            assert places.usage().waiting == len(waiting)
        for *_, task in waiting:
            task.cancel()
        await _turn()

    asyncio.run(go())


@pytest.mark.property
@given(st.integers(20, 200), st.lists(st.tuples(st.booleans(), st.integers(0, 500)), max_size=300))
def test_whatever_one_job_takes_and_releases_another_one_gets_its_first_place_at_once(
    number: int, steps: list[tuple[bool, int]]
) -> None:
    places, held = FifoSemaphore(number, Shares(0.1, 0.25)), list[HeldPlace]()
    for takes, which in steps:
        if takes and (place := places.try_acquire("greedy", HOST)) is not None:
            held.append(place)
        elif not takes and held:
            places.release(held.pop(which % len(held)))
        other = places.try_acquire("other", HOST)
        assert other is not None
        places.release(other)


async def test_few_runs_start_in_one_turn_of_the_event_loop_and_the_others_in_order_in_the_next_ones() -> None:
    places, order = FifoSemaphore(10, starts_per_turn=2), list[int]()

    async def take(number: int) -> None:
        await places.acquire(f"job-{number}", HOST)
        order.append(number)

    tasks = [asyncio.create_task(take(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert order == [0, 1]
    assert places.denial_reason("job-2", HOST) == "the process starts other runs first"
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
