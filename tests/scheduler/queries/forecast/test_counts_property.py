"""scheduler.queries.forecast counts what the schedules return one by one: also at changes of local time."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.schedules import Schedule, from_milliseconds
from scheduler.features.forecast.counting import ForecastCounts
from scheduler.features.forecast.grid import ForecastRange, create_grid
from scheduler.stores.gates import Pause
from tests.scheduler.queries.forecast.forecast_parts import count, define

ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Antarctica/Troll")
CHANGES = (
    datetime(2026, 3, 29, 0, 40, tzinfo=UTC),  # Berlin, Troll: forward
    datetime(2026, 10, 24, 23, 10, tzinfo=UTC),  # Berlin, Troll: back
    datetime(2026, 4, 4, 13, 25, tzinfo=UTC),  # Lord Howe: back by half an hour
    datetime(2026, 10, 3, 14, 5, tzinfo=UTC),  # Lord Howe: forward by half an hour
    datetime(2026, 11, 1, 3, 59, tzinfo=UTC),  # St John's: back
)
NUMBERS = st.integers(0, 59).map(str)
MINUTES = st.sampled_from(("*/2", "*/5", "*/7", "0", "30", "15,45")) | NUMBERS
HOURS = st.sampled_from(("*", "*/2", "1", "2", "3", "1-3", "23", "0"))
CRONS = st.builds("0 {} {} * * {}".format, MINUTES, HOURS, st.sampled_from(("*", "SUN", "1-5")))
INTERVALS = st.sampled_from(("97s", "5m", "1h", "7h", "1d", "3d")).map(lambda every: {"every": every})
POLICIES = st.sampled_from(({}, {"gap": "skip"}, {"gap": "end", "repeat": "both"}, {"gap": "shift", "repeat": "first"}))


@st.composite
def schedules(draw: st.DrawFn) -> object:
    """An interval, an expression of a zone, with jitter, bounds and exclusions, or two of these."""
    if draw(st.booleans()):
        spec: dict[str, object] = dict(draw(INTERVALS))
    else:
        spec = {"cron": draw(CRONS)}
        if draw(st.booleans()):
            spec |= {"timezone": draw(st.sampled_from(ZONES[1:]))}
            dst = draw(POLICIES)
            spec |= {"dst": dst} if dst else {}
    if draw(st.booleans()):
        spec |= {"jitter": draw(st.sampled_from(("20s", "45m", "2h")))}
    if not draw(st.integers(0, 3)):
        spec |= {"start": "2026-03-29T01:00:00Z", "end": "2026-11-01T12:00:00Z"}
    if not draw(st.integers(0, 3)):
        spec |= {"except": [{"weekly": {"days": "SUN", "from": "01:30", "to": "02:30"}}, {"holidays": "DE"}]}
    return spec


@settings(max_examples=60, deadline=None)
@given(
    st.lists(schedules(), min_size=1, max_size=4),
    st.sampled_from(ZONES),
    st.sampled_from(CHANGES),
    st.sampled_from(ForecastRange),
    st.integers(-400, 100),
)
@example([{"cron": "0 30 2 * * *", "timezone": "Europe/Berlin"}], "Antarctica/Troll", CHANGES[1], ForecastRange.WEEK, 0)
def test_cells_have_the_instants_of_the_schedules(
    specs: list[object], zone: str, change: datetime, chosen: ForecastRange, minutes: int
) -> None:
    jobs = [define(f"job-{number}", spec) for number, spec in enumerate(specs)]
    now = change + timedelta(minutes=minutes)
    pauses = {"job-1": Pause("job-1", now - timedelta(days=1), now + timedelta(hours=5, microseconds=1))}

    counts = count(jobs, now, chosen, zone, pauses)

    runs, suspended = [0] * len(counts.grid.cells), [0] * len(counts.grid.cells)
    for job in jobs:
        pause = pauses.get(job.name)
        for cell, due in _list_due(job.schedule, counts):
            is_paused = pause is not None and pause.since <= due and pause.is_active_at(due)
            (suspended if is_paused else runs)[cell] += 1
    assert counts.every.runs == runs
    assert counts.every.suspended == suspended
    assert not counts.is_estimated


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(ZONES), st.sampled_from(CHANGES), st.sampled_from(ForecastRange), st.integers(-400, 100))
def test_cells_cover_the_range_once(zone: str, change: datetime, chosen: ForecastRange, minutes: int) -> None:
    now = change + timedelta(minutes=minutes)
    grid = create_grid(chosen, ZoneInfo(zone), now)

    spans = sorted(span for cell in grid.cells for span in cell.spans)
    assert grid.since <= now < grid.cells[grid.cell_of_span[0]].end
    assert grid.until - grid.since == chosen.span
    assert [since for since, _ in spans[1:]] == [until for _, until in spans[:-1]]
    assert len({(cell.row, cell.column) for cell in grid.cells}) == len(grid.cells)
    assert all(grid.find_cell(cell.begin) == number for number, cell in enumerate(grid.cells))


def _list_due(schedule: Schedule | None, counts: ForecastCounts) -> list[tuple[int, datetime]]:
    """Each due instant with its cell."""
    assert schedule is not None
    grid, found = counts.grid, []
    at = schedule.next_after_ms(grid.edges[0] - 1)
    while at is not None and at < grid.edges[-1]:
        found.append((grid.cell_of_span[bisect_right(grid.edges, at) - 1], from_milliseconds(at)))
        at = schedule.next_after_ms(at)
    return found
