"""Detects Quartz syntax in an invalid NCRONTAB expression, and explains the remedy.

Called by jobs.schedules.cron.fields and jobs.schedules.cron.ncrontab for error messages; accepts nothing. These
remedies are for items without an exact equivalent; jobs.schedules.cron.quartz converts whole expressions.
"""

from __future__ import annotations

import re

_NTH = re.compile(r"([A-Za-z]+|[0-9])#([1-5])")
_LAST_WEEKDAY = re.compile(r"([0-7]|[A-Z]{3})L", re.IGNORECASE)
_LAST_DAY = re.compile(r"L(-[0-9]{1,2})?", re.IGNORECASE)
_WORKDAY = re.compile(r"(L|[0-9]{1,2})W", re.IGNORECASE)


def explain_quartz_item(item: str, field: str) -> tuple[str, str] | None:
    """Return the problem and its remedy if the item is Quartz syntax; otherwise None."""
    if "?" in item:
        return "? is Quartz, not NCRONTAB", "write * instead"
    if field == "day of week":
        return _explain_weekday(item)
    if field == "day of month":
        return _explain_day(item)
    return None


def _explain_weekday(item: str) -> tuple[str, str] | None:
    if nth := _NTH.fullmatch(item):
        weekday, number = nth[1], int(nth[2])
        days = f"{7 * number - 6}-{min(7 * number, 31)}"
        return (
            f"{item} (number {number} of the month) is Quartz, not NCRONTAB",
            f"write {days} as day of month and {weekday} as day of week: NCRONTAB requires both to match",
        )
    if "#" in item:
        return "# is Quartz, not NCRONTAB", "the second Monday is {monthly: {day: second-monday}}"
    if _LAST_WEEKDAY.fullmatch(item) or _LAST_DAY.fullmatch(item):
        return f"{item} (the last one) is Quartz, not NCRONTAB", "write {monthly: {day: last-friday, at: '02:00'}}"
    return None


def _explain_day(item: str) -> tuple[str, str] | None:
    if _LAST_DAY.fullmatch(item):
        return f"{item} (the last day) is Quartz, not NCRONTAB", "write {monthly: {day: last, at: '02:00'}}"
    if _WORKDAY.fullmatch(item):
        return (
            f"{item} (a workday) is Quartz, not NCRONTAB",
            "write {monthly: {day: last-weekday, at: '02:00'}}, or nearest-weekday-15",
        )
    return None


def explain_field_count(count: int, offer: str | None = None) -> str:
    """Explain an expression with neither five nor six fields; `offer`: the equivalent of its other fields."""
    if count == 7:
        if offer is not None:
            return f"NCRONTAB has no year field, write {offer}"
        return "NCRONTAB has no year field, remove the last one"
    return "write minute hour day month weekday, preceded by the second if there are six"


def explain_word(word: str) -> str:
    """Explain a schedule that is a single word."""
    if word.isascii() and word.isdigit():
        return f"Azure Functions would read {word} days, write {{every: {word}d}}, or {{every: {word}s}} for seconds"
    if len(word) > 2 and word.startswith("%") and word.endswith("%"):
        return "job files do not expand app settings; write the expression itself"
    return "write fields like '0 */5 * * * *', a TimeSpan like 00:05:00, or {every: 5m}"
