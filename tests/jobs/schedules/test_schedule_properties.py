"""What holds of every schedule, on expressions whose meaning the test knows because it made them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.errors import ScheduleError
from jobs.schedules import IntervalSchedule, Ncrontab, Schedule, parse_schedule, to_milliseconds

MONTHS = ["january", "february", "march", "april", "may", "june"]
MONTHS += ["july", "august", "september", "october", "november", "december"]
WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
SEARCHED_DAYS = 1500

quick = settings(deadline=None, max_examples=100)

instants = st.datetimes(datetime(1960, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@dataclass(frozen=True)
class Part:
    """A field's text and the values that it means."""

    text: str
    values: frozenset[int]


@st.composite
def items(draw: st.DrawFn, lowest: int, highest: int, names: list[str]) -> Part:
    def written(value: int) -> str:
        if not names or draw(st.booleans()):
            return str(value)
        name = names[value - lowest]
        cut = name[: draw(st.integers(3, len(name)))]
        return draw(st.sampled_from([cut, cut.upper(), cut.capitalize()]))

    number = st.integers(lowest, highest)
    first, last, step = draw(number), draw(number), draw(st.integers(0, highest + 5))
    low, high = sorted((first, last))
    shapes = {
        "*": (lowest, highest, 1),
        f"*/{step}": (lowest, highest, step),
        written(first): (first, first, 1),
        f"{written(first)}/{step}": (first, highest, step),
        f"{written(first)}-{written(last)}": (low, high, 1),
        f"{written(first)}-{written(last)}/{step}": (low, high, step),
    }
    text, (start, end, every) = draw(st.sampled_from(sorted(shapes.items())))
    return Part(text, frozenset(range(start, end + 1, max(every, 1))))


@st.composite
def parts(draw: st.DrawFn, lowest: int, highest: int, names: list[str]) -> Part:
    chosen = draw(st.lists(items(lowest, highest, names), min_size=1, max_size=3))
    return Part(",".join(item.text for item in chosen), frozenset[int]().union(*(item.values for item in chosen)))


five_fields = st.tuples(
    parts(0, 59, []), parts(0, 23, []), parts(1, 31, []), parts(1, 12, MONTHS), parts(0, 6, WEEKDAYS)
)
six_fields = st.tuples(
    parts(0, 59, []), parts(0, 59, []), parts(0, 23, []), parts(1, 31, []), parts(1, 12, MONTHS), parts(0, 6, WEEKDAYS)
)
intervals = st.integers(100, 200_000_000).map(lambda milliseconds: IntervalSchedule(milliseconds / 1000))
expressions = six_fields.map(lambda fields: " ".join(part.text for part in fields))
schedules: st.SearchStrategy[Schedule] = st.one_of(expressions.map(Ncrontab.parse), intervals)


def due_by_trying(fields: tuple[Part, ...], after: datetime) -> datetime | None:
    """The next due instant found day by day, hour by hour, second by second; None if not within SEARCHED_DAYS."""
    seconds, minutes, hours, days, months, weekdays = (part.values for part in fields)
    for offset in range(SEARCHED_DAYS):
        day: date = after.date() + timedelta(days=offset)
        if day.day in days and day.month in months and day.isoweekday() % 7 in weekdays:
            for hour, minute, second in product(sorted(hours), sorted(minutes), sorted(seconds)):
                instant = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC)
                if instant > after:
                    return instant
    return None


@quick
@given(six_fields, instants)
def test_the_next_due_instant_is_the_one_found_by_trying_every_second(
    fields: tuple[Part, ...], after: datetime
) -> None:
    due = Ncrontab.parse(" ".join(part.text for part in fields)).next_after(after)
    tried = due_by_trying(fields, after)
    if tried is None:
        assert due is None or due.date() >= after.date() + timedelta(days=SEARCHED_DAYS)
    else:
        assert due == tried


@quick
@given(five_fields, instants)
def test_five_fields_mean_the_same_as_six_with_second_zero(fields: tuple[Part, ...], after: datetime) -> None:
    text = " ".join(part.text for part in fields)
    assert Ncrontab.parse(text) == Ncrontab.parse(f"0 {text}")
    assert Ncrontab.parse(text).next_after(after) == Ncrontab.parse(f"0 {text}").next_after(after)


@quick
@given(schedules, instants)
def test_the_next_due_instant_is_strictly_later(schedule: Schedule, after: datetime) -> None:
    due = schedule.next_after(after)
    assert due is None or due > after


@quick
@given(schedules, instants, instants)
def test_a_later_instant_never_has_an_earlier_next_one(schedule: Schedule, one: datetime, other: datetime) -> None:
    earlier, later = (schedule.next_after(instant) for instant in sorted((one, other)))
    assert (earlier is None) == (later is None)
    assert earlier is None or later is None or earlier <= later


@quick
@given(schedules, instants)
def test_nothing_is_due_between_an_instant_and_its_next_one(schedule: Schedule, after: datetime) -> None:
    due = schedule.next_after(after)
    if due is not None:
        assert schedule.next_after(due - timedelta(milliseconds=1)) == due


@quick
@given(schedules, instants)
def test_milliseconds_give_the_same_answer_as_instants(schedule: Schedule, after: datetime) -> None:
    due, due_ms = schedule.next_after(after), schedule.next_after_ms(to_milliseconds(after))
    assert due_ms == (None if due is None else to_milliseconds(due))


@quick
@given(schedules)
def test_text_and_spec_are_read_back_as_the_same_schedule(schedule: Schedule) -> None:
    assert parse_schedule(schedule.text) == schedule
    assert parse_schedule(schedule.spec) == schedule
    assert parse_schedule(schedule.spec).spec == schedule.spec


words = st.text(alphabet="0123456789*,-/LW#?: .@\tMONtuejan\n\u00a0\u00b9\u0660", max_size=12)
lines = st.lists(words, min_size=4, max_size=7).map(" ".join)
MORE_KEYS = ("timezone", "dst", "offset", "jitter", "start", "end", "except")
EXCLUSION_KEYS = ("dates", "weekly", "holidays", "subdivision", "days", "from", "to", "gap", "repeat")
keys = st.sampled_from(["every", "cron", "Cron", "x", *EXCLUSION_KEYS])
oddities = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | words | lines,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(keys, inner, max_size=2)
        | st.fixed_dictionaries({"every": st.just("5m")}, optional=dict.fromkeys(MORE_KEYS, inner))
        | st.fixed_dictionaries({"cron": st.just("0 3 * * *")}, optional=dict.fromkeys(MORE_KEYS, inner))
    ),
    max_leaves=4,
)


@settings(quick, max_examples=500)
@example({"every": "5m", "except": []})
@given(st.text() | words | lines | oddities)
def test_whatever_is_written_is_a_schedule_or_a_schedule_error(value: object) -> None:
    try:
        schedule = parse_schedule(value)
    except ScheduleError:
        return
    schedule.next_after(datetime(2024, 1, 1, tzinfo=UTC))
    assert parse_schedule(schedule.spec) == schedule
