"""The planner over many schedules and ticks, against a plain walk from each due instant to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.formats import format_run_instant
from jobs.schedules import Schedule
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.planning.due_heap import DueHeap
from scheduler.planning.plan import MAX_CAUGHT_UP_RUNS, Plan, plan_due
from tests.scheduler.fakes import entry

START = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
"""Half an hour before the clock in Berlin is put forward."""
STILL_ON_TIME = timedelta(seconds=10)
LONG = timedelta(days=1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


CRONS = st.sampled_from(
    [
        "*/7 * * * * *",
        "0 * * * * *",
        "30 */5 * * * *",
        "0 30 2 * * *",
        "15 0-40 * * * *",
        "* 31 * * * *",
        "0 0 0 30 2 *",
    ]
)
INTERVALS = st.builds(
    lambda every, offset: {"every": f"{every}ms", "offset": f"{every * offset // 100}ms"},
    st.sampled_from([900, 2500, 10_000, 61_000, 90_000]),
    st.integers(0, 99),
)
ZONED = st.builds(lambda cron: {"cron": cron, "timezone": "Europe/Berlin"}, CRONS)
SIMPLE = st.one_of(CRONS.map(lambda cron: {"cron": cron}), INTERVALS, ZONED)
JITTERED = st.builds(
    lambda schedule, jitter: {**schedule, "jitter": f"{jitter}s"}, SIMPLE, st.sampled_from([1, 30, 59, 61, 600])
)
LIMITED = st.builds(
    lambda schedule, start, end: {**schedule, "start": at(start).isoformat(), "end": at(end).isoformat()},
    st.one_of(SIMPLE, JITTERED),
    st.integers(-100, 200),
    st.integers(200, 3600),
)
SCHEDULES = st.one_of(SIMPLE, JITTERED, LIMITED, st.lists(st.one_of(SIMPLE, JITTERED), min_size=2, max_size=3))
POLICIES = st.fixed_dictionaries(
    {"policy": st.sampled_from(["none", "last", "all"]), "within": st.integers(1, 2000).map(lambda s: f"{s}s")}
)
JOBS = st.lists(st.tuples(SCHEDULES, POLICIES), min_size=1, max_size=6).map(
    lambda pairs: [
        entry(f"j{number}", schedule, catch_up=policy)  # type: ignore[arg-type]  # anything that a job file may say
        for number, (schedule, policy) in enumerate(pairs)
    ]
)
quick = settings(deadline=None, max_examples=150)

STEPS = st.lists(st.integers(1, 150_000), min_size=1, max_size=12)
"""Milliseconds from tick to tick."""


def schedule_of(job: CatalogJob) -> Schedule:
    assert job.job.schedule is not None
    return job.job.schedule


def instants(job: CatalogJob, after: datetime, until: datetime) -> Iterator[datetime]:
    """The walk: all of a job's due instants after the one and up to and including the other."""
    due = schedule_of(job).next_after(after)
    while due is not None and due <= until:
        assert due > after
        yield due
        after, due = due, schedule_of(job).next_after(due)


def expected(jobs: Sequence[CatalogJob], after: datetime, until: datetime) -> set[tuple[str, datetime]]:
    return {(job.job.name, due) for job in jobs for due in instants(job, after, until)}


def planned(made: Plan) -> list[tuple[str, datetime]]:
    return [(ticket.job, ticket.due_at) for ticket in made.on_time]


@quick
@given(jobs=JOBS, steps=STEPS, horizon=st.integers(0, 100))
def test_ticks_plan_each_instant_once_in_order_and_the_same_as_one_tick_would(
    jobs: list[CatalogJob], steps: list[int], horizon: int
) -> None:
    catalog, ahead = Catalog(jobs), timedelta(seconds=horizon)
    heap, now = DueHeap(catalog.schedules(), START), START
    found: list[tuple[str, datetime]] = []
    for step in steps:
        now += timedelta(milliseconds=step)
        before = heap.position
        made = plan_due(catalog, heap, now, ahead, still_on_time=LONG)
        assert all(due > before for _, due in planned(made))
        assert (made.caught_up, made.missed) == ([], [])
        found += planned(made)
        assert heap.next_at is None or heap.next_at > made.until
    at_once = plan_due(catalog, DueHeap(catalog.schedules(), START), now, ahead, still_on_time=LONG)

    assert [due for _, due in found] == sorted(due for _, due in found)
    assert len(found) == len(set(found))
    assert set(found) == set(planned(at_once)) == expected(jobs, START, now + ahead)
    assert [ticket.id for ticket in at_once.on_time] == [
        f"{job}@{format_run_instant(due)}" for job, due in planned(at_once)
    ]


