"""The explanation of each kind of schedule, as text."""

from __future__ import annotations

from syrupy.assertion import SnapshotAssertion

from jobs.schedules import DefaultSchedule, bind_to_job, parse_schedule
from jobs.schedules.explanations import explain_schedule

SCHEDULES: tuple[object, ...] = (
    "0 0 12 13 * FRI",
    "*/7 9-17 * * MON-FRI",
    "@daily",
    "00:05:00",
    {"every": "90s", "offset": "30s"},
    {"every": "5m", "jitter": "20s"},
    {"cron": "0 0 3 * * *", "timezone": "Europe/Berlin", "dst": {"gap": "end", "repeat": "both"}},
    {"monthly": {"day": ["last-friday", 31], "at": "02:00", "missing_day": "last"}},
    {"monthly": {"day": "nearest-weekday-15", "months": "MAR,JUN"}},
    {"cron": "0 0 3 * * *", "start": "2026-12-01", "except": [{"holidays": "DE"}, {"weekly": {"days": "SAT-SUN"}}]},
    ["@hourly", {"every": "5m", "end": "2026-12-31"}],
)


def test_explanations(text_snapshot: SnapshotAssertion) -> None:
    lines = [f"{each}\n  {explain_schedule(parse_schedule(each))}" for each in SCHEDULES]
    jittered = bind_to_job(parse_schedule({"every": "5m", "jitter": "20s"}), "checkout")
    lines.append(f"with a job\n  {explain_schedule(jittered)}")
    lines.append(f"from the setting\n  {explain_schedule(DefaultSchedule(parse_schedule('@hourly')))}")
    assert "\n".join(lines) == text_snapshot
