"""The comparisons that entries about values share: one of them stands beside the key, `{json: $.status, equals: ok}`.

A value is a JSON value (json, fact, answers) or a text (body, header). How each comparison reads both is in `_HOLDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from jobs.durations import format_duration
from jobs.expectations.answer import Answer
from jobs.expectations.counts import Count
from jobs.expectations.entry import Entry, Written
from jobs.expectations.instants import age_of
from jobs.expectations.numbers import Number, number_of
from jobs.expectations.patterns import Pattern, search
from jobs.expectations.values import JsonField, json_text, same
from jobs.model import Duration
from jobs.wildcards import is_like

Like = Annotated[str, Field(max_length=1000, description="a text in which * stands for anything")]


class Comparison(Written):
    """Exactly one comparison. An entry is one itself (json, header, fact), or holds one (body, answers)."""

    of_texts: ClassVar[bool] = False
    """Whether its values are texts: then `equals: 5` means the text `5`."""

    equals: JsonField = None
    not_equals: JsonField = None
    contains: JsonField = None
    not_contains: JsonField = None
    starts_with: str = ""
    not_starts_with: str = ""
    ends_with: str = ""
    not_ends_with: str = ""
    matches: Pattern = ""
    not_matches: Pattern = ""
    like: Like = ""
    not_like: Like = ""
    one_of: tuple[JsonField, ...] = Field(default=(), min_length=1, max_length=1000)
    below: Number = None
    above: Number = None
    at_least: Number = None
    at_most: Number = None
    length: Count | None = None
    age_below: Annotated[Duration, Field(gt=0)] | None = None
    exists: bool = True

    _name: str = PrivateAttr("")
    """The comparison that was given."""
    _wanted: Any = PrivateAttr(None)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in COMPARISONS if name in self.model_fields_set]
        if not given:
            raise ValueError(f"says not what must hold: add one of {', '.join(COMPARISONS)}")
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} in one entry: make an entry of each")
        (name,) = given
        wanted = getattr(self, name)
        if wanted is None and (self.of_texts or name not in _MAY_BE_NULL):
            raise ValueError(f"{name} has no value")
        self._name, self._wanted = name, _as_texts(name, wanted) if self.of_texts else wanted
        return self

    @property
    def about_existence(self) -> bool:
        return self._name == "exists"

    def holds_for(self, found: Sequence[Any]) -> bool:
        """Whether something was found, and all of it is as it should be. Raises TooMuchWork."""
        if self.about_existence:
            return bool(found) is self._wanted
        return bool(found) and all(map(self.holds, found))

    def holds(self, value: Any) -> bool:
        """Whether one value, which is there, is as it should be. Raises TooMuchWork."""
        if self._name.startswith("not_"):
            return not _HOLDS[self._name[4:]](value, self._wanted)
        return _HOLDS[self._name](value, self._wanted)

    def expected(self, answer: Answer) -> str:
        """What must hold, for people."""
        if self.about_existence:
            return "something" if self._wanted else "nothing"
        name = self._name.removeprefix("not_")
        said = _PHRASES.get(name, "{}").format(self._said(name, answer))
        return said if name == self._name else f"not {said}"

    def shown(self, value: Any, answer: Answer) -> str:
        """A value beside it."""
        return answer.shown(value) if self.of_texts else answer.shown_json(value)

    def _said(self, name: str, answer: Answer) -> str:
        if name == "one_of":
            return ", ".join(self.shown(one, answer) for one in self._wanted[:_SAID])
        if name in _OF_VALUES:
            return self.shown(self._wanted, answer)
        if name == "age_below":
            return format_duration(self._wanted)
        return answer.shown(self._wanted) if isinstance(self._wanted, str) else str(self._wanted)

    def _left_out(self) -> set[str]:
        return super()._left_out() | {name for name in COMPARISONS if name != self._name}


class MayBeMissing(Comparison, Entry):
    """An entry that compares what may be missing; `missing: ok` lets it hold then."""

    missing: Literal["fail", "ok"] = "fail"

    def _left_out(self) -> set[str]:
        return super()._left_out() | ({"missing"} if self.missing == "fail" else set())

    def holds_for(self, found: Sequence[Any]) -> bool:
        if not found and self.missing == "ok" and not self.about_existence:
            return True
        return super().holds_for(found)


COMPARISONS = tuple(Comparison.model_fields)

_MAY_BE_NULL = frozenset({"equals", "not_equals"})
_OF_VALUES = frozenset({"equals", "contains"})
"""Comparisons with a JSON value."""
_SAID = 10
"""Values of a list that a sentence repeats."""

_PHRASES = {
    "contains": "a value with {} in it",
    "starts_with": "a value that begins with {}",
    "ends_with": "a value that ends with {}",
    "matches": "a match of {}",
    "like": "a value like {}",
    "one_of": "one of {}",
    "below": "less than {}",
    "above": "more than {}",
    "at_least": "at least {}",
    "at_most": "at most {}",
    "length": "a length of {}",
    "age_below": "an instant less than {} ago",
}


def text_of(value: Any) -> str:
    """A text as it is, every other value as JSON writes it."""
    return value if isinstance(value, str) else json_text(value)


def length_of(value: Any) -> int:
    """Items of an array, keys of an object, characters of a text, and of any other value as JSON writes it."""
    return len(value) if isinstance(value, (list, dict, str)) else len(json_text(value))


def _as_texts(name: str, wanted: Any) -> Any:
    if name == "one_of":
        return [text_of(one) for one in wanted]
    return text_of(wanted) if name.removeprefix("not_") in _OF_VALUES else wanted


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return any(same(one, wanted) for one in value)
    return text_of(wanted) in text_of(value)


def _by_number(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(value: Any, bound: Any) -> bool:
        number = number_of(value)
        return number is not None and compare(number, bound)

    return holds


def _is_newer(value: Any, longest: float) -> bool:
    age = age_of(value)
    return age is not None and age < longest


_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": same,
    "contains": _contains,
    "starts_with": lambda value, wanted: text_of(value).startswith(wanted),
    "ends_with": lambda value, wanted: text_of(value).endswith(wanted),
    "matches": lambda value, wanted: search(wanted, text_of(value)),
    "like": lambda value, wanted: is_like(text_of(value), wanted),
    "one_of": lambda value, wanted: any(same(value, one) for one in wanted),
    "below": _by_number(lambda number, bound: number < bound),
    "above": _by_number(lambda number, bound: number > bound),
    "at_least": _by_number(lambda number, bound: number >= bound),
    "at_most": _by_number(lambda number, bound: number <= bound),
    "length": lambda value, wanted: wanted.holds(length_of(value)),
    "age_below": _is_newer,
}
