"""Converts the day fields of Quartz expressions to the forms that are supported here.

Called by jobs.schedules.cron.ncrontab and jobs.schedules.calendars.month_days for error messages; accepts nothing.
`6#3` is the third Saturday where weekdays count from Sunday as 0, and the third Friday in Quartz, which counts from 1.
A `?` or a year identifies an expression as Quartz; otherwise both interpretations are given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.schedules.cron.fields import (
    DAY_FIELD,
    HOUR_FIELD,
    MINUTE_FIELD,
    MONTH_FIELD,
    SECOND_FIELD,
    WEEKDAY_FIELD,
    CronField,
    CronFieldError,
)

_NTH = re.compile(r"([A-Z]+|[0-7])#([1-5])", re.IGNORECASE)
_LAST_NAMED = re.compile(r"([A-Z]{3,}|[0-7])L", re.IGNORECASE)
_BEFORE_LAST = re.compile(r"L-([0-9]{1,2})", re.IGNORECASE)
_NEAREST = re.compile(r"([0-9]{1,2})W", re.IGNORECASE)
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_MOST_TIMES = 24
"""Maximum number of times of day in a conversion."""


@dataclass(frozen=True, slots=True)
class QuartzExpression:
    """The fields of an expression, second first, and the number of Sunday."""

    fields: tuple[str, ...]
    sunday: int

    @staticmethod
    def from_fields(parts: Sequence[str], sunday: int) -> QuartzExpression:
        six = parts if len(parts) > 5 else ("0", *parts)
        return QuartzExpression(tuple("*" if part == "?" else part for part in six[:6]), sunday)

    def find_equivalent(self) -> str | None:
        """Return an equivalent `monthly` mapping or NCRONTAB expression; None if none is exact."""
        try:
            day, weekday = self.fields[3], self.fields[5]
            days = self._days(day, weekday)
            if days is None:
                return self._ncrontab()
            times = [
                field.parse_mask(text)
                for field, text in zip((SECOND_FIELD, MINUTE_FIELD, HOUR_FIELD), self.fields, strict=False)
            ]
            months = MONTH_FIELD.parse_mask(self.fields[4])
        except CronFieldError:
            return None
        at = _times(*times)
        return None if at is None else f"{{monthly: {{day: {_listed(days)}, at: {at}{_months(months)}}}}}"

    def _days(self, day: str, weekday: str) -> list[str] | None:
        """Return the days for `monthly`; None if NCRONTAB can express them. Raises CronFieldError if neither can."""
        if weekday.upper() == "L":
            return None if day == "*" else _raise()
        named = [self.named_weekday(item) for item in weekday.split(",")]
        if any(named) and day == "*":
            return [one for one in named if one is not None] if all(named) else _raise()
        if any(named):
            return _raise()
        found = [name for item in day.split(",") for name in _month_days(item)]
        if all(name.isdigit() for name in found):
            return None
        return found if weekday == "*" else _raise()

    def named_weekday(self, item: str) -> str | None:
        """Convert `FRI#2` to `second-friday`, `5L` to `last-friday`; None for anything else."""
        nth, last = _NTH.fullmatch(item), _LAST_NAMED.fullmatch(item)
        if nth is None and last is None:
            return None
        found = nth or last
        assert found is not None
        place = _ORDINALS[int(found[2]) - 1] if nth else "last"
        return f"{place}-{WEEKDAY_FIELD.names[self._weekday(found[1])]}"

    def _weekday(self, text: str) -> int:
        if text.isdigit():
            if int(text) < self.sunday:
                raise CronFieldError("no weekday")
            return (int(text) - self.sunday) % 7
        return WEEKDAY_FIELD.parse_ranges(text)[0].start

    def _ncrontab(self) -> str | None:
        """Return the expression without `?` and with weekdays that count from 0."""
        weekday = re.sub(r"(?<![/#\dA-Za-z])\d+", lambda number: str(self._weekday(number[0])), self.fields[5])
        fields = [*self.fields[:5], "SAT" if weekday.upper() == "L" else weekday]
        for field, text in zip(
            (SECOND_FIELD, MINUTE_FIELD, HOUR_FIELD, DAY_FIELD, MONTH_FIELD, WEEKDAY_FIELD), fields, strict=True
        ):
            field.parse_mask(text)
        return repr(" ".join(fields))


def suggest_equivalent(parts: Sequence[str]) -> str | None:
    """Return the equivalent of a Quartz expression, with both interpretations if they differ; None if none exists."""
    is_quartz = len(parts) == 7 or "?" in parts
    if len(parts) not in (5, 6, 7) or (len(parts) == 7 and parts[6] not in ("*", "?")):
        return None
    offers = {sunday: QuartzExpression.from_fields(parts, sunday).find_equivalent() for sunday in (0, 1)}
    if is_quartz:
        return offers[1]
    if offers[0] is None or offers[0] == offers[1] or offers[1] is None:
        return offers[0]
    return f"{offers[0]} (or {offers[1]}, if Sunday is 1 in the original dialect, as in Quartz)"


def month_day_name(item: str) -> str | None:
    """Convert `L`, `LW`, `15W`, `FRI#2` or `FRIL` to a name for `monthly.day`; None for anything else."""
    try:
        named = QuartzExpression((), 0).named_weekday(item)
        return named or next((name for name in _month_days(item) if not name.isdigit()), None)
    except CronFieldError:
        return None


def _month_days(item: str) -> list[str]:
    """Convert an item of the day field to names for `monthly.day`. Raises CronFieldError."""
    upper = item.upper()
    if upper in ("LW", "WL"):
        return ["last-weekday"]
    if upper == "L":
        return ["last"]
    if back := _BEFORE_LAST.fullmatch(item):
        return [f"last-{int(back[1])}"]
    if nearest := _NEAREST.fullmatch(item):
        return ["first-weekday"] if int(nearest[1]) == 1 else [f"nearest-weekday-{int(nearest[1])}"]
    mask = DAY_FIELD.parse_mask(item)
    return [str(day) for day in range(1, 32) if mask >> day & 1]


def _times(seconds: int, minutes: int, hours: int) -> str | None:
    if seconds.bit_count() * minutes.bit_count() * hours.bit_count() > _MOST_TIMES:
        return None
    found = [
        f"'{hour:02}:{minute:02}" + (f":{second:02}'" if second else "'")
        for hour in _values(hours, HOUR_FIELD)
        for minute in _values(minutes, MINUTE_FIELD)
        for second in _values(seconds, SECOND_FIELD)
    ]
    return _listed(found)


def _months(mask: int) -> str:
    if mask == MONTH_FIELD.full_mask:
        return ""
    return f", months: {_listed([MONTH_FIELD.names[month - 1][:3].upper() for month in _values(mask, MONTH_FIELD)])}"


def _values(mask: int, field: CronField) -> list[int]:
    return [value for value in range(field.lowest, field.highest + 1) if mask >> value & 1]


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _raise() -> list[str]:
    raise CronFieldError("no supported form expresses this")
