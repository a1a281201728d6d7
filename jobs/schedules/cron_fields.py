"""The fields of a cron expression, each parsed into a bit mask, and the day fields of Quartz.

The rules are those of the NCrontab library of Azure Functions' timer trigger, including its leniency: names match by
any prefix in any case (`J` is January), a range may be reversed (`5-1` is `1-5`), and a step below one counts as one
(`*/0` is `*`).

`6#3` is the third Saturday where weekdays count from Sunday as 0, and the third Friday in Quartz, which counts from 1.
A `?` or a year identifies an expression as Quartz and converts it as a whole; otherwise both interpretations are given.
Items of Quartz without an exact equivalent have separate remedies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

_NTH_HINT = re.compile(r"([A-Za-z]+|[0-9])#([1-5])")
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
    if nth := _NTH_HINT.fullmatch(item):
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


_STEP_PATTERN = re.compile(r"[+-]?[0-9]{1,9}")
_DIGITS = "0123456789"


class CronFieldError(ValueError):
    """A field is invalid: the problem and its remedy. Becomes a ScheduleError that quotes the whole expression."""

    def __init__(self, problem: str, fix: str = "", *, is_other_dialect: bool = False) -> None:
        super().__init__(problem)
        self.is_other_dialect = is_other_dialect
        """Whether the text is valid in another scheduler's dialect."""
        self.problem = problem
        self.fix = fix


class CronRange(NamedTuple):
    """Every `step`-th value from `start` to `stop`."""

    start: int
    stop: int
    step: int


@dataclass(frozen=True, slots=True)
class CronField:
    """A field of the expression: its valid values, and their names if it has any."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()
    other_dialect_value: tuple[int, str] = (-1, "")
    """A value that other crons allow, and its remedy here."""

    @property
    def full_mask(self) -> int:
        """The mask of `*`."""
        return self._mask(self.lowest, self.highest, 1)

    def parse_mask(self, text: str) -> int:
        """Parse a comma-separated list into its mask. Raises CronFieldError."""
        mask = 0
        for found in self.parse_ranges(text):
            mask |= self._mask(*found)
        return mask

    def parse_ranges(self, text: str) -> list[CronRange]:
        """Parse a comma-separated list into its items, in order. Raises CronFieldError."""
        return [self._item(item) for item in text.split(",")]

    def _item(self, item: str) -> CronRange:
        """Parse `*`, `a`, `a-b`, each also with `/step`; `a/step` extends to the highest value."""
        if not item:
            raise CronFieldError("a value is missing next to a comma", "separate values with single commas, like 1,2")
        base, slash, step_text = item.partition("/")
        step = self._step(step_text, item) if slash else 1
        if base == "*":
            return CronRange(self.lowest, self.highest, step)
        first, dash, last = base.partition("-")
        start = self._value(first, item)
        if dash:
            end = self._value(last, item)
            return CronRange(min(start, end), max(start, end), step)
        return CronRange(start, self.highest if slash else start, step)

    def _step(self, text: str, item: str) -> int:
        if not _STEP_PATTERN.fullmatch(text):
            raise self._not_a_value(text, item, "the step after / is a whole number, like */5")
        return max(int(text), 1)

    def _value(self, text: str, item: str) -> int:
        if text and text[0] in _DIGITS:
            if text.isascii() and text.isdigit():
                return self._in_range(int(text))
        elif text:
            for index, name in enumerate(self.names):
                if name.startswith(text.lower()):
                    return self.lowest + index
        raise self._not_a_value(text, item, f"use {self._allowed}, or a list, a range or */step of them")

    def _in_range(self, value: int) -> int:
        if not self.lowest <= value <= self.highest:
            mend = self.other_dialect_value[1] if value == self.other_dialect_value[0] else ""
            raise CronFieldError(f"{value} is out of range {self.lowest}-{self.highest}", mend)
        return value

    def _not_a_value(self, text: str, item: str, mend: str) -> CronFieldError:
        foreign = explain_quartz_item(item, self.name)
        if foreign:
            return CronFieldError(*foreign, is_other_dialect=True)
        where = "" if text == item else f" (in {item[:40]!r})"
        if not text:
            return CronFieldError(f"a value is missing{where}", mend)
        return CronFieldError(f"{text[:40]!r}{where} is not a value", mend)

    @property
    def _allowed(self) -> str:
        names = f" or a name such as {self.names[0].capitalize()[:3]}" if self.names else ""
        return f"{self.lowest}-{self.highest}{names}"

    @staticmethod
    def _mask(start: int, end: int, step: int) -> int:
        return sum(1 << value for value in range(start, end + 1, step))


SECOND_FIELD = CronField("second", 0, 59)
MINUTE_FIELD = CronField("minute", 0, 59)
HOUR_FIELD = CronField("hour", 0, 23, other_dialect_value=(24, "midnight is 0"))
DAY_FIELD = CronField("day of month", 1, 31)
MONTH_FIELD = CronField(
    "month",
    1,
    12,
    (
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ),
)
WEEKDAY_FIELD = CronField(
    "day of week",
    0,
    6,
    ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
    other_dialect_value=(7, "Sunday is 0"),
)


_NTH = re.compile(r"([A-Z]+|[0-7])#([1-5])", re.IGNORECASE)
_LAST_NAMED = re.compile(r"([A-Z]{3,}|[0-7])L", re.IGNORECASE)
_BEFORE_LAST = re.compile(r"L-([0-9]{1,2})", re.IGNORECASE)
_NEAREST = re.compile(r"([0-9]{1,2})W", re.IGNORECASE)
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_MAX_TIMES = 24
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
    if seconds.bit_count() * minutes.bit_count() * hours.bit_count() > _MAX_TIMES:
        return None
    times = [
        f"'{hour:02}:{minute:02}" + (f":{second:02}'" if second else "'")
        for hour in _values(hours, HOUR_FIELD)
        for minute in _values(minutes, MINUTE_FIELD)
        for second in _values(seconds, SECOND_FIELD)
    ]
    return _listed(times)


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
