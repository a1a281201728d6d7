"""`expires_in`, durations as bounds of numbers, and `now` in expressions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.expectations.judging import describe_unmet
from tests.jobs.expectations.helpers import ENTRIES, answer, entries, failure, failures

MONTH = {"json": "$.exp", "expires_in": {"at_least": "30d"}}
FORMS = {
    "iso": lambda at: at.isoformat(),
    "offset": lambda at: at.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat(),
    "without zone": lambda at: at.replace(tzinfo=None).isoformat(),
    "zulu with seven digits": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.1234567Z"),
    "seconds": lambda at: int(at.timestamp()),
    "milliseconds": lambda at: int(at.timestamp() * 1000),
    "seconds as text": lambda at: str(int(at.timestamp())),
}


def of(value: Any) -> Any:
    return answer(json.dumps({"exp": value}))


@pytest.mark.parametrize("form", FORMS)
def test_an_instant_is_read_in_each_form(form: str) -> None:
    now = datetime.now(UTC)
    assert failures(of(FORMS[form](now + timedelta(days=31))), MONTH) == ()
    assert failure(of(FORMS[form](now + timedelta(days=29, seconds=-30))), MONTH).observed.startswith(
        "expires in 28 d 23 h ("
    )


def test_the_message_names_the_span_the_instant_and_the_bound() -> None:
    at = datetime.now(UTC) + timedelta(days=12, minutes=1)
    found = failure(of(at.isoformat()), MONTH)
    assert (found.expected, found.observed) == (
        "an expiry in at least 30 d",
        f"expires in 12 d ({at:%Y-%m-%d %H:%M} UTC)",
    )
    rows = {"rows": {"expect": [MONTH]}}
    body = answer(json.dumps([{"name": "tls", "exp": at.isoformat()}]))
    assert describe_unmet(body, failures(body, rows))[1] == (
        f"1 of 1 rows: tls (expires in 12 d ({at:%Y-%m-%d %H:%M} UTC), at least 30 d)."
    )


def test_what_has_expired_is_said() -> None:
    assert failure(of("2001-01-01"), MONTH).observed.endswith(" ago (2001-01-01 00:00 UTC)")


def test_an_upper_bound_holds_for_what_expires_soon_enough() -> None:
    year = {"json": "$.exp", "expires_in": {"at_most": "365d"}}
    assert failures(of((datetime.now(UTC) + timedelta(days=300)).isoformat()), year) == ()
    assert failure(of("2999-01-01"), year).expected == "an expiry in at most 365 d"


@pytest.mark.parametrize("value", [None, "soon", True, [], {}, "", 1e300, -1e300, "9" * 70], ids=str)
def test_what_is_not_an_instant_fails(value: Any) -> None:
    observed = failure(of(value), MONTH).observed
    assert observed == ("no expiry" if value is None else json.dumps(value))


def test_null_and_a_missing_value_hold_if_they_may_be_missing() -> None:
    lenient = {**MONTH, "missing": "ok"}
    assert failures(of(None), lenient) == ()
    assert failures(answer("{}"), lenient) == ()
    assert failure(answer("{}"), MONTH).observed == "no value"
    several = answer(json.dumps([{"exp": None}, {"exp": "2001-01-01"}]))
    assert failure(several, {**lenient, "json": "$[*].exp"}).observed.startswith("expired ")


@pytest.mark.parametrize(
    ("value", "bound"), [("0001-01-01 00:00+14:00", "at_least"), ("9999-12-31 23:59-14:00", "at_most")]
)
def test_an_instant_outside_of_the_calendar_of_utc_is_shown_with_its_offset(value: str, bound: str) -> None:
    assert failure(of(value), {"json": "$.exp", "expires_in": {bound: "30d"}}).observed.endswith(f" ({value})")


@pytest.mark.parametrize(
    ("text", "message"),
    [({}, "has no bound"), ({"at_most": None}, "has no bound"), ({"at_least": 5}, "unit"), ("30d", "expires_in")],
)
def test_a_wrong_bound_is_refused(text: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entries({"json": "$.exp", "expires_in": text})


@settings(max_examples=60)
@given(st.integers(-4000, 4000), st.integers(1, 3000))
def test_the_verdict_is_the_comparison_of_hours(hours: int, bound: int) -> None:
    at = datetime.now(UTC) + timedelta(hours=hours, minutes=30)
    holds = hours >= bound
    rule = {"json": "$.exp", "expires_in": {"at_least": f"{bound}h"}}
    assert (failures(of(at.isoformat()), rule) == ()) is holds
    assert (failures(of(at.timestamp()), rule) == ()) is holds


def test_a_duration_compares_with_a_number_of_seconds() -> None:
    fresh = {"fact": "data_age", "below": "15m"}
    assert failures(answer("{}", facts={"data_age": 899.9}), fresh) == ()
    found = failure(answer("{}", facts={"data_age": 1260.4}), fresh)
    assert str(found) == "fact data_age: expected less than 15 min, observed 21 min"
    assert failure(answer("{}"), fresh).observed == "no value"


def test_a_duration_is_written_as_it_was() -> None:
    written = ENTRIES.dump_python(entries({"fact": "a", "below": "15m"}, MONTH), by_alias=True, mode="json")
    assert written == [{"fact": "a", "below": "15m"}, MONTH]


def test_now_is_an_instant_of_expressions() -> None:
    at = (datetime.now(UTC) + timedelta(days=12)).isoformat()
    assert failures(of(at), {"cel": "timestamp(json.exp) - now > duration('24h')"}) == ()
    assert failure(of(at), {"cel": "timestamp(json.exp) - now > duration('720h')"}).observed == "false"