@quick
@given(jobs=JOBS, started=st.integers(0, 120_000), steps=STEPS)
def test_a_tick_that_comes_twice_makes_the_same_tickets(jobs: list[CatalogJob], started: int, steps: list[int]) -> None:
    """Another instance has a heap of its own, which stood elsewhere before."""
    catalog = Catalog(jobs)
    first, second = DueHeap(catalog.schedules(), START), DueHeap(catalog.schedules(), at(-started / 1000))
    now = START
    for step in steps:
        before, now = first.position, now + timedelta(milliseconds=step)
        one = plan_due(catalog, first, now, still_on_time=LONG)
        second.move_to(before, now)
        other = plan_due(catalog, second, now, still_on_time=LONG)
        assert sorted(one.on_time, key=lambda ticket: ticket.id) == sorted(other.on_time, key=lambda ticket: ticket.id)


@quick
@given(jobs=JOBS, down=st.integers(1, 3_000_000), horizon=st.integers(0, 100))
def test_what_was_missed_is_caught_up_and_skipped_as_a_walk_over_all_of_it_reports(
    jobs: list[CatalogJob], down: int, horizon: int
) -> None:
    catalog = Catalog(jobs)
    now = START + timedelta(milliseconds=down)
    until, on_time_from = now + timedelta(seconds=horizon), now - STILL_ON_TIME

    made = plan_due(
        catalog, DueHeap(catalog.schedules(), START), now, timedelta(seconds=horizon), still_on_time=STILL_ON_TIME
    )

    late = {tickets[0].job: [ticket.due_at for ticket in tickets] for tickets in made.caught_up}
    skipped = {one.entry.job.name: (one.first, one.last) for one in made.missed}
    for job in jobs:
        name, policy = job.job.name, job.job.catch_up
        every = list(instants(job, START, until))
        missed = [due for due in every if due < on_time_from]
        inside = [due for due in missed if due >= now - timedelta(seconds=policy.within)]
        run = {"none": [], "last": inside[-1:], "all": inside[-MAX_CAUGHT_UP_RUNS:]}[policy.policy]
        rest, in_time = missed[: len(missed) - len(run)], every[len(missed) :]
        until_now = [due for due in in_time if due <= now]
        if policy.policy == "last" and missed and until_now:
            run, rest, in_time = [], [*missed, *until_now[:-1]], in_time[len(until_now) - 1 :]
        assert late.get(name, []) == run
        assert skipped.get(name) == ((missed[0], rest[-1]) if rest else None)
        assert [due for found, due in planned(made) if found == name] == in_time


@quick
@given(jobs=JOBS, down=st.integers(11_000, 3_000_000), horizon=st.integers(0, 100))
def test_a_pass_that_catches_up_by_last_runs_at_most_one_instant_until_now_and_names_the_others(
    jobs: list[CatalogJob], down: int, horizon: int
) -> None:
    catalog, now = Catalog(jobs), START + timedelta(milliseconds=down)

    made = plan_due(
        catalog, DueHeap(catalog.schedules(), START), now, timedelta(seconds=horizon), still_on_time=STILL_ON_TIME
    )

    run = [*planned(made), *((ticket.job, ticket.due_at) for tickets in made.caught_up for ticket in tickets)]
    for job in jobs:
        name = job.job.name
        past = [due for found, due in run if found == name and due <= now]
        spans = [(one.first, one.last) for one in made.missed if one.entry.job.name == name]
        if job.job.catch_up.policy == "last" and (spans or any(due < now - STILL_ON_TIME for due in past)):
            assert len(past) <= 1
        for due in instants(job, START, now):
            assert (due in past) + any(first <= due <= last for first, last in spans) == 1


