"""Uptime and downtime, by the cases of others and by what always holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import reduce
from itertools import groupby
from operator import add, itemgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs.uptime import MonthlyDowntime, Uptime, UptimeSample, UptimeSegment, downtime_by_month, sum_samples

DATA = Path(__file__).parents[2] / "data/heartbeats"
NOW = datetime(2020, 1, 15, tzinfo=UTC)
DAY = 86400


@dataclass(frozen=True, slots=True)
class Flip:
    """The instant at which the state changes."""

    at: datetime
    down: bool


def monthly_downtime(
    flips: Sequence[Flip],
    now: datetime,
    months: int,
    zone: tzinfo = UTC,
    *,
    down: bool = False,
    since: datetime | None = None,
) -> list[MonthlyDowntime]:
    """Return the downtime by month from changes of the state. `down`: the state if it never changes."""
    was_down = not flips[0].down if flips else down
    all_flips = [Flip(datetime.min.replace(tzinfo=UTC), was_down), *(flip for flip in flips if flip.at < now)]
    segments = [
        UptimeSegment.from_samples([(flip.at, UptimeSample("down" if flip.down else "up"))]) for flip in all_flips
    ]
    return downtime_by_month(segments, now, months, zone, since=since)


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    return found


def look(text: str) -> UptimeSample:
    mark, _, ms = text.partition(":")
    return UptimeSample(mark, float(ms) if ms else None)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", cases("uptimes"), ids=lambda case: str(case["case"]))
def test_the_uptimes_of_others_hold(case: dict[str, Any]) -> None:
    found = sum_samples(map(look, case["looks"]))
    assert (found.ratio, found.mean_ms) == (case["ratio"], case["mean_ms"])


@pytest.mark.parametrize("case", cases("months"), ids=lambda case: str(case["case"]))
def test_the_downtimes_of_others_hold(case: dict[str, Any]) -> None:
    flips = [Flip(datetime.fromisoformat(at), to == "down") for at, to in map(str.split, case["flips"])]
    since = datetime.fromisoformat(case["since"]) if "since" in case else None
    now, zone = datetime.fromisoformat(case["now"]), ZoneInfo(case["zone"])
    found = monthly_downtime(flips, now, len(case["months"]), zone, down=case["down"], since=since)
    assert [[month.name, month.seconds, month.outages] for month in found] == case["months"]


def test_nothing_is_known_without_a_read() -> None:
    found = sum_samples([])
    assert (found.sample_count, found.ratio, found.mean_ms) == (0, 0.0, None)


def test_what_was_always_down_was_so_in_every_month() -> None:
    assert [month.outages for month in monthly_downtime([], NOW, 10, down=True)] == [1] * 10


def test_what_was_never_down_has_no_downtime() -> None:
    assert [(month.seconds, month.outages) for month in monthly_downtime([], NOW, 3)] == [(0.0, 0)] * 3


def test_of_months_before_the_first_read_nothing_is_known() -> None:
    found = monthly_downtime([], NOW, 3, since=datetime(2020, 1, 1, tzinfo=UTC))
    assert [month.outages for month in found] == [0, None, None]


def test_outages_of_one_month_add_up() -> None:
    flips = [Flip(NOW - timedelta(days=day), down) for day, down in ((5, True), (4, False), (3, True), (1, False))]
    (january,) = monthly_downtime(flips, NOW, 1)
    assert (january.seconds, january.outages) == (3 * DAY, 2)


def test_a_month_begins_on_the_clock_of_its_zone_and_is_as_long_as_it_really_was() -> None:
    """March has an hour less in Berlin."""
    april = datetime(2026, 4, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    found = monthly_downtime([], april + timedelta(hours=1), 2, ZoneInfo("Europe/Berlin"), down=True)
    assert [month.seconds for month in found] == [3600, 31 * DAY - 3600]


@given(st.lists(st.integers(1, 300 * DAY), unique=True, max_size=12).map(sorted), st.booleans(), st.integers(1, 9))
def test_downtime_is_never_more_than_the_month_and_sums_up_to_all_of_it(
    offsets: list[int], first_down: bool, months: int
) -> None:
    begin = NOW - timedelta(days=301)
    flips = [Flip(begin + timedelta(seconds=s), (n % 2 == 0) is first_down) for n, s in enumerate(offsets)]
    turned = [Flip(flip.at, not flip.down) for flip in flips]
    one = monthly_downtime(flips, NOW, months, down=first_down)
    other = monthly_downtime(turned, NOW, months, down=not first_down)
    firsts = [month.first for month in one]
    lengths = [(end - first).total_seconds() for first, end in zip(firsts, [NOW, *firsts], strict=False)]
    assert [(a.seconds or 0) + (b.seconds or 0) for a, b in zip(one, other, strict=True)] == lengths


INSTANTS = st.tuples(st.integers(0, 3), st.integers(0, 150)).map(lambda at: at[0] * 20 * DAY + at[1] * 60)
OBSERVED = st.lists(
    st.tuples(INSTANTS, st.booleans(), st.integers(0, 9)), min_size=1, max_size=40, unique_by=itemgetter(0)
)


@given(OBSERVED, st.randoms())
def test_what_is_summed_up_by_the_hour_in_any_order_reports_the_same_as_each_read(
    observed: list[tuple[int, bool, int]], random: Any
) -> None:
    begin = NOW - timedelta(days=101)
    reads_made = [
        (begin + timedelta(seconds=s), UptimeSample("down" if down else "up", ms)) for s, down, ms in sorted(observed)
    ]
    hours: list[UptimeSegment] = []
    for _, group in groupby(reads_made, lambda look: look[0].strftime("%Y%m%d%H")):
        some = list(group)
        cut = random.randint(0, len(some))
        hours.append(reduce(add, [UptimeSegment.from_samples(part) for part in (some[cut:], some[:cut]) if part]))
        assert hours[-1] == UptimeSegment.from_samples(some)

    assert downtime_by_month(hours, NOW, 5) == downtime_by_month(
        [UptimeSegment.from_samples([look]) for look in reads_made], NOW, 5
    )
    assert sum((hour.uptime for hour in hours), Uptime()) == sum_samples(look for _, look in reads_made)


def test_an_outage_over_the_turn_of_a_month_counts_in_both() -> None:
    at = datetime(2019, 12, 31, 23, 59, tzinfo=UTC)
    stretches = [
        UptimeSegment.from_samples([(at, UptimeSample("down"))]),
        UptimeSegment.from_samples([(at + timedelta(minutes=2), UptimeSample("down"))]),
    ]
    up = UptimeSegment.from_samples([(at + timedelta(minutes=3), UptimeSample("up"))])
    january, december = downtime_by_month([*stretches, up], NOW, 2)
    assert [(month.seconds, month.outages) for month in (january, december)] == [(120.0, 1), (60.0, 1)]
