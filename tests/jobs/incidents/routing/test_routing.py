"""Which channels receive an incident, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.incidents.rota_calendar import evaluate_calendar
from jobs.incidents.rotas import Rota
from jobs.incidents.routes import Route, RoutingTable, channels_of, find_uncovered_since, find_unmatched_routes
from jobs.incidents.suppression.windows import AlertSubject
from jobs.incidents.values import Suppression, SuppressionKind
from jobs.schedules import load_time_zone
from tests.jobs.incidents.routing.calendars import calendar_of

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)  # a Monday
CHECKOUT = AlertSubject("checkout", "http", "down", {"team": "payments"})
SEARCH = AlertSubject("search", "dns", "degraded", {"team": "web"})
WORK = {"weekly": {"days": "MON-FRI", "from": "08:00", "to": "18:00"}, "timezone": "Europe/Berlin"}


def table(*routes: dict[str, Any], **rotas: Any) -> RoutingTable:
    return RoutingTable([Route.model_validate(each) for each in routes], rotas)


def names(result: Any) -> list[str]:
    return [each.channel for each in result.notified]


def test_the_first_route_that_matches_decides() -> None:
    routes = table(
        {"name": "low", "match": {"severities": "degraded"}, "notify": "mail"},
        {"match": {"tags": {"team": "payments"}}, "notify": ["payments-chat", "mail"]},
        {"notify": "everyone"},
    )

    result = channels_of(CHECKOUT, routes, NOON)
    assert names(result) == ["payments-chat", "mail"]
    assert result.reason == "low: the severity is down, not degraded; route 2: matched"
    assert names(channels_of(SEARCH, routes, NOON)) == ["mail"]


def test_with_continue_the_later_routes_are_tried_and_a_channel_is_named_once() -> None:
    routes = table({"notify": ["mail", "chat"], "continue": True}, {"notify": ["chat", "phone"]}, {"notify": "never"})

    assert names(channels_of(CHECKOUT, routes, NOON)) == ["mail", "chat", "phone"]


def test_a_route_matches_only_at_its_time() -> None:
    routes = table({"time": {"only": [WORK]}, "notify": "chat"}, {"notify": "phone"})

    assert names(channels_of(CHECKOUT, routes, NOON)) == ["chat"]
    night = channels_of(CHECKOUT, routes, NOON + timedelta(hours=6))
    assert names(night) == ["phone"]
    assert night.verdicts[0].reason == "its time begins at 2026-06-02 06:00:00Z"
    assert night.changes_at == datetime(2026, 6, 2, 6, tzinfo=UTC)


def test_holidays_are_a_time_of_a_route() -> None:
    holidays = {"calendar": [{"holidays": "DE"}], "timezone": "Europe/Berlin"}
    routes = table({"time": {"only": holidays}, "notify": "on-duty"}, {"notify": "chat"})

    assert names(channels_of(CHECKOUT, routes, datetime(2026, 12, 25, 12, tzinfo=UTC))) == ["on-duty"]
    assert names(channels_of(CHECKOUT, routes, datetime(2026, 12, 28, 12, tzinfo=UTC))) == ["chat"]


def test_a_mute_time_holds_back_until_its_end() -> None:
    routes = table({"name": "web", "time": {"mute": [{"schedule": "0 0 12 * * *", "for": "2h"}]}, "notify": "chat"})

    result = channels_of(SEARCH, routes, NOON + timedelta(minutes=1))
    assert names(result) == []
    assert result.mute == Suppression(SuppressionKind.MUTE_TIME, "web", until=NOON + timedelta(hours=2))
    assert result.changes_at == NOON + timedelta(hours=2)
    assert channels_of(SEARCH, routes, NOON + timedelta(hours=2)).mute is None


def test_a_channel_of_a_muted_and_of_another_route_is_notified() -> None:
    muted = {"mute": [{"weekly": {"from": "00:00"}, "for": "24h"}]}
    routes = table({"time": muted, "notify": ["chat", "mail"], "continue": True}, {"name": "loud", "notify": ["chat"]})

    result = channels_of(CHECKOUT, routes, NOON)
    assert [(each.channel, each.route) for each in result.notified] == [("chat", "loud")]
    assert [each.channel for each in result.channels if each.is_held] == ["mail"]
    assert result.mute is None


def test_what_can_wait_is_due_at_the_next_digest() -> None:
    routes = table({"match": {"severities": "degraded"}, "notify": "mail", "digest": "08:00 Europe/Berlin"})

    (channel,) = channels_of(SEARCH, routes, NOON).channels
    assert channel.due_at == datetime(2026, 6, 2, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("digest", "due"),
    [
        ("08:00", "2026-03-29T08:00:00+00:00"),
        ("02:30 Europe/Berlin", "2026-03-29T01:30:00+00:00"),  # in the gap
        ({"cron": "0 0 8 * * MON-FRI", "timezone": "Europe/Berlin"}, "2026-03-30T06:00:00+00:00"),
    ],
)
def test_a_digest_is_sent_in_local_time(digest: Any, due: str) -> None:
    routes = table({"notify": "mail", "digest": digest})

    (channel,) = channels_of(CHECKOUT, routes, datetime(2026, 3, 28, 12, tzinfo=UTC)).channels
    assert channel.due_at == datetime.fromisoformat(due)


def test_who_is_on_call_is_notified_in_addition() -> None:
    calendar = calendar_of(("Anna Schmidt", "20260601T100000Z", "PT4H"))
    span = NOON - timedelta(days=1), NOON + timedelta(days=1)
    on_call = evaluate_calendar(calendar, load_time_zone("UTC"), ["Anna"], *span, now=NOON).table
    rota = Rota(on_call, {"Anna": ("anna-phone",)}, ("all",))
    routes = table({"notify": "chat", "on_call": "primary"}, primary=rota)

    result = channels_of(CHECKOUT, routes, NOON)
    assert names(result) == ["chat", "anna-phone"]
    assert result.reason == "route 1: matched, on call by primary: Anna"
    assert result.changes_at == NOON + timedelta(hours=2)
    assert names(channels_of(CHECKOUT, routes, NOON + timedelta(hours=2))) == ["chat", "all"]


def test_a_missing_rota_is_reported_and_the_other_channels_are_notified() -> None:
    result = channels_of(CHECKOUT, table({"notify": "chat", "on_call": "primry"}), NOON)

    assert names(result) == ["chat"]
    assert result.reason == "route 1: matched, there is no rota primry"


def test_without_a_match_there_is_a_reason_for_each_route() -> None:
    result = channels_of(
        CHECKOUT, table({"match": {"kinds": "dns"}, "notify": "a"}, {"match": {"jobs": "s*"}, "notify": "b"}), NOON
    )

    assert result.channels == ()
    assert result.mute is None
    assert result.reason == "route 1: the kind is http, not dns; route 2: the name is checkout, not s*"


def test_routes_that_nothing_reaches_are_found() -> None:
    routes = table(
        {"match": {"tags": {"team": "payment"}}, "notify": "a"},
        {"time": {"only": [WORK]}, "notify": "b"},
        {"match": {"jobs": "check*"}, "notify": "c"},
        {"name": "late", "match": {"tags": {"team": "payments"}}, "notify": "d"},
    )

    assert [str(route) for route in find_unmatched_routes(routes, [CHECKOUT, SEARCH])] == [
        "route 1: it matches no alert",
        "late: earlier routes match all that it matches",
    ]


def test_times_without_a_route_are_found() -> None:
    match = {"match": {"tags": {"team": "payments"}}, "notify": "a"}
    day = {"weekly": {"from": "08:00", "to": "18:00"}}
    night = {"weekly": {"from": "18:00", "to": "08:00"}}

    assert find_uncovered_since(table(match), CHECKOUT, NOON) == (False, None)
    assert find_uncovered_since(table(match), SEARCH, NOON) == (True, None)
    assert find_uncovered_since(table({**match, "time": {"only": [day, night]}}), CHECKOUT, NOON) == (False, None)
    evening = NOON.replace(hour=18, minute=0)
    assert find_uncovered_since(table({**match, "time": {"only": day}}), CHECKOUT, NOON) == (True, evening)
    assert find_uncovered_since(table({**match, "time": {"only": day}}), CHECKOUT, evening) == (True, evening)


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ({}, "notify: is missing"),
        ({"notify": "a", "digest": "8 o'clock"}, "is not a time of day"),
        ({"notify": "a", "digest": "08:00 Mars/Base"}, "is not an IANA time zone"),
        ({"notify": "a", "on_call": "primary", "digest": "08:00"}, "who is on call is notified at once"),
        ({"notify": "a", "time": {"only": [{"weekly": {}}]}}, "a mapping is expected"),
        ({"notify": "a b"}, "pattern"),
        ({"notify": "a", "contine": True}, "contine"),
    ],
)
def test_an_invalid_route_is_refused_with_the_remedy(route: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Route.model_validate(route)


def test_a_route_without_channels_is_deliberate() -> None:
    result = channels_of(CHECKOUT, table({"notify": []}), NOON)

    assert (result.channels, result.reason) == ((), "route 1: matched, it names no channel")
