"""Calendars are foreign: what costs much is refused with the line and the remedy, what programs write is accepted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.incidents.rota_calendar import (
    MAX_OBSERVANCES,
    MAX_TIME_ZONES,
    EvaluatedCalendar,
    RotaError,
    evaluate_calendar,
    unfold_lines,
)
from jobs.schedules import load_time_zone
from tests.jobs.incidents.routing.calendars import calendar_of
from tests.jobs.incidents.routing.hostile_calendars import PROGRAMS, SHAPES, with_zones

BERLIN = load_time_zone("Europe/Berlin")
NOW = datetime(2026, 6, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def evaluate(content: bytes, people: tuple[str, ...] = ("Anna",)) -> EvaluatedCalendar:
    return evaluate_calendar(content, BERLIN, people, NOW - DAY, NOW + 70 * DAY, now=NOW)


def on_call(content: bytes) -> tuple[str, ...]:
    return evaluate(content).table.find(NOW)[0]


@pytest.mark.parametrize("name", SHAPES)
def test_a_hostile_calendar_costs_little(name: str) -> None:
    start = time.thread_time()
    with suppress(RotaError):
        assert len(evaluate(SHAPES[name]).table.instants) <= 4001
    assert time.thread_time() - start < 3


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_calendar_of_a_program_is_accepted(program: str) -> None:
    assert on_call(PROGRAMS[program]) == ("Anna",)
    assert evaluate(PROGRAMS[program]).table.find(NOW + 7 * DAY)[0] == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (with_zones(["RRULE:FREQ=SECONDLY"]), r"^line 10: a time zone recurs SECONDLY: write FREQ=YEARLY"),
        (with_zones(["RRULE:"]), "recurs without FREQ"),
        (with_zones(["RRULE:FREQ=YEARLY;BYHOUR=1"]), "recurs with BYHOUR"),
        (with_zones(["RRULE:FREQ=YEARLY;COUNT=1;COUNT=2"]), "repeats a part"),
        (with_zones(["RRULE:FREQ=YEARLY;BYDAY=" + "MO," * 100 + "MO"]), "more than 300 characters"),
        (with_zones(["RRULE:FREQ=YEARLY\nRRULE:FREQ=YEARLY"]), "several rules"),
        (with_zones(["EXRULE:FREQ=YEARLY"]), "several rules"),
        (with_zones([""] * (MAX_OBSERVANCES + 1)), "more than 100 changes"),
        (with_zones(*[[""] * 50] * 21), "all have more than 1000"),
        (with_zones(*[[""]] * (MAX_TIME_ZONES + 1)), "more than 100 time zones"),
        (with_zones(["BEGIN:DAYLIGHT\nEND:DAYLIGHT"] * MAX_OBSERVANCES), "more than 100 changes"),
        (calendar_of().replace(b"VERSION", b"BEGIN;X=1:VTIMEZONE\r\nVERSION"), "has parameters"),
        (b"BEGIN:VCALENDAR\r\n" * 6, "^line 6: components are nested"),
    ],
)
def test_what_is_refused_has_its_line_and_the_remedy(content: bytes, message: str) -> None:
    with pytest.raises(RotaError, match=message):
        evaluate(content)


def test_a_long_description_is_no_reason_to_refuse_a_calendar() -> None:
    shift = calendar_of(("Anna", "20260601T080000Z", "PT4H"))
    assert on_call(shift.replace(b"SUMMARY", b"DESCRIPTION:" + b"x" * 500_000 + b"\r\nSUMMARY")) == ("Anna",)
    with pytest.raises(RotaError, match=r"^line 7: EXDATE has 70007 bytes"):
        evaluate(shift.replace(b"SUMMARY", b"EXDATE:" + b"x" * 70_000 + b"\r\nSUMMARY"))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"A:1\r\nB:2\n", [(1, b"A:1"), (2, b"B:2")]),
        (b"A:1\r\n 2\r\n\t3\r\nB:4", [(1, b"A:123"), (4, b"B:4")]),
        (b"A:1\n\r\n\n 2\n\nB:3", [(1, b"A:12"), (6, b"B:3")]),
        (b" A:1", [(1, b" A:1")]),
        (b"", []),
    ],
)
def test_lines_are_unfolded_as_the_library_does(text: bytes, lines: list[tuple[int, bytes]]) -> None:
    assert list(unfold_lines(text)) == lines


@given(
    st.lists(st.sampled_from([b"A:1", b" 2", b"\t", b"\r", b"", b" "]), max_size=8), st.sampled_from([b"\n", b"\r\n"])
)
def test_the_lines_are_those_that_the_library_parses(parts: list[bytes], end: bytes) -> None:
    from icalendar.parser import Contentlines

    text = b"X:0" + end + end.join(parts)
    parsed = [str(line) for line in Contentlines.from_ical(text) if line]
    assert [line.decode() for _, line in unfold_lines(text)] == parsed


def test_with_many_shifts_the_table_is_shorter_and_complete() -> None:
    """40 shifts of half an hour a day."""
    shifts = [("Anna", f"20260531T{each // 2:02}{each % 2 * 30:02}00Z", "PT30M") for each in range(40)]
    table = evaluate(calendar_of(*shifts, more=["RRULE:FREQ=DAILY"])).table
    assert NOW + 45 * DAY < table.until < NOW + 52 * DAY
    half_an_hour = timedelta(minutes=30)
    for number in range(48 * 40):
        now = NOW + number * half_an_hour
        assert (table.find(now)[0] == ("Anna",)) == (now.hour < 20)


_SHIFTS = st.lists(
    st.tuples(st.sampled_from(["Anna", "Ben", "Zoe"]), st.integers(0, 400), st.integers(1, 60)), max_size=8
)


@settings(max_examples=40, deadline=None)
@given(_SHIFTS, st.lists(st.integers(-10, 500), min_size=1, max_size=10))
def test_the_table_gives_for_each_instant_the_people_of_its_shifts(
    shifts: list[tuple[str, int, int]], hours: list[int]
) -> None:
    hour = timedelta(hours=1)
    spans = sorted((NOW + begin * hour, NOW + (begin + length) * hour, title) for title, begin, length in shifts)
    # An event that recurs far away: a calendar needs one.
    events = [(title, f"{begin:%Y%m%dT%H%M%SZ}", f"PT{(end - begin) // hour}H") for begin, end, title in spans]
    table = evaluate(calendar_of(*events, ("Zoe", "20300101T000000Z", "PT1H")), ("Anna", "Ben")).table
    for each in hours:
        now = NOW + each * hour
        people, changes_at = table.find(now)
        assert list(people) == list(dict.fromkeys(t for b, e, t in spans if b <= now < e and t != "Zoe"))
        edges = [edge for begin, end, _ in spans for edge in (begin, end) if now < edge]
        assert changes_at == min(edges, default=None)


def test_outside_of_its_time_a_table_knows_no_person() -> None:
    table = evaluate(calendar_of(("Anna", "20260101T000000Z", "P300D"))).table
    found: Mapping[str, tuple[str, ...]] = {
        name: table.find(now)[0] for name, now in {"before": NOW - 2 * DAY, "in": NOW, "after": NOW + 70 * DAY}.items()
    }
    assert found == {"before": (), "in": ("Anna",), "after": ()}
