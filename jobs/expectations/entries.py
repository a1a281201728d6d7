"""The entries of `expect`: each a frozen model chosen by its key, which tells of an answer what does not hold.

A new one: its class here and its line in `Expectation`. An entry's `unmet` returns at once, raises nothing and gives
None when the expectation holds.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ByteSize,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from jobs.expectations.answer import Answer, NotJson, size_text
from jobs.expectations.patterns import Pattern, TooMuchWork, search
from jobs.expectations.queries import Query, select
from jobs.expectations.statuses import Ranges, Statuses, format_statuses
from jobs.expectations.values import JsonField, json_text, same
from jobs.model import HEADER_NAME, Duration, Frozen, by_key
from jobs.runs import Failure


class StatusIs(Frozen):
    """The HTTP status is one of these."""

    status: Statuses

    def unmet(self, answer: Answer) -> Failure | None:
        return unexpected_status(answer.seen.status, self.status, format_statuses(self.status))


class ResponseTimeBelow(Frozen):
    """The whole attempt, from the name's resolution to the body's end, took less than this."""

    response_time_below: Annotated[Duration, Field(gt=0)]

    def unmet(self, answer: Answer) -> Failure | None:
        limit, took = self.response_time_below * 1000, answer.seen.phases.total_ms
        if took < limit:
            return None
        # Close to the limit a rounded figure would contradict the verdict.
        observed = f"{took:.0f} ms" if took >= limit + 1 else f"{took:g} ms"
        return Failure("response_time_below", f"less than {limit:g} ms", observed)


class BodyContains(Frozen):
    """The body holds this text, upper and lower case as written."""

    body_contains: str = Field(min_length=1, max_length=10_000)

    def unmet(self, answer: Answer) -> Failure | None:
        if self.body_contains in answer.text:
            return None
        return Failure("body_contains", answer.shown(self.body_contains), answer.not_found_in_body())


class BodyMatches(Frozen):
    """This regular expression is found somewhere in the body (`^` and `$` tie it to both ends)."""

    body_matches: Pattern

    def unmet(self, answer: Answer) -> Failure | None:
        expected = f"a match of {answer.shown(self.body_matches)}"
        try:
            found = search(self.body_matches, answer.text)
        except TooMuchWork as error:
            return Failure("body_matches", expected, str(error))
        return None if found else Failure("body_matches", expected, answer.not_found_in_body())


class MaxBody(Frozen):
    """The body, decompressed, is not larger than this. One that was not read to its end does not hold."""

    max_body: ByteSize

    def unmet(self, answer: Answer) -> Failure | None:
        size, truncated = len(answer.seen.body), answer.seen.body_truncated
        if size <= self.max_body and not truncated:
            return None
        observed = f"more than {size_text(size)}, where reading stopped (read_limit)" if truncated else size_text(size)
        return Failure("max_body", f"at most {size_text(self.max_body)}", observed)


class _OneOf(Frozen):
    """What an entry with one of several comparisons shares: exactly one is given, and only that one is written out."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given, known = self._given(), ", ".join(_comparisons(type(self)))
        if not given:
            raise ValueError(f"says not what must hold: add one of {known}")
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} in one entry: make an entry of each")
        return self

    @model_serializer(mode="wrap")
    def _without_the_others(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        others = set(_comparisons(type(self))) - self.model_fields_set
        return {key: value for key, value in write(self).items() if key not in others}

    def _given(self) -> tuple[str, ...]:
        return tuple(name for name in _comparisons(type(self)) if name in self.model_fields_set)


def _comparisons(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(name for name, field in model.model_fields.items() if not field.is_required())


class JsonIs(_OneOf):
    """What a JSONPath selects in the body: at least one value, and every one of them equals, or matches.

    `equals` compares as JSON does: 1 is 1.0, but neither true nor "1". `matches` searches texts as they are and other
    values as JSON text. `exists: false` holds when nothing is selected.
    """

    json_: Query = Field(alias="json")
    equals: JsonField = None
    matches: Pattern = ""
    exists: bool = True

    def unmet(self, answer: Answer) -> Failure | None:
        key, expected = f"json {self.json_}", self._expected(answer)
        try:
            found = select(self.json_, answer.json())
            if self._holds(found):
                return None
        except (NotJson, TooMuchWork) as error:
            return Failure(key, expected, str(error))
        return Failure(key, expected, self._observed(found, answer))

    def _expected(self, answer: Answer) -> str:
        match self._given():
            case ("equals",):
                return answer.shown_json(self.equals)
            case ("matches",):
                return f"a match of {answer.shown(self.matches)}"
            case _:
                return "something" if self.exists else "nothing"

    def _holds(self, found: list[Any]) -> bool:
        match self._given():
            case ("equals",):
                return bool(found) and all(same(value, self.equals) for value in found)
            case ("matches",):
                return bool(found) and all(
                    search(self.matches, value if isinstance(value, str) else json_text(value)) for value in found
                )
            case _:
                return bool(found) is self.exists

    def _observed(self, found: list[Any], answer: Answer) -> str:
        if not found:
            return "nothing"
        wrong = found[0] if "exists" in self._given() else next(one for one in found if not self._holds([one]))
        among = f" (one of {len(found)} values)" if len(found) > 1 else ""
        return answer.shown_json(wrong) + among


class HeaderIs(_OneOf):
    """A header of the answer; its values joined by a comma if it is repeated. Values are compared as written."""

    header: str = Field(pattern=HEADER_NAME, description="the name of a header, such as content-type")
    equals: str = ""
    contains: str = ""
    matches: Pattern = ""
    exists: bool = True

    def unmet(self, answer: Answer) -> Failure | None:
        value = answer.seen.headers.get(self.header.lower())
        key, expected = f"header {self.header.lower()}", self._expected(answer)
        try:
            if self._holds(value):
                return None
        except TooMuchWork as error:
            return Failure(key, expected, str(error))
        return Failure(key, expected, "no such header" if value is None else answer.shown(value))

    def _expected(self, answer: Answer) -> str:
        match self._given():
            case ("equals",):
                return answer.shown(self.equals)
            case ("contains",):
                return f"a value with {answer.shown(self.contains)} in it"
            case ("matches",):
                return f"a match of {answer.shown(self.matches)}"
            case _:
                return "the header" if self.exists else "no such header"

    def _holds(self, value: str | None) -> bool:
        given = self._given()
        if given == ("exists",):
            return (value is not None) is self.exists
        if value is None:
            return False
        match given:
            case ("equals",):
                return value == self.equals
            case ("contains",):
                return self.contains in value
            case _:
                return search(self.matches, value)


def unexpected_status(status: int | None, allowed: Ranges, allowed_text: str) -> Failure | None:
    """The failure if the status is not among the allowed ones."""
    if status is not None and any(first <= status <= last for first, last in allowed):
        return None
    return Failure("status", allowed_text, "none" if status is None else str(status))


Expectation = Annotated[
    Annotated[StatusIs, Tag("status")]
    | Annotated[ResponseTimeBelow, Tag("response_time_below")]
    | Annotated[BodyContains, Tag("body_contains")]
    | Annotated[BodyMatches, Tag("body_matches")]
    | Annotated[JsonIs, Tag("json")]
    | Annotated[HeaderIs, Tag("header")]
    | Annotated[MaxBody, Tag("max_body")],
    Discriminator(
        by_key("status", "response_time_below", "body_contains", "body_matches", "json", "header", "max_body")
    ),
]
"""One entry of `expect`, chosen by its key."""
