"""Maintenance windows of other programs in the form of ours. The end of Cloudprober's is the last minute inside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from jobs.incidents.suppression.windows import MaintenanceWindow

_DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")


def cloudprober_window(text: str, name: str) -> MaintenanceWindow:
    """`enable start=07:00 end=18:00 tz=America/New_York`: checks run only then; `disable ...`: not then."""
    kind, *rest = text.split()
    values = dict(one.split("=") for one in rest)
    return MaintenanceWindow.model_validate(
        {
            "name": name,
            "select": {"all": True},
            "effect": "pause",
            "only_then": kind == "enable",
            "timezone": values["tz"],
            "weekly": _weekly(values),
        }
    )


def cloudprober_period(period: str, timezone: str = "UTC") -> MaintenanceWindow:
    """`18:00 19:00` or `FRIDAY 21:00 SUNDAY 17:00`."""
    parts = period.split()
    keys = ("start", "end") if len(parts) == 2 else ("start_weekday", "start", "end_weekday", "end")
    return MaintenanceWindow.model_validate(
        {
            "name": "period",
            "timezone": timezone,
            "select": {"all": True},
            "weekly": _weekly(dict(zip(keys, parts, strict=True))),
        }
    )


def gatus_window(config: Mapping[str, Any]) -> MaintenanceWindow:
    """`start: "23:00"` for a duration, on each day or on those of `every`."""
    return MaintenanceWindow.model_validate(
        {
            "name": "maintenance",
            "select": {"all": True},
            "weekly": {
                "from": config.get("start", "00:00"),
                **({"days": config["every"]} if "every" in config else {}),
            },
            **({"for": f"{config['duration_min']}m"} if "duration_min" in config else {}),
            **({"timezone": config["tz"]} if "tz" in config else {}),
        }
    )


def _weekly(values: Mapping[str, str]) -> dict[str, str]:
    begin, end = values.get("start", "00:00"), values.get("end", "23:59")
    first, last = values.get("start_weekday"), values.get("end_weekday")
    if first is None or last is None:
        return {"from": begin, "to": _minute_after(end)}
    if end == "23:59":
        return {"from": f"{first} {begin}", "to": f"{_DAYS[(_DAYS.index(last) + 1) % 7]} 00:00"}
    return {"from": f"{first} {begin}", "to": f"{last} {_minute_after(end)}"}


def _minute_after(time: str) -> str:
    later = datetime.strptime(time, "%H:%M") + timedelta(minutes=1)
    return "24:00" if later.day > 1 else f"{later:%H:%M}"
