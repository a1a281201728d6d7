"""The comparisons of entries about values: exactly one next to the key, `{json: $.status, equals: ok}`.

A value is a JSON value (json, fact, answers) or a text (body, header). `_PREDICATES` defines each comparison. Numbers
and instants are read by measures.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import eq, ge, gt, le, lt
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from jobs.expectations.engines.regular_expressions import PatternField, search
from jobs.expectations.entry import ExpectationEntry, JsonField, JudgedAnswer, SparseModel, is_json_equal, to_json_text
from jobs.expectations.measures import (
    MAX_NUMBER,
    ExpiryBounds,
    NumberField,
    age_seconds,
    describe_expiry,
    read_duration,
    read_number,
)
from jobs.formats import (
    MAX_DURATION,
    describe_span,
    format_duration,
    matches_wildcard,
)
from jobs.model_base import Duration, FrozenModel


class CountBounds(FrozenModel):
    """One number, `3`, or bounds that must all hold: `{at_least: 1, below: 10}`."""

    equals: int | None = Field(default=None, ge=0)
    below: int | None = Field(default=None, ge=0)
    above: int | None = Field(default=None, ge=0)
    at_least: int | None = Field(default=None, ge=0)
    at_most: int | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _read_number(cls, value: Any) -> Any:
        return {"equals": value} if isinstance(value, int) and not isinstance(value, bool) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": 0}, handler(core_schema)]}

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if not self._bounds():
            raise ValueError("has no bound: write a number, or one of " + ", ".join(type(self).model_fields))
        return self

    @model_serializer(mode="wrap")
    def _serialize(self, write: SerializerFunctionWrapHandler) -> Any:
        bounds = {key: value for key, value in write(self).items() if value is not None}
        return bounds["equals"] if bounds.keys() == {"equals"} else bounds

    def holds(self, number: int) -> bool:
        return all(_BOUND_PREDICATES[name](number, bound) for name, bound in self._bounds())

    def __str__(self) -> str:
        return ", ".join(BOUND_PHRASES.get(name, "{}").format(bound) for name, bound in self._bounds())

    def _bounds(self) -> list[tuple[str, int]]:
        return [(name, bound) for name in _BOUND_PREDICATES if (bound := getattr(self, name)) is not None]


_BOUND_PREDICATES = {"equals": eq, "below": lt, "above": gt, "at_least": ge, "at_most": le}
BOUND_PHRASES = {
    "below": "less than {}",
    "above": "more than {}",
    "at_least": "at least {}",
    "at_most": "at most {}",
}
"""How a failure describes a bound."""


Like = Annotated[str, Field(max_length=1000, description="a text in which * matches any text")]


class Comparison(SparseModel):
    """Exactly one comparison: base of an entry (json, header, fact), or the value of its key (body, answers)."""

    compares_texts: ClassVar[bool] = False
    """Whether it compares texts: `equals: 5` then means the text `5`."""

    equals: JsonField = None
    not_equals: JsonField = None
    contains: JsonField = None
    not_contains: JsonField = None
    starts_with: str = ""
    not_starts_with: str = ""
    ends_with: str = ""
    not_ends_with: str = ""
    matches: PatternField = ""
    not_matches: PatternField = ""
    like: Like = ""
    not_like: Like = ""
    one_of: tuple[JsonField, ...] = Field(default=(), min_length=1, max_length=1000)
    below: NumberField = None
    above: NumberField = None
    at_least: NumberField = None
    at_most: NumberField = None
    length: CountBounds | None = None
    age_below: Annotated[Duration, Field(gt=0)] | None = None
    expires_in: ExpiryBounds | None = None
    exists: bool = True

    _name: str = PrivateAttr("")
    """The key of the comparison."""
    _operand: Any = PrivateAttr(None)

    @model_validator(mode="after")
    def _check_one_comparison(self) -> Self:
        given = [name for name in COMPARISONS if name in self.model_fields_set]
        if not given:
            raise ValueError(f"has no comparison: add one of {', '.join(COMPARISONS)}")
        if len(given) > 1:
            raise ValueError(f"has {' and '.join(given)} in one entry: write one entry for each")
        (name,) = given
        operand = getattr(self, name)
        if operand is None and (self.compares_texts or name not in _NULLABLE_COMPARISONS):
            raise ValueError(f"{name} has no value")
        if name in BOUND_PHRASES and isinstance(operand, str):
            operand = read_duration(operand)
        self._name, self._operand = name, _as_texts(name, operand) if self.compares_texts else operand
        return self

    @property
    def is_existence_check(self) -> bool:
        return self._name == "exists"

    def holds_for_all(self, values: Sequence[Any]) -> bool:
        """Whether there is a value, and the comparison holds for all of them. Raises LimitExceeded."""
        if self.is_existence_check:
            return bool(values) is self._operand
        return bool(values) and all(map(self.holds, values))

    def holds(self, value: Any) -> bool:
        """Whether the comparison holds for this value. Raises LimitExceeded."""
        if self._name.startswith("not_"):
            return not _PREDICATES[self._name[4:]](value, self._operand)
        return _PREDICATES[self._name](value, self._operand)

    def describe_expected(self, answer: JudgedAnswer) -> str:
        """Describe the expected value for a failure."""
        if self.is_existence_check:
            return "a value" if self._operand else "no value"
        name = self._name.removeprefix("not_")
        phrase = _PHRASES.get(name, "{}").format(self._describe_operand(name, answer))
        return phrase if name == self._name else f"not {phrase}"

    def describe_observed(self, value: Any, answer: JudgedAnswer) -> str:
        """Write a compared value for a failure."""
        if self._name == "expires_in":
            return describe_expiry(value) or ("no expiry" if value is None else answer.format_json(value))
        if self._is_span and (number := read_number(value)) is not None and abs(number) <= MAX_DURATION:
            return describe_span(number)
        return answer.format_json(value)

    def describe_bound(self, answer: JudgedAnswer) -> str:
        """Describe the expected value behind an observed one: `below 1`, `at least 30 d`, `expected "ok"`."""
        if self._name in BOUND_PHRASES:
            return f"{self._name.replace('_', ' ')} {self._describe_operand(self._name, answer)}"
        return str(self._operand) if self._name == "expires_in" else f"expected {self.describe_expected(answer)}"

    def measure_excess(self, value: Any) -> float:
        """Return how far a value is from its bound, to find the worst of several; 0 without a measure."""
        if self.expires_in is not None:
            return self.expires_in.measure_excess(value)
        number = read_number(value) if self._name in BOUND_PHRASES else None
        # An integer of JSON can be beyond the range of a float.
        return 0.0 if number is None else float(abs(min(max(number, -MAX_NUMBER), MAX_NUMBER) - self._operand))

    @property
    def _is_span(self) -> bool:
        return self._name in BOUND_PHRASES and isinstance(getattr(self, self._name), str)

    def format_operand(self, value: Any, answer: JudgedAnswer) -> str:
        """Write a value for a failure as this comparison reads it."""
        return answer.quote_text(value) if self.compares_texts else answer.format_json(value)

    def _describe_operand(self, name: str, answer: JudgedAnswer) -> str:
        if name == "one_of":
            return ", ".join(self.format_operand(one, answer) for one in self._operand[:_MAX_LISTED_VALUES])
        if name in _JSON_COMPARISONS:
            return self.format_operand(self._operand, answer)
        if name == "age_below":
            return format_duration(self._operand)
        if self._is_span:
            return describe_span(self._operand)
        return answer.quote_text(self._operand) if isinstance(self._operand, str) else str(self._operand)

    def _omitted_keys(self) -> set[str]:
        return super()._omitted_keys() | {name for name in COMPARISONS if name != self._name}


class OptionalValueEntry(Comparison, ExpectationEntry):
    """An entry about a value that can be missing; `missing: ok` lets it hold then."""

    missing: Literal["fail", "ok"] = "fail"

    def _omitted_keys(self) -> set[str]:
        return super()._omitted_keys() | ({"missing"} if self.missing == "fail" else set())

    def holds_for_all(self, values: Sequence[Any]) -> bool:
        if not values and self.missing == "ok" and not self.is_existence_check:
            return True
        return super().holds_for_all(values)

    def holds(self, value: Any) -> bool:
        is_without_expiry = value is None and self.missing == "ok" and self.expires_in is not None
        return is_without_expiry or super().holds(value)


COMPARISONS = tuple(Comparison.model_fields)

_NULLABLE_COMPARISONS = frozenset({"equals", "not_equals"})
_JSON_COMPARISONS = frozenset({"equals", "contains"})
"""Comparisons whose operand is a JSON value."""
_MAX_LISTED_VALUES = 10
"""Values of `one_of` that a failure lists."""

_PHRASES = {
    "contains": "a value that contains {}",
    "starts_with": "a value that starts with {}",
    "ends_with": "a value that ends with {}",
    "matches": "a match of {}",
    "like": "a value that matches {}",
    "one_of": "one of {}",
    **BOUND_PHRASES,
    "length": "a length of {}",
    "age_below": "an instant less than {} ago",
    "expires_in": "an expiry in {}",
}


def comparison_text(value: Any) -> str:
    """Return a text unchanged, and every other value as JSON."""
    return value if isinstance(value, str) else to_json_text(value)


def measure_length(value: Any) -> int:
    """Count the items of an array, the keys of an object, or the characters of a text or of any other value's JSON."""
    return len(value) if isinstance(value, (list, dict, str)) else len(to_json_text(value))


