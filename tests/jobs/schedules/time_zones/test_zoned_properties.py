"""What holds of every expression on every zone's clock, against a look at each second."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.schedules import DstPolicy, Ncrontab, ZonedSchedule, load_time_zone
from tests.jobs.schedules.test_schedule_properties import Part, parts

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOOKED_AT = 5 * 3600
"""Seconds after an instant that are tried one by one."""

# Hours around which a clock changed: usual and unusual zones, and the first second-precise steps to standard time.
CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("Europe/Berlin", "1893-03-31T23:06:32Z"),
    ("America/New_York", "2024-03-10T07:00:00Z"),
    ("America/New_York", "2024-11-03T06:00:00Z"),
    ("Europe/Dublin", "2026-03-29T01:00:00Z"),
    ("Europe/Dublin", "2026-10-25T01:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("Africa/Casablanca", "2024-04-14T02:00:00Z"),
    ("Asia/Gaza", "2024-10-25T23:00:00Z"),
    ("America/Caracas", "2016-05-01T07:00:00Z"),
    ("Africa/Monrovia", "1972-01-07T00:44:30Z"),
    ("Antarctica/Troll", "2026-03-29T01:00:00Z"),
    ("Asia/Kathmandu", "1985-12-31T18:30:00Z"),
]

quick = settings(deadline=None, max_examples=60)


@dataclass(frozen=True)
class Fields:
    """An expression and the values that it means."""

    second: Part
    minute: Part
    hour: Part
    day: Part
    weekday: Part

    @property
    def cron(self) -> Ncrontab:
        parts = (self.second, self.minute, self.hour, self.day, Part("*", frozenset()), self.weekday)
        return Ncrontab.parse(" ".join(part.text for part in parts))

    def hold(self, shown: datetime) -> bool:
        return (
            shown.second in self.second.values
            and shown.minute in self.minute.values
            and shown.hour in self.hour.values
            and shown.day in self.day.values
            and shown.isoweekday() % 7 in self.weekday.values
        )


def usually_all(lowest: int, highest: int) -> st.SearchStrategy[Part]:
    everything = st.just(Part("*", frozenset(range(lowest, highest + 1))))
    return st.one_of(everything, everything, parts(lowest, highest, []))


fields = st.builds(
    Fields,
    st.one_of(st.just(Part("0", frozenset([0]))), parts(0, 59, [])),
    parts(0, 59, []),
    st.one_of(st.just(Part("0-4", frozenset(range(5)))), parts(0, 23, [])),
    usually_all(1, 31),
    usually_all(0, 6),
)
policies = st.builds(
    DstPolicy, st.sampled_from([None, "shift", "end", "skip"]), st.sampled_from([None, "first", "both"])
)
changes = st.sampled_from(CHANGES)
seconds_before = st.integers(-3 * 3600, 5 * 3600)


def due_by_looking(expression: Fields, info: tzinfo, policy: DstPolicy, after: datetime) -> datetime | None:
    """The first due second after `after`, tried one by one with what zoneinfo says of each."""
    gap = policy.gap
    repeat = policy.repeat or ("both" if expression.cron.is_interval_like else "first")
    # A change up to a day ago may still shift something to here.
    changed = _changes(info, after - timedelta(days=1, hours=2), after + timedelta(seconds=LOOKED_AT))
    moved = [] if gap else [(change[0], one) for change in changed if (one := _first_skipped(expression, *change))]
    for step in range(1, LOOKED_AT):
        instant = after + timedelta(seconds=step)
        shown = instant.astimezone(info)
        if any(one == instant for _, one in moved):
            return instant
        if any(at <= instant < one for at, one in moved):
            continue  # the timer has gone on to the time that it moved
        if expression.hold(shown) and (repeat == "both" or not shown.fold):
            return instant
        if gap in ("shift", "end") and any(_skipped(expression, gap, instant, *change) for change in changed):
            return instant
    return None


def _changes(info: tzinfo, start: datetime, end: datetime) -> list[tuple[datetime, timedelta, timedelta]]:
    """Each clock that is put forward in that time: when, and the offsets before and after."""
    found = []
    instant, before = start, start.astimezone(info).utcoffset()
    while instant < end:
        following = instant + timedelta(minutes=10)
        if following.astimezone(info).utcoffset() != before:
            following = instant
            while (offset := following.astimezone(info).utcoffset()) == before:
                following += timedelta(seconds=1)
            assert before is not None
            assert offset is not None
            if offset > before:
                found.append((following, before, offset))
            before = offset
        instant = following
    return found


def _first_skipped(expression: Fields, at: datetime, old: timedelta, new: timedelta) -> datetime | None:
    """When the timer runs the first time that this change leaves out."""
    length = int((new - old).total_seconds())
    return next((one for one in (at + timedelta(seconds=n) for n in range(length)) if expression.hold(one + old)), None)


def _skipped(expression: Fields, gap: str, instant: datetime, at: datetime, old: timedelta, new: timedelta) -> bool:
    """Whether a time that this change leaves out is due at this instant instead."""
    length = new - old
    if gap == "shift":
        return timedelta(0) <= instant - at < length and expression.hold(instant + old)
    if instant != at:
        return False
    return any(expression.hold(at + old + timedelta(seconds=step)) for step in range(int(length.total_seconds())))


@quick
@given(fields, changes, policies, seconds_before)
def test_around_a_change_the_next_due_instant_is_the_one_found_by_checking_every_second(
    expression: Fields, change: tuple[str, str], policy: DstPolicy, before: int
) -> None:
    name, at = change
    after = datetime.fromisoformat(at) - timedelta(seconds=before)
    schedule = ZonedSchedule(expression.cron, load_time_zone(name), policy)

    due = schedule.next_after(after)

    observed = due_by_looking(expression, schedule.zone.info, policy, after)
    if observed is None:
        assert due is None or due >= after + timedelta(seconds=LOOKED_AT)
    else:
        assert due == observed


def due_by_looking_at_minutes(expression: Fields, info: tzinfo, policy: DstPolicy, after: datetime) -> datetime | None:
    first = after.replace(second=0, microsecond=0)
    for minute in range(1, 3 * 24 * 60):
        shown = (first + timedelta(minutes=minute)).astimezone(info)
        if expression.hold(shown) and not (shown.fold and policy.repeat == "first"):
            return first + timedelta(minutes=minute)
    return None


zones = st.sampled_from(
    ["Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Chatham", "America/Santiago", "UTC"]
)
instants = st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
on_the_minute = st.builds(
    Fields,
    st.just(Part("0", frozenset([0]))),
    parts(0, 59, []),
    parts(0, 23, []),
    usually_all(1, 31),
    usually_all(0, 6),
)


@quick
@given(on_the_minute, zones, st.sampled_from(["first", "both"]), instants)
def test_at_any_time_the_next_due_instant_is_the_one_found_by_checking_every_minute(
    expression: Fields, name: str, repeat: str, after: datetime
) -> None:
    policy = DstPolicy("skip", "both" if repeat == "both" else "first")
    schedule = ZonedSchedule(expression.cron, load_time_zone(name), policy)

    due = schedule.next_after(after)

    observed = due_by_looking_at_minutes(expression, schedule.zone.info, policy, after)
    assert due == observed or (observed is None and (due is None or due >= after + timedelta(days=2, hours=23)))


@quick
@given(fields, changes, policies, seconds_before, seconds_before)
def test_next_is_strictly_later_monotone_and_excludes_nothing(
    expression: Fields, change: tuple[str, str], policy: DstPolicy, one: int, other: int
) -> None:
    name, at = change
    schedule = ZonedSchedule(expression.cron, load_time_zone(name), policy)
    earlier, later = sorted(datetime.fromisoformat(at) - timedelta(seconds=seconds) for seconds in (one, other))

    first, second = schedule.next_after(earlier), schedule.next_after(later)

    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert earlier < first <= second
        assert second == first or first <= later
        assert schedule.next_after(first - timedelta(milliseconds=1)) == first