def named_as_missed(jobs: Sequence[CatalogJob], made: Plan) -> set[tuple[str, datetime]]:
    """Return the instants that one run stands for: of jobs that catch up by the last one."""
    by_last = {job.job.name: job for job in jobs if job.job.catch_up.policy == "last"}
    return {
        (name, due)
        for span in made.missed
        if (name := span.entry.job.name) in by_last
        for due in instants(by_last[name], span.first - timedelta(milliseconds=1), span.last)
    }


@quick
@example(
    jobs=[entry("j0", {"every": "900ms"}, catch_up={"policy": "last", "within": "1000s"})],
    wrong=[-10_001, 1800],
    horizon=0,
)
@given(
    jobs=JOBS,
    wrong=st.lists(st.one_of(st.integers(-3_000_000, 3_000_000), st.integers(-15_000, 15_000)), min_size=1, max_size=6),
    horizon=st.integers(0, 75),
)
def test_once_the_clock_is_right_everything_that_falls_due_was_planned_whatever_it_showed_before(
    jobs: list[CatalogJob], wrong: list[int], horizon: int
) -> None:
    catalog, ahead = Catalog(jobs), timedelta(seconds=horizon)
    heap = DueHeap(catalog.schedules(), START)
    found: set[tuple[str, datetime]] = set()
    ticks = [*(START + timedelta(milliseconds=off) for off in wrong), *(at(seconds) for seconds in range(0, 120, 9))]
    for now in ticks:
        made = plan_due(catalog, heap, now, ahead, still_on_time=STILL_ON_TIME)
        assert len(planned(made)) == len(set(planned(made)))
        assert all(due >= now - STILL_ON_TIME for _, due in planned(made))
        found |= set(planned(made)) | named_as_missed(jobs, made)

    assert expected(jobs, START, ticks[-1] + ahead) <= found


@quick
@given(before=SCHEDULES, after=SCHEDULES, policy=POLICIES, changed=st.integers(0, 600), down=st.integers(0, 600))
def test_a_schedule_that_was_changed_fires_for_nothing_before_its_change(
    before: Any, after: Any, policy: Any, changed: int, down: int
) -> None:
    old, new = Catalog([entry("a", before)]), Catalog([entry("a", after, catch_up=policy)])
    last = plan_due(old, DueHeap(old.schedules(), START), START, still_on_time=STILL_ON_TIME).until
    now = at(changed + down)

    heap = DueHeap(new.schedules(), last, {"a": at(changed)})
    made = plan_due(new, heap, now, timedelta(seconds=75), still_on_time=STILL_ON_TIME)

    handed_on = [*planned(made), *((ticket.job, ticket.due_at) for tickets in made.caught_up for ticket in tickets)]
    assert all(due > at(changed) for _, due in handed_on)
    assert all(skipped.first > at(changed) for skipped in made.missed)


@quick
@given(
    edits=st.lists(st.tuples(st.integers(1, 20), st.dictionaries(st.sampled_from("abcd"), SCHEDULES)), max_size=6),
    horizon=st.integers(0, 10),
)
def test_after_each_edit_every_schedule_has_its_instants_from_then_on_once(
    edits: list[tuple[int, dict[str, Any]]], horizon: int
) -> None:
    now, ahead = START, timedelta(seconds=horizon)
    view = JobSnapshot([])
    heap = DueHeap([], now)
    since: dict[str, datetime] = {}
    given_out: dict[str, list[datetime]] = {}
    for seconds, schedules in [*edits, (30, {})]:
        changed_view = (
            JobSnapshot([entry(name, schedule) for name, schedule in schedules.items()]) if schedules else view
        )
        changed = changed_view.changed_schedules(view)
        view = changed_view
        heap.replace_schedules(changed, dict.fromkeys(changed, now))
        since |= dict.fromkeys(changed, now)
        for name in changed:
            given_out[name] = []
        also = heap.due_after(changed, now)
        now += timedelta(seconds=seconds)
        made = plan_due(view, heap, now, ahead, still_on_time=timedelta(minutes=10), extra=also)
        for ticket in made.on_time:
            given_out[ticket.job].append(ticket.due_at)
    for name in view.names():
        assert given_out[name] == list(instants(view.get_job(name), since[name], now + ahead))
