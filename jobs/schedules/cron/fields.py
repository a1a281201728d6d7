"""One field of an NCRONTAB expression, parsed into a bit mask: bit v is set if the field matches the value v.

Called by jobs.schedules.cron.ncrontab. The rules are those of the NCrontab library of Azure Functions' timer trigger,
including its leniency: names match by any prefix in any case (`J` is January), a range may be reversed (`5-1` is
`1-5`), and a step below one counts as one (`*/0` is `*`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from jobs.schedules.cron.quartz_hints import explain_quartz_item

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
