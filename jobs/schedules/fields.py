"""One field of an NCRONTAB expression, read into a bit mask: bit v is set when the value v is in the field.

Called by jobs.schedules.ncrontab. The rules are those of the NCrontab library under Azure Functions' timer trigger,
including its leniency: names match by any prefix in any case (`J` is January), a range may be written backwards
(`5-1` is `1-5`), and a step below one counts as one (`*/0` is `*`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from jobs.schedules.foreign import explain_item

_STEP = re.compile(r"[+-]?[0-9]{1,9}")
_DIGITS = "0123456789"


class FieldError(ValueError):
    """What is wrong with a field, and how to mend it. Becomes a ScheduleError that shows the whole expression."""

    def __init__(self, problem: str, mend: str = "", *, is_foreign: bool = False) -> None:
        super().__init__(problem)
        self.is_foreign = is_foreign
        """Whether another scheduler knows what is written."""
        self.problem = problem
        self.mend = mend


class Range(NamedTuple):
    """Every `step`th value from `start` through `stop`."""

    start: int
    stop: int
    step: int


@dataclass(frozen=True, slots=True)
class Field:
    """A place in the expression: its allowed values, and their names if they have any."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()
    elsewhere: tuple[int, str] = (-1, "")
    """A value that other crons allow, and what it is here."""

    @property
    def everything(self) -> int:
        """The mask of `*`."""
        return self._mask(self.lowest, self.highest, 1)

    def parse(self, text: str) -> int:
        """The mask of a comma-separated list. Raises FieldError."""
        mask = 0
        for found in self.ranges(text):
            mask |= self._mask(*found)
        return mask

    def ranges(self, text: str) -> list[Range]:
        """The items of a comma-separated list, as they are written. Raises FieldError."""
        return [self._item(item) for item in text.split(",")]

    def _item(self, item: str) -> Range:
        """`*`, `a`, `a-b`, each also with `/step`; `a/step` goes on to the highest value."""
        if not item:
            raise FieldError("a value is missing beside a comma", "separate values with single commas, like 1,2")
        base, slash, step_text = item.partition("/")
        step = self._step(step_text, item) if slash else 1
        if base == "*":
            return Range(self.lowest, self.highest, step)
        first, dash, last = base.partition("-")
        start = self._value(first, item)
        if dash:
            end = self._value(last, item)
            return Range(min(start, end), max(start, end), step)
        return Range(start, self.highest if slash else start, step)

    def _step(self, text: str, item: str) -> int:
        if not _STEP.fullmatch(text):
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
            mend = self.elsewhere[1] if value == self.elsewhere[0] else ""
            raise FieldError(f"{value} is out of range {self.lowest}-{self.highest}", mend)
        return value

    def _not_a_value(self, text: str, item: str, mend: str) -> FieldError:
        foreign = explain_item(item, self.name)
        if foreign:
            return FieldError(*foreign, is_foreign=True)
        where = "" if text == item else f" (in {item[:40]!r})"
        if not text:
            return FieldError(f"a value is missing{where}", mend)
        return FieldError(f"{text[:40]!r}{where} is not a value", mend)

    @property
    def _allowed(self) -> str:
        names = f" or a name such as {self.names[0].capitalize()[:3]}" if self.names else ""
        return f"{self.lowest}-{self.highest}{names}"

    @staticmethod
    def _mask(start: int, end: int, step: int) -> int:
        return sum(1 << value for value in range(start, end + 1, step))


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23, elsewhere=(24, "midnight is 0"))
DAY = Field("day of month", 1, 31)
MONTH = Field(
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
WEEKDAY = Field(
    "day of week",
    0,
    6,
    ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
    elsewhere=(7, "Sunday is 0"),
)
