"""Maintenances as windows in which the jobs pause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.config.importers.importing import details
from tests.config.importers.kuma.database import import_monitor, monitor

TIMES = {"start_time": "23:30:00", "end_time": "01:00:00"}


def _import(folder: Path, **columns: Any) -> Any:
    row = {
        "id": 1,
        "title": "Work",
        "description": "",
        "user_id": 1,
        "active": 1,
        "timezone": "Europe/Berlin",
        **columns,
    }
    link = {"monitor_id": 1, "maintenance_id": 1}
    return import_monitor(
        folder, monitor("http", url="https://shop.example/"), maintenance=[row], monitor_maintenance=[link]
    )


def _window(folder: Path, **columns: Any) -> dict[str, Any]:
    (window,) = yaml.safe_load(_import(folder, **columns).text)["alerting"]["windows"]
    assert (window["name"], window["effect"], window["select"]) == ("work", "pause", {"jobs": ["shop"]})
    return dict(window)


def test_a_single_one(tmp_path: Path) -> None:
    window = _window(tmp_path, strategy="single", start_date="2026-12-01T22:00", end_date="2026-12-02 04:00:00")
    assert (window["from"], window["until"]) == ("2026-12-01T22:00", "2026-12-02T04:00:00")
    assert window["timezone"] == "Europe/Berlin"


def test_weekdays_over_midnight(tmp_path: Path) -> None:
    window = _window(tmp_path, strategy="recurring-weekday", weekdays="[1,7]", **TIMES)
    assert window["schedule"] == {"cron": "0 30 23 * * SUN,MON", "timezone": "Europe/Berlin"}
    assert window["for"] == "1h30m"


def test_days_from_the_end_of_the_month(tmp_path: Path) -> None:
    window = _window(tmp_path, strategy="recurring-day-of-month", days_of_month='["lastDay2"]', **TIMES)
    assert window["schedule"]["monthly"] == {"day": "last-1", "at": "23:30"}


def test_each_day_within_dates(tmp_path: Path) -> None:
    dates = {"start_date": "2026-12-01 00:00:00", "end_date": "2026-12-24 00:00:00"}
    schedule = _window(tmp_path, strategy="recurring-interval", interval_day=1, **TIMES, **dates)["schedule"]
    assert schedule["cron"] == "0 30 23 * * *"
    assert (schedule["start"], schedule["end"]) == ("2026-12-01T00:00:00", "2026-12-24T00:00:00")


def test_a_cron_expression_with_both_days(tmp_path: Path) -> None:
    schedules = _window(tmp_path, strategy="cron", cron="0 4 1 * 1", duration=600)["schedule"]
    assert [schedule["cron"] for schedule in schedules] == ["0 4 1 * *", "0 4 * * 1"]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"strategy": "manual"}, "has a beginning and an end"),
        ({"strategy": "recurring-interval", "interval_day": 3, **TIMES}, "each 3 days"),
        ({"strategy": "single", "active": 0}, "not active"),
        ({"strategy": "single", "start_date": "soon", "end_date": "later"}, "no beginning"),
        ({"strategy": "cron", "cron": "0 4 * * *", "duration": 0}, "no duration"),
        ({"strategy": "cron", "cron": "nonsense", "duration": 60}, "cannot be read"),
        ({"strategy": "recurring-weekday", "weekdays": "[]", **TIMES}, "no weekdays"),
        ({"strategy": "lunar"}, "lunar is not known"),
    ],
)
def test_one_without_an_equivalent(tmp_path: Path, columns: dict[str, Any], why: str) -> None:
    report = _import(tmp_path, **columns)
    assert "alerting" not in yaml.safe_load(report.text)
    assert why in details(report)["maintenance.1.title"]
