"""What holds back an alert, until when, and what selects nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.incidents.suppression.finding import (
    SuppressionSet,
    counts_as_sample,
    find_suppression,
    find_unmatched,
    list_window_times,
    next_change_after,
)
from jobs.incidents.suppression.windows import (
    AlertSubject,
    ExplicitSelector,
    MaintenanceWindow,
    RequestedWindow,
    Silence,
)
from jobs.incidents.values import Suppression, SuppressionKind
from tests.jobs.incidents.world import find_pause

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
CHECKOUT = AlertSubject("checkout", "http", "down", {"team": "payments"})
SEARCH = AlertSubject("search", "dns", "degraded", {"team": "web"})


def window(name: str = "patching", **keys: Any) -> MaintenanceWindow:
    times = {"from": "2026-06-01T12:00", "for": "1h"} if not {"weekly", "schedule", "from"} & keys.keys() else {}
    return MaintenanceWindow.model_validate(
        {"name": name, "select": {"all": True}, **times, **{key.rstrip("_"): value for key, value in keys.items()}}
    )


def silence(start: float, hours: float, limited_to: tuple[tuple[str, str], ...] = (), **select: Any) -> Silence:
    return Silence(
        id=f"s{start:g}",
        select=ExplicitSelector.model_validate(select or {"all": True}),
        starts_at=NOON + start * HOUR,
        ends_at=NOON + (start + hours) * HOUR,
        author="ada",
        created_at=NOON,
        reason="release 42",
        limited_to=limited_to,
    )


def requested(ended_at: datetime | None = None, **keys: Any) -> RequestedWindow:
    return RequestedWindow(id="w1", window=window(**keys), author="pipeline", created_at=NOON, ended_at=ended_at)


def test_a_window_holds_back_until_its_end() -> None:
    rules = SuppressionSet((window(reason="kernel update", change_id="CHG0042"),))

    assert find_suppression(CHECKOUT, rules, NOON) == Suppression(
        SuppressionKind.WINDOW, "patching", "kernel update (CHG0042)", NOON + HOUR
    )
    assert find_suppression(CHECKOUT, rules, NOON - timedelta(microseconds=1)) is None
    assert find_suppression(CHECKOUT, rules, NOON + HOUR) is None


def test_a_window_that_ends_before_notifications_are_possible_names_what_follows() -> None:
    rules = SuppressionSet((window(),), silences=(silence(0.5, 3), silence(3.5, 1), silence(10, 1)))

    found = find_suppression(CHECKOUT, rules, NOON)
    assert found == Suppression(
        SuppressionKind.WINDOW, "patching", "", NOON + 4.5 * HOUR, followed_by="silence of everything"
    )
    assert found.titles == "window patching, then the silence of everything"


def test_of_several_in_force_the_one_that_still_holds_is_named() -> None:
    rules = SuppressionSet((window(),), silences=(silence(0, 2, jobs="checkout"),))

    found = find_suppression(CHECKOUT, rules, NOON)
    assert found is not None
    assert (found.titles, found.until) == ("silence of checkout", NOON + 2 * HOUR)
    assert find_suppression(CHECKOUT, rules, NOON + 1.5 * HOUR) == found


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10)), min_size=1, max_size=6),
    st.integers(0, 30),
)
def test_what_is_named_holds_now_and_nothing_in_force_ends_later(spans: list[tuple[int, int]], hour: int) -> None:
    silences = tuple(silence(start, hours).model_copy(update={"id": f"{start}+{hours}"}) for start, hours in spans)
    now = NOON + hour * HOUR
    in_force = [each for each in silences if each.is_active_at(now)]

    found = find_suppression(CHECKOUT, SuppressionSet(silences=silences), now)

    assert (found is None) == (not in_force)
    if found is not None and found.until is not None:
        named = [each for each in in_force if each.id == found.name]
        assert max(each.ends_at for each in named) == max(each.ends_at for each in in_force)
        assert not any(each.is_active_at(found.until) for each in silences)
        assert bool(found.followed_by) == (max(each.ends_at for each in in_force) < found.until)


@pytest.mark.parametrize(
    ("select", "scope"),
    [
        ({"all": True}, "everything"),
        ({"jobs": "checkout"}, "checkout"),
        ({"jobs": ["a", "b", "c", "d", "e"]}, "a or b or c or 2 more"),
        ({"tags": {"team": "payments"}}, "team=payments"),
        (
            {"tags": {"team": ["payments", "web"], "tier": "1"}, "jobs": "check*"},
            "check*, team=payments or web, tier=1",
        ),
        ({"severities": "down", "kinds": "http"}, "kind http, severity down"),
        ({"tags": {"team": "x\u202ey"}}, "team=x\\u202ey"),
    ],
)
def test_a_silence_without_a_reason_has_its_scope_as_title(select: dict[str, Any], scope: str) -> None:
    unexplained = silence(0, 1, **select).model_copy(update={"reason": ""})

    assert unexplained.title == f"silence of {scope}"
    found = find_suppression(CHECKOUT, SuppressionSet(silences=(unexplained,)), NOON)
    assert found is None or found.title == f"silence of {scope}"


def test_the_title_of_a_limited_silence_says_its_limit() -> None:
    limited = silence(0, 1, (("team", "web"),), jobs="*").model_copy(update={"reason": ""})

    assert limited.title == "silence of * (only team=web)"


def test_the_title_of_a_silence_with_a_reason_is_the_reason() -> None:
    assert silence(0, 1).title == "release 42"


def test_what_selects_another_subject_extends_nothing() -> None:
    rules = SuppressionSet((window(),), silences=(silence(0.5, 3, tags={"team": "web"}),))

    found = find_suppression(CHECKOUT, rules, NOON)
    assert found is not None
    assert found.until == NOON + HOUR


@pytest.mark.parametrize(
    ("select", "is_selected"),
    [
        ({}, True),
        ({"jobs": "check*"}, True),
        ({"jobs": ["search", "checkou?"]}, True),
        ({"jobs": "search"}, False),
        ({"tags": {"team": "payments"}}, True),
        ({"tags": {"team": ["web", "payments"]}}, True),
        ({"tags": {"team": "*"}}, True),
        ({"tags": {"team": "pay*"}}, True),
        ({"tags": {"team": "payments", "app": "*"}}, False),
        ({"severities": ["down", "blind"]}, True),
        ({"severities": "degraded"}, False),
        ({"kinds": "http", "jobs": "*out"}, True),
        ({"kinds": "dns", "jobs": "*out"}, False),
    ],
)
def test_a_selector_requires_all_that_it_names(select: dict[str, Any], is_selected: bool) -> None:
    found = find_suppression(CHECKOUT, SuppressionSet(silences=(silence(0, 1, **select),)), NOON)
    assert (found is not None) == is_selected


def test_a_limited_silence_selects_only_what_its_author_may_change() -> None:
    rules = SuppressionSet(silences=(silence(0, 1, (("team", "web"),), jobs="*"),))

    assert find_suppression(SEARCH, rules, NOON) is not None
    assert find_suppression(CHECKOUT, rules, NOON) is None


def test_outside_of_an_only_then_window_nothing_is_sent() -> None:
    hours = window("hours", weekly={"days": "MON-FRI", "from": "08:00", "to": "18:00"}, only_then=True)
    saturday = window("saturday", weekly={"days": "SAT", "from": "10:00", "to": "12:00"}, only_then=True)
    rules = SuppressionSet((hours, saturday))

    assert find_suppression(CHECKOUT, rules, NOON) is None
    assert find_suppression(CHECKOUT, rules, NOON + timedelta(days=5, hours=-1)) is None
    assert find_suppression(CHECKOUT, rules, NOON + timedelta(days=5, hours=1)) == Suppression(
        SuppressionKind.WINDOW, "hours, saturday", "outside of the window", NOON + timedelta(days=7, hours=-4)
    )


def test_an_only_then_window_does_not_concern_others() -> None:
    hours = window("hours", weekly={"from": "08:00", "to": "09:00"}, only_then=True, select={"jobs": "search"})

    assert find_suppression(CHECKOUT, SuppressionSet((hours,)), NOON) is None


def test_only_windows_with_that_effect_pause_a_job() -> None:
    rules = SuppressionSet((window("quiet"), window("stopped", for_="2h", from_="2026-06-01T11:00", effect="pause")))

    assert find_pause(CHECKOUT, rules, NOON) == Suppression(SuppressionKind.WINDOW, "stopped", "", NOON + HOUR)
    assert find_pause(CHECKOUT, rules, NOON + HOUR) is None


def test_runs_inside_a_window_count_unless_it_sets_otherwise() -> None:
    assert counts_as_sample(CHECKOUT, SuppressionSet((window(),)), NOON)
    assert not counts_as_sample(CHECKOUT, SuppressionSet((window(counts=False),)), NOON)
    assert counts_as_sample(CHECKOUT, SuppressionSet((window(counts=False),)), NOON + HOUR)


def test_a_requested_window_ends_by_itself_or_earlier() -> None:
    early = NOON + timedelta(minutes=10)

    assert requested().ends_at == NOON + HOUR
    assert find_suppression(CHECKOUT, SuppressionSet(requested=(requested(),)), early) is not None
    ended = SuppressionSet(requested=(requested(early),))
    found = find_suppression(CHECKOUT, ended, NOON)
    assert found is not None
    assert found.until == early
    assert find_suppression(CHECKOUT, ended, early) is None
    assert next_change_after(ended, early) is None


def test_a_recurring_requested_window_does_not_begin_again_after_its_end() -> None:
    ended = requested(NOON + HOUR / 2, schedule={"every": "1d"}, for_="30m")

    assert not SuppressionSet(requested=(ended,)).requested[0].is_active_at(NOON + timedelta(days=1, hours=12))


def test_the_next_change_is_the_earliest_begin_or_end() -> None:
    rules = SuppressionSet((window(),), silences=(silence(0.25, 4), silence(-2, 1)))

    changes, now = list[datetime](), NOON - HOUR / 2
    while (change := next_change_after(rules, now)) is not None:
        changes.append(change)
        now = change
    assert changes == [NOON, NOON + HOUR / 4, NOON + HOUR, NOON + 4.25 * HOUR]


def test_what_selects_nothing_is_named_unless_it_is_over() -> None:
    rules = SuppressionSet(
        (
            window(),
            window("typo", select={"jobs": "chekout"}),
            window("over", from_="2020-01-01", select={"jobs": "x"}),
        ),
        silences=(silence(5, 1, tags={"team": "none"}), silence(-3, 1, tags={"team": "none"})),
    )

    assert find_unmatched(rules, [CHECKOUT, SEARCH], NOON) == ["window typo", "silence of team=none"]
    low = SuppressionSet(silences=(silence(0, 1, severities="info"),))
    assert find_unmatched(low, [CHECKOUT], NOON) == []


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"effect": "pause", "select": {"severities": ["down"]}}, "a job is paused whatever its severity"),
        ({"only_then": True}, "after a single period nothing would notify again"),
        ({"select": {"jobs": "a b"}}, "pattern"),
        ({"select": {}}, "or all: true"),
        ({"select": {"all": True, "jobs": "a"}}, "remove it"),
        ({"name": "-x"}, "pattern"),
        ({"reason": "a\x1b[2J"}, "is a control character"),
        ({"efect": "pause"}, "efect"),
    ],
)
def test_an_invalid_window_is_refused_with_the_remedy(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        window(**keys)


def test_a_requested_window_is_never_the_only_time() -> None:
    with pytest.raises(ValueError, match="define it in a job file"):
        requested(weekly={"from": "08:00", "to": "18:00"}, only_then=True)


@pytest.mark.parametrize(("hours", "message"), [(0, "is not after starts_at"), (24 * 400, "at most 366 days")])
def test_a_silence_has_a_bounded_length(hours: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        silence(0, hours)


HOURS = st.integers(0, 40)


@settings(max_examples=60, deadline=None)
@given(
    windows=st.lists(st.tuples(HOURS, st.integers(1, 20)), max_size=3),
    silences=st.lists(st.tuples(HOURS, st.integers(1, 20), st.sampled_from(["payments", "web"])), max_size=4),
    now=HOURS,
)
def test_a_suppression_ends_when_it_is_said_to_end(
    windows: list[tuple[int, int]], silences: list[tuple[int, int, str]], now: int
) -> None:
    rules = SuppressionSet(
        tuple(
            window(f"w{number}", from_=(NOON + start * HOUR).isoformat(), for_=f"{length}h")
            for number, (start, length) in enumerate(windows)
        ),
        silences=tuple(silence(start, length, tags={"team": team}) for start, length, team in silences),
    )
    covered = {
        hour
        for start, length in [*windows, *((start, length) for start, length, team in silences if team == "payments")]
        for hour in range(start, start + length)
    }

    found = find_suppression(CHECKOUT, rules, NOON + now * HOUR)
    assert (found is not None) == (now in covered)
    if found is not None:
        end = next(hour for hour in range(now, 100) if hour not in covered)
        assert found.until == NOON + end * HOUR
        assert find_suppression(CHECKOUT, rules, found.until) is None


def test_the_times_of_windows_that_pause_or_do_not_count_are_listed_within_a_period() -> None:
    work = {"days": "MON-FRI", "from": "08:00", "to": "18:00"}
    rules = SuppressionSet(
        (
            window("silent"),
            window("uncounted", counts=False, reason="kernel update"),
            window("work", weekly=work, only_then=True, effect="pause"),
            window("others", counts=False, select={"tags": {"team": "web"}}),
        ),
        (requested(NOON + HOUR / 2, name="rollout", effect="pause"),),
    )

    def listed(*, pauses: bool) -> list[tuple[str, float, float]]:
        times = list_window_times(CHECKOUT, rules, NOON, NOON + 30 * HOUR, pauses=pauses)
        return [(each.name, (span.begin - NOON) / HOUR, (span.end - NOON) / HOUR) for each, span in times]

    assert listed(pauses=False) == [("uncounted", 0, 1)]
    assert listed(pauses=True) == [("rollout", 0, 0.5), ("work", 6, 20)]
