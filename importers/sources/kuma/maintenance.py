"""Maps maintenances of Uptime Kuma to windows in which the jobs pause, as its monitors do. Called by source."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from importers.errors import NotCarriedOver
from importers.import_context import ImportContext
from importers.sources.kuma.rows import KumaRow, KumaRows, parse_json_text
from importers.values.cron import convert_cron
from importers.values.reading import write_duration
from importers.values.sections import add_listed_entry

_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_COLUMNS = {
    "single": ("start_date", "end_date"),
    "recurring-interval": ("interval_day", "start_time", "end_time", "cron", "duration"),
    "recurring-weekday": ("weekdays", "start_time", "end_time", "cron", "duration"),
    "recurring-day-of-month": ("days_of_month", "start_time", "end_time", "cron", "duration"),
    "cron": ("cron", "duration"),
}
_MAX_REASON = 500


def import_maintenances(
    context: ImportContext, rows: KumaRows, jobs: Mapping[int, Sequence[str]], server_timezone: str
) -> None:
    """Add a window for each maintenance. `jobs`: the names of the jobs of each monitor."""
    for row in rows.of("maintenance"):
        links = rows.linked("monitor_maintenance", "maintenance_id", row.identifier)
        names = sorted({name for link in links for name in jobs.get(link.whole("monitor_id"), ())})
        try:
            _import_maintenance(context, row, names, server_timezone)
        except NotCarriedOver as error:
            context.ledger.record_rest(row.node, error.why, error.nearest)
            for link in links:
                context.drop(link.node, error.why, error.nearest)
        else:
            for link in links:
                context.use(link.node)


def _import_maintenance(context: ImportContext, row: KumaRow, names: list[str], server_timezone: str) -> None:
    if not row.is_set("active"):
        raise NotCarriedOver("the maintenance is not active")
    if not names:
        raise NotCarriedOver("it has no monitors that were imported")
    strategy = row.text("strategy", "single")
    build = _PERIODS.get(strategy)
    if build is None:
        why = "a window has a beginning and an end" if strategy == "manual" else f"the strategy {strategy} is not known"
        raise NotCarriedOver(why, "start a window by the command windows, or a silence, when you begin")
    zone = row.text("timezone")
    zone = server_timezone if zone in ("", "SAME_AS_SERVER") else zone
    entry: dict[str, Any] = {**build(row, zone), "effect": "pause", "select": {"jobs": names}}
    if row.text("title"):
        entry["reason"] = row.text("title")[:_MAX_REASON]
    name = add_listed_entry(context, "windows", row.text("title") or f"maintenance {row.identifier}", entry)
    for node in row.nodes("title"):
        context.use(node, "" if node.value == name else f"the window is named {name}")
    for node in row.nodes("strategy", "timezone", *_COLUMNS[strategy]):
        context.use(node)
    for node in row.nodes("start_date", "end_date") if strategy != "single" else ():
        context.use(node, "limits of the schedule")
    for node in row.nodes("description"):
        context.drop(node, "a window has a reason of one line, which is the title")


def _single(row: KumaRow, zone: str) -> dict[str, Any]:
    begin, end = _read_instant(row.text("start_date")), _read_instant(row.text("end_date"))
    return {"from": begin, "until": end, "timezone": zone}


def _read_instant(text: str) -> str:
    """`2026-12-01 22:00:00` or `2026-12-01T22:00` -> `2026-12-01T22:00`, a local time."""
    found = re.match(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?)?", text.strip())
    if found is None:
        raise NotCarriedOver("it has no beginning or no end")
    return f"{found[1]}T{found[2] or '00:00'}{found[3] or ''}"


def _weekdays(row: KumaRow, zone: str) -> dict[str, Any]:
    days = sorted({day % 7 for day in _read_list(row, "weekdays") if isinstance(day, int)})
    if not days:
        raise NotCarriedOver("it has no weekdays")
    hour, minute, length = _read_times(row)
    cron = f"0 {minute} {hour} * * {','.join(_WEEKDAYS[day] for day in days)}"
    return _scheduled(row, {"cron": cron}, zone, length)


def _days_of_month(row: KumaRow, zone: str) -> dict[str, Any]:
    hour, minute, length = _read_times(row)
    days: list[Any] = []
    for day in _read_list(row, "days_of_month"):
        last = re.fullmatch(r"lastDay([1-9])", str(day))
        if last is not None:
            days.append("last" if last[1] == "1" else f"last-{int(last[1]) - 1}")
        elif str(day).isdecimal():
            days.append(int(day))
    if not days:
        raise NotCarriedOver("it has no days")
    monthly = {"day": days[0] if len(days) == 1 else days, "at": f"{hour:02d}:{minute:02d}"}
    return _scheduled(row, {"monthly": monthly}, zone, length)


def _interval(row: KumaRow, zone: str) -> dict[str, Any]:
    hour, minute, length = _read_times(row)
    every = row.whole("interval_day", 1)
    if every > 1:
        raise NotCarriedOver(
            f"each {every} days from the last time on cannot be a schedule of local times",
            f"use a schedule of weekdays, or {{every: {every}d, offset: ...}} for a time in UTC",
        )
    return _scheduled(row, {"cron": f"0 {minute} {hour} * * *"}, zone, length)


def _cron(row: KumaRow, zone: str) -> dict[str, Any]:
    schedules = [_with_limits(row, schedule) for schedule in convert_cron(row.text("cron"), zone)]
    return _lasting(row.number("duration"), schedules[0] if len(schedules) == 1 else schedules)


def _scheduled(row: KumaRow, schedule: dict[str, Any], zone: str, seconds: float) -> dict[str, Any]:
    if zone not in ("", "UTC"):
        schedule = {**schedule, "timezone": zone}
    return _lasting(seconds, _with_limits(row, schedule))


def _with_limits(row: KumaRow, schedule: Any) -> dict[str, Any]:
    limited: dict[str, Any] = dict(schedule) if isinstance(schedule, dict) else {"cron": schedule}
    for column, key in (("start_date", "start"), ("end_date", "end")):
        if row.text(column):
            limited[key] = _read_instant(row.text(column))
    return limited


def _lasting(seconds: float, schedule: Any) -> dict[str, Any]:
    if seconds <= 0:
        raise NotCarriedOver("it has no duration")
    return {"schedule": schedule, "for": write_duration(seconds)}


def _read_list(row: KumaRow, column: str) -> list[Any]:
    value = parse_json_text(row.values.get(column))
    return value if isinstance(value, list) else []


def _read_times(row: KumaRow) -> tuple[int, int, float]:
    """Return hour and minute of the beginning, and the seconds until the end, which can be on the next day."""
    times = [re.match(r"(\d{1,2}):(\d\d)", row.text(column)) for column in ("start_time", "end_time")]
    if times[0] is None or times[1] is None:
        raise NotCarriedOver("it has no times of day")
    begin, end = (int(time[1]) * 60 + int(time[2]) for time in times if time is not None)
    return begin // 60, begin % 60, ((end - begin) % 1440 or 1440) * 60.0


_PERIODS: Mapping[str, Callable[[KumaRow, str], dict[str, Any]]] = {
    "single": _single,
    "recurring-weekday": _weekdays,
    "recurring-day-of-month": _days_of_month,
    "recurring-interval": _interval,
    "cron": _cron,
}
