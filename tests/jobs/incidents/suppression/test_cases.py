"""The windows of Cloudprober and Gatus, by the functions that decide about runs and notifications."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from jobs.incidents.suppression.finding import SuppressionSet, find_suppression
from jobs.incidents.suppression.windows import AlertSubject
from tests.jobs.incidents.suppression.dialects import cloudprober_period, cloudprober_window, gatus_window
from tests.jobs.incidents.world import find_pause

_FILE = Path(__file__).parents[3] / "data" / "suppression" / "windows.json"
_DATA: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
SUBJECT = AlertSubject("checkout", "http", "down")

CONTRADICTIONS = {
    "18:00 16:00": "Cloudprober has no daily period over midnight; here `to` before `from` is on the following day, as "
    "in `except` of a schedule.",
}
"""Cases that are answered differently, with the reason."""


def cases(kind: str) -> list[dict[str, Any]]:
    return [case for case in _DATA["cases"] if case["kind"] == kind]


def test_every_case_is_used() -> None:
    kinds = ("schedule", "parse", "period", "gatus-config", "gatus-daily")
    assert sum(len(cases(kind)) for kind in kinds) == len(_DATA["cases"])


@pytest.mark.parametrize("case", cases("schedule"), ids=lambda case: f"{case['set']} {case['at']}")
def test_a_job_runs_when_cloudprober_checks(case: dict[str, Any]) -> None:
    windows = [cloudprober_window(text, f"w{number}") for number, text in enumerate(_DATA["sets"][case["set"]])]
    rules, at = SuppressionSet(tuple(windows)), datetime.fromisoformat(case["at"]).astimezone(UTC)

    assert (find_pause(SUBJECT, rules, at) is None) == case["enabled"]
    assert (find_suppression(SUBJECT, rules, at) is None) == case["enabled"]


@pytest.mark.parametrize("case", cases("parse"), ids=lambda case: case["period"])
def test_a_period_is_valid_as_in_cloudprober(case: dict[str, Any]) -> None:
    is_valid = case["is_valid"] != (case["period"] in CONTRADICTIONS)
    if is_valid:
        cloudprober_period(case["period"])
    else:
        with pytest.raises(ValidationError, match="to: is not after from"):
            cloudprober_period(case["period"])


@pytest.mark.parametrize("case", cases("period"), ids=lambda case: case["at"])
def test_an_instant_is_inside_as_in_cloudprober(case: dict[str, Any]) -> None:
    rules = SuppressionSet((cloudprober_period(case["period"], case["timezone"]),))

    found = find_suppression(SUBJECT, rules, datetime.fromisoformat(case["at"]))
    assert (found is not None) == case["is_inside"]


@pytest.mark.parametrize("case", cases("gatus-config"), ids=lambda case: case["name"])
def test_a_window_is_valid_as_in_gatus(case: dict[str, Any]) -> None:
    if case["is_valid"]:
        gatus_window(case["config"])
    else:
        config = {"duration_min": 60, **case["config"]}  # Gatus reports the first problem, not the missing duration
        with pytest.raises(ValidationError, match=r"weekday|time of day|greater than 0|IANA time zone"):
            gatus_window(config)


@pytest.mark.parametrize("now", ["2026-03-01T00:10:00+00:00", "2026-03-28T23:59:59+00:00", "2024-02-29T12:00:00+00:00"])
@pytest.mark.parametrize("case", cases("gatus-daily"), ids=lambda c: f"{c['hours']}h, {c['started_hours_ago']}h ago")
def test_a_daily_window_covers_what_it_covers_in_gatus(case: dict[str, Any], now: str) -> None:
    at = datetime.fromisoformat(now)
    start = (at - timedelta(hours=case["started_hours_ago"])).astimezone(ZoneInfo(case["timezone"]))
    config = {"start": f"{start:%H}:00", "duration_min": case["hours"] * 60, "tz": case["timezone"]}
    if "every_in_days" in case:
        config["every"] = [f"{start + timedelta(days=case['every_in_days']):%A}"]

    found = find_suppression(SUBJECT, SuppressionSet((gatus_window(config),)), at)
    assert (found is not None) == case["is_inside"]