def _as_texts(name: str, operand: Any) -> Any:
    if name == "one_of":
        return [comparison_text(one) for one in operand]
    return comparison_text(operand) if name.removeprefix("not_") in _JSON_COMPARISONS else operand


def _contains(value: Any, operand: Any) -> bool:
    if isinstance(value, list):
        return any(is_json_equal(one, operand) for one in value)
    return comparison_text(operand) in comparison_text(value)


def _by_number(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(value: Any, bound: Any) -> bool:
        number = read_number(value)
        return number is not None and compare(number, bound)

    return holds


def _is_newer(value: Any, longest: float) -> bool:
    age = age_seconds(value)
    return age is not None and age < longest


_PREDICATES: dict[str, Callable[[Any, Any], bool]] = {
    "equals": is_json_equal,
    "contains": _contains,
    "starts_with": lambda value, operand: comparison_text(value).startswith(operand),
    "ends_with": lambda value, operand: comparison_text(value).endswith(operand),
    "matches": lambda value, operand: search(operand, comparison_text(value)),
    "like": lambda value, operand: matches_wildcard(comparison_text(value), operand),
    "one_of": lambda value, operand: any(is_json_equal(value, one) for one in operand),
    "below": _by_number(lt),
    "above": _by_number(gt),
    "at_least": _by_number(ge),
    "at_most": _by_number(le),
    "length": lambda value, operand: operand.holds(measure_length(value)),
    "age_below": _is_newer,
    "expires_in": lambda value, operand: operand.holds(value),
}
