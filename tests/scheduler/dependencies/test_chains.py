"""Joins: a job that several runs of one chain lead to runs once, when all of them have ended."""

from __future__ import annotations

import asyncio

import pytest

from jobs.runs import Outcome
from scheduler.stores.gates import Pause
from tests.scheduler.dependencies.chain_parts import Line, by_hand, waits_for
from tests.scheduler.fakes import START, entry

ROOT = entry("root", "every 1m")
DIAMOND = (ROOT, waits_for("left", "root"), waits_for("right", "root"), waits_for("join", "left", "right"))


async def test_a_diamond_runs_its_join_once_when_both_sides_have_ended() -> None:
    line = Line(*DIAMOND)
    root = await line.ends(line.scheduled("root"))
    left, right = line.sent()

    line.clock.move(1)
    await line.ends(left)
    assert line.sent() == []
    line.clock.move(1)
    ended = await line.ends(right)

    join = line.sent_one("join")
    assert join.due_at == ended.finished_at
    assert join.correlation_id == root.id
    assert len(await line.history("join")) == 1


async def test_sides_that_end_together_make_one_join() -> None:
    line = Line(*DIAMOND)
    await line.ends(line.scheduled("root"))
    runs = [await line.recorded(ticket) for ticket in line.sent()]

    await asyncio.gather(*(line.dependents.start_dependents(run) for run in runs * 2))

    assert {ticket.job for ticket in line.sent()} == {"join"}
    assert len(await line.history("join")) == 1


async def test_a_join_is_skipped_once_both_sides_are_known() -> None:
    line = Line(*DIAMOND)
    await line.ends(line.scheduled("root"))
    left, right = line.sent()

    failed = await line.ends(left, Outcome.FAILED)
    assert await line.history("join") == ()
    await line.ends(right)

    assert await line.reasons("join") == [f"dependency run {failed.id} failed (condition: succeeded)"]
    assert line.sent() == []


async def test_two_chains_of_one_diamond_keep_apart() -> None:
    line = Line(*DIAMOND)
    first = await line.ends(line.scheduled("root"))
    left1, right1 = line.sent()
    line.clock.move(60)
    second = await line.ends(line.scheduled("root"))
    left2, right2 = line.sent()

    await line.ends(left1)
    await line.ends(right2)
    assert line.sent() == []
    await line.ends(right1)
    assert line.sent_one("join").correlation_id == first.id
    await line.ends(left2)
    assert line.sent_one("join").correlation_id == second.id


async def test_a_join_waits_for_the_longer_way() -> None:
    line = Line(ROOT, waits_for("a", "root"), waits_for("b", "a"), waits_for("join", "root", "b"))

    await line.ends(line.scheduled("root"))
    await line.ends(line.sent_one("a"))
    assert await line.history("join") == ()
    await line.ends(line.sent_one("b"))

    line.sent_one("join")


async def test_the_age_of_a_run_of_the_same_chain_does_not_matter() -> None:
    line = Line(ROOT, waits_for("slow", "root"), waits_for("join", {"job": "root", "within": "1m"}, "slow"))
    await line.ends(line.scheduled("root"))
    line.clock.move(300)

    await line.ends(line.sent_one("slow"))

    line.sent_one("join")


async def test_a_run_by_hand_of_one_side_takes_the_newest_run_of_the_other() -> None:
    line = Line(*DIAMOND)
    await line.ends(line.scheduled("root"))
    for ticket in line.sent():
        await line.ends(ticket)
    line.sent_one("join")
    line.clock.move(60)

    run = await line.ends(line.requested("left"))

    assert line.sent_one("join").correlation_id == run.id


async def test_jobs_that_are_due_together_begin_one_chain() -> None:
    line = Line(entry("a", "every 1m"), entry("b", "every 20s"), waits_for("join", "a", "b"))
    await line.recorded(line.scheduled("b", ago=20))

    await line.ends(line.scheduled("b"))
    assert await line.history("join") == ()
    await line.ends(line.scheduled("a"))
    join = line.sent_one("join")
    line.clock.move(20)
    await line.ends(line.scheduled("b"))
    only_b = line.sent_one("join")

    assert join.correlation_id == "a@20260301T120000.000Z"
    assert only_b.correlation_id == "b@20260301T120020.000Z"


async def test_a_join_of_two_schedules_further_up_runs_once() -> None:
    jobs = (entry("a", "every 1m"), entry("b", "every 1m"), waits_for("x", "a"), waits_for("y", "b"))
    line = Line(*jobs, waits_for("join", "x", "y"))

    await line.ends(line.scheduled("a"))
    await line.ends(line.sent_one("x"))
    await line.ends(line.scheduled("b"))
    await line.ends(line.sent_one("y"))

    line.sent_one("join")
    assert len(await line.history("join")) == 1


