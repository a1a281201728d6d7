"""One field of a cron expression in plain English. Called by jobs.schedules.explanations.cron."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs.schedules.cron.fields import DAY_FIELD, MONTH_FIELD, WEEKDAY_FIELD, CronField, CronRange

_ORDINALS = ("zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_LABELLED = (MONTH_FIELD, WEEKDAY_FIELD)


def join_words(words: Iterable[str]) -> str:
    """Format as `a`, `a and b`, `a, b, and c`."""
    *head, last = words
    return f"{', '.join(head)}{',' if len(head) > 1 else ''} and {last}" if head else last


def ordinal(number: int) -> str:
    """Format as `first`, `10th`, `21st`."""
    if number < len(_ORDINALS):
        return _ORDINALS[number]
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 != 1 else "th"
    return f"{number}{ending}"


@dataclass(frozen=True, slots=True)
class FieldWords:
    """The items of a field, and their description."""

    field: CronField
    items: tuple[CronRange, ...]

    @staticmethod
    def from_text(field: CronField, text: str) -> FieldWords:
        """Parse the field's text, which must be valid."""
        found: dict[CronRange, None] = {}
        for item in field.parse_ranges(text):
            pair = item.step == 1 and item.stop == item.start + 1
            halves = [CronRange(value, value, 1) for value in (item.start, item.stop)] if pair else [item]
            found.update(dict.fromkeys(halves))
        return FieldWords(field, tuple(found))

    @property
    def covers_all(self) -> bool:
        """Whether the field matches every value."""
        return all(self.is_whole(item) and item.step == 1 for item in self.items)

    @property
    def values(self) -> list[int] | None:
        """The values, if each one is listed; otherwise None."""
        return [item.start for item in self.items] if all(map(_is_single, self.items)) else None

    @property
    def only_value(self) -> int | None:
        """The value, if the field has exactly one."""
        values = self.values
        return values[0] if values is not None and len(values) == 1 else None

    def is_whole(self, item: CronRange) -> bool:
        """Whether the item covers the whole field, with or without a step."""
        return item.start == self.field.lowest and item.stop == self.field.highest

    @property
    def text(self) -> str:
        """For example `minutes 1 and 5`, `every fifth minute`, `the first and the 15th day of month`."""
        values = self.values
        if values is not None and len(values) > 1:
            return self._together(values)
        return join_words(self._item(item) for item in self.items)

    @property
    def text_with_at(self) -> str:
        """The text, with `at` in front if the field lists values."""
        return f"at {self.text}" if any(map(_is_single, self.items)) else self.text

    @property
    def name(self) -> str:
        """For example `minute`, `day of month`."""
        return self.field.name

    def label(self, value: int) -> str:
        """Format a value as `5`, `January`, `Monday`."""
        return self.field.names[value - self.field.lowest].capitalize() if self.field.names else str(value)

    def every_text(self, step: int) -> str:
        """Format a step as `every minute`, `every fifth minute`."""
        return f"every {self.name}" if step == 1 else f"every {ordinal(step)} {self.name}"

    def _together(self, values: list[int]) -> str:
        if self.field is DAY_FIELD:
            return f"{join_words(f'the {ordinal(value)}' for value in values)} day of month"
        names = join_words(map(self.label, values))
        return names if self.field in _LABELLED else f"{self.name}s {names}"

    def _item(self, item: CronRange) -> str:
        if _is_single(item):
            return self._single(item.start)
        if self.is_whole(item) and not (self.field is WEEKDAY_FIELD and item.step == 1):
            return self.every_text(item.step)
        ends = f"{self.label(item.start)} through {self.label(item.stop)}"
        return ends if self.field is WEEKDAY_FIELD and item.step == 1 else f"{self.every_text(item.step)} from {ends}"

    def _single(self, value: int) -> str:
        if self.field is DAY_FIELD:
            return f"the {ordinal(value)} day of month"
        return self.label(value) if self.field in _LABELLED else f"{self.name} {value}"


def _is_single(item: CronRange) -> bool:
    return item.start == item.stop
