"""Places of those who work at the same time."""

from __future__ import annotations

import asyncio

import pytest

from scheduler.work.places import Places


async def _turn() -> None:
    """Let everybody go on who can."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_place_goes_to_who_has_waited_longest_though_another_one_asks_at_the_same_moment() -> None:
    places, came = Places(1), list[str]()

    async def take(name: str) -> None:
        await places.take()
        came.append(name)

    await take("first")
    waiting = [asyncio.create_task(take(name)) for name in ("second", "third")]
    await _turn()
    assert places.full

    places.leave()
    late = asyncio.create_task(take("late"))
    await _turn()
    assert came == ["first", "second"]

    places.leave()
    places.leave()
    await asyncio.gather(*waiting, late)
    assert came == ["first", "second", "third", "late"]
    assert places.full
    places.leave()
    assert not places.full


async def test_who_is_cancelled_while_it_waits_is_passed_over() -> None:
    places = Places(1)
    await places.take()
    gone, next_one = (asyncio.create_task(places.take()) for _ in range(2))
    await _turn()
    gone.cancel()
    await _turn()
    places.leave()
    await next_one
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_who_is_cancelled_at_the_moment_it_gets_a_place_hands_it_on() -> None:
    places = Places(1)
    await places.take()
    gone, next_one = (asyncio.create_task(places.take()) for _ in range(2))
    await _turn()
    places.leave()
    gone.cancel()
    await next_one
    places.leave()
    assert not places.full
    await asyncio.wait_for(places.take(), 10)