async def test_a_job_that_is_paused_is_not_waited_for() -> None:
    line = Line(entry("a", "every 1m"), entry("b", "every 1m"), waits_for("y", "b"), waits_for("join", "a", "y"))
    await line.recorded(line.scheduled("y", ago=90))
    await line.pauses.set_pause(Pause("b", START))

    await line.ends(line.scheduled("a"))

    line.sent_one("join")


async def test_a_job_that_did_not_run_at_the_instant_is_not_waited_for_in_the_end() -> None:
    line = Line(entry("a", "every 1m"), entry("b", "every 1m"), waits_for("join", "a", "b"))
    await line.recorded(line.scheduled("b", ago=3600))

    await line.ends(line.scheduled("a", ago=120))

    line.sent_one("join")


async def test_jobs_that_catch_up_join_at_each_instant() -> None:
    catches_up = {"catch_up": {"policy": "all", "within": "1h"}}
    line = Line(entry("a", "every 1m", **catches_up), entry("b", "every 1m", **catches_up), waits_for("join", "a", "b"))
    await line.recorded(line.scheduled("b", ago=1800))
    for ago in (600, 540):
        await line.ends(line.scheduled("a", ago=ago))
    assert line.sent() == []

    for ago in (600, 540):
        await line.ends(line.scheduled("b", ago=ago))

    assert [ticket.correlation_id for ticket in line.sent()] == [
        "b@20260301T115000.000Z",
        "b@20260301T115100.000Z",
    ]


async def test_what_was_not_caught_up_is_not_waited_for() -> None:
    line = Line(entry("a", "every 1m"), entry("b", "every 1m", catch_up={"policy": "all"}), waits_for("join", "a", "b"))
    await line.recorded(line.scheduled("b", ago=60))

    await line.ends(line.scheduled("a", ago=600))

    line.sent_one("join")


async def test_a_job_that_still_runs_is_waited_for_however_long() -> None:
    line = Line(entry("a", "every 1m"), entry("b", "every 1m"), waits_for("y", "b"), waits_for("join", "a", "y"))
    b = line.scheduled("b")
    claim = await line.claims(b)
    line.clock.move(400)

    await line.ends(line.scheduled("a", ago=400))
    assert await line.history("join") == ()
    await line.ends(b, claim=claim)
    await line.ends(line.sent_one("y"))

    line.sent_one("join")


async def test_a_disabled_job_is_not_waited_for() -> None:
    line = Line(entry("a", "every 1m"), entry("b", "every 1m", enabled=False), waits_for("join", "a", "b"))
    await line.recorded(line.scheduled("b", ago=60))

    await line.ends(line.scheduled("a"))

    line.sent_one("join")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_replay_of_the_root_runs_its_whole_chain_anew(order: tuple[int, int]) -> None:
    line = Line(*DIAMOND[:3], waits_for("longer", "right"), waits_for("join", "left", "longer"))
    failed = await line.ends(line.scheduled("root"), Outcome.FAILED)
    line.clock.move(60)

    await line.ends(line.replayed(failed))
    left, right = line.sent()
    assert (left.job, right.job) == ("left", "right")
    line.clock.move(1)
    for ticket in [(left, right)[place] for place in order]:
        await line.ends(ticket)
    (longer,) = line.sent()
    await line.ends(longer)

    join = line.sent_one("join")
    assert {ticket.correlation_id for ticket in (left, right, longer, join)} == {failed.id}
    assert [record.run is None for record in await line.history("join")] == [True, False]


async def test_a_replay_within_a_chain_continues_from_there() -> None:
    line = Line(*DIAMOND)
    root = await line.ends(line.scheduled("root"))
    left, right = line.sent()
    failed = await line.ends(left, Outcome.FAILED)
    await line.ends(right)
    line.clock.move(60)

    await line.ends(line.replayed(failed))

    assert line.sent_one("join").correlation_id == root.id


async def test_what_is_run_later_for_its_instant_joins_the_others_of_that_instant() -> None:
    line = Line(entry("a", "every 1m"), entry("b", "every 1m"), waits_for("join", "a", "b"))
    await line.recorded(line.scheduled("b", ago=3600), Outcome.SUCCEEDED)
    await line.recorded(line.scheduled("b", ago=60), Outcome.FAILED)

    await line.ends(by_hand(line.scheduled("a", ago=3600)))

    line.sent_one("join")
