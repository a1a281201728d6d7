"""What a check of several steps asks: requests one after the other. The check itself is jobs/checks/kinds/steps.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from jobs.expectations import Expectation, Expectations, check_applicable
from jobs.expectations.engines.jsonpath import JsonPathField
from jobs.expectations.engines.regular_expressions import PatternField
from jobs.expectations.entries.error import ErrorEntry
from jobs.expectations.placeholders import compared_values
from jobs.formats.display_text import DisplayText
from jobs.model_base import HEADER_NAME_PATTERN, Duration, FrozenModel, SecretRef, discriminate_by_key
from jobs.policies import Timeouts
from jobs.problems import looks_secret
from jobs.targets.http import FormBody, HttpTarget, JsonBody, TextBody
from jobs.targets.placeholders import VALUE_NAME, find_names
from jobs.targets.urls import validate_http_url

MOST_STEPS = 50
MOST_STEP_EXPECTATIONS = 300
"""Entries of `expect` in all steps together, those of `cleanup` included."""

MOST_SAVED_VALUES = 200
"""Values that all steps of a check save."""

MOST_SAVED_SECRETS = 50
"""Those of them that must not be shown: each is looked for in texts in some hundred forms."""


class SavedValue(FrozenModel):
    """`secret`: whether the value must never be shown; it is not if its name sounds like one, such as `token`."""

    secret: bool | None = None


class JsonSource(SavedValue):
    """The first value that a JSONPath selects in the body."""

    json_: JsonPathField = Field(alias="json")


class HeaderSource(SavedValue):
    """A header, or what a regular expression finds in it: its first group, or the whole match."""

    header: str = Field(pattern=HEADER_NAME_PATTERN, description="the name of a header, such as location")
    regex: PatternField | None = None


class CookieSource(SavedValue):
    """A cookie that this answer or an earlier one has set."""

    cookie: str = Field(min_length=1, max_length=200)


class BodySource(SavedValue):
    """What a regular expression finds in the body: its first group, or the whole match."""

    regex: PatternField


ValueSource = Annotated[
    Annotated[JsonSource, Tag("json")]
    | Annotated[HeaderSource, Tag("header")]
    | Annotated[CookieSource, Tag("cookie")]
    | Annotated[BodySource, Tag("regex")],
    Discriminator(discriminate_by_key("json", "header", "cookie", "regex")),
]
ValueName = Annotated[
    str, Field(pattern=f"^{VALUE_NAME}$", description="letters, digits and _, the first no digit, such as order_id")
]


def _check_step_url(url: str) -> str:
    """A URL that an earlier answer gives, or that belongs to the step before, is looked at only once it is known."""
    return url if url.startswith(("/", "${")) else validate_http_url(url)


class Step(HttpTarget):
    """One request, what must hold of its answer, and what is kept of it for the steps behind it.

    In `url`, `headers`, `query`, `body` and what `expect` compares with, `${name}` is what an earlier step has saved
    under this name; `$$` is a dollar sign. A `url` that begins with / belongs to the host of the step before.
    """

    name: DisplayText = Field(min_length=1, max_length=100)
    url: Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(_check_step_url)]
    expect: Expectations = ()
    save: dict[ValueName, ValueSource] = {}
    timeout: Annotated[Duration, Field(gt=0)] | None = None

    @field_validator("expect")
    @classmethod
    def _check_expectations(cls, value: tuple[Expectation, ...], info: ValidationInfo) -> tuple[Expectation, ...]:
        check_applicable(value, "http", info.data.get("url", ""))
        if any(isinstance(entry, ErrorEntry) for entry in value):
            raise ValueError("error does not fit a step, which ends them all if no answer comes: make a job of it")
        return value

    def is_secret_value(self, value: str) -> bool:
        """Whether what it saves under this name must never be shown."""
        secret = self.save[value].secret
        return looks_secret(value) if secret is None else secret

    def placeholder_names(self) -> set[str]:
        """The names that it needs."""
        expected = [value for entry in self.expect for value in compared_values(entry)]
        return {name for value in (*self.sent_values(), *expected) for name in find_names(value)}

    def sent_values(self) -> list[Any]:
        """All of its request in which placeholders count: texts, and a JSON value."""
        texts: list[Any] = [self.url, *_texts(self.headers), *_texts(self.query)]
        match self.body:
            case TextBody(text=str() as text):
                texts.append(text)
            case JsonBody(json_=document):
                texts.append(document)
            case FormBody(form=form):
                texts += _texts(form)
        return texts


def _texts(values: dict[str, str | SecretRef]) -> Iterator[str]:
    return (value for value in values.values() if isinstance(value, str))


class StepsTarget(FrozenModel):
    """Requests one after the other, with one jar of cookies; the first that is not as expected ends them.

    The steps of `cleanup` are made at the end in any case, also when time is up; one that needs what was never saved is
    left out.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=30.0, run=60.0)

    kind: Literal["steps"]
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_STEPS)]
    cleanup: Annotated[tuple[Step, ...], Field(max_length=MOST_STEPS)] = ()

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if self.steps[0].url.startswith("/"):
            raise ValueError(f"steps[0].url: {self.steps[0].url!r} has no host: only a later step may leave it out")
        entries = sum(len(step.expect) for _, step in self._iter_steps())
        if entries > MOST_STEP_EXPECTATIONS:
            raise ValueError(
                f"has {entries} entries of expect in all steps together; at most {MOST_STEP_EXPECTATIONS} are allowed: "
                "join some in one entry (cel, or a pattern with |), or make two jobs of it"
            )
        known: set[str] = set()
        seen: set[str] = set()
        for place, step in self._iter_steps():
            if step.name in seen:
                raise ValueError(f"{place}.name: there are two steps named {step.name!r}: rename one")
            seen.add(step.name)
            for name in sorted(step.placeholder_names() - known):
                raise ValueError(
                    f"{place}: ${{{name}}} is saved by no step before it{_explain_placeholder(known, name)}"
                )
            known |= step.save.keys()
        self._check_saved_values()
        return self

    def _check_saved_values(self) -> None:
        """Raises ValueError."""
        hidden = [step.is_secret_value(name) for _, step in self._iter_steps() for name in step.save]
        if len(hidden) > MOST_SAVED_VALUES:
            raise ValueError(
                f"the steps save {len(hidden)} values; at most {MOST_SAVED_VALUES} are allowed: "
                "save only those that later steps need"
            )
        if sum(hidden) > MOST_SAVED_SECRETS:
            raise ValueError(
                f"the steps save {sum(hidden)} secret values; at most {MOST_SAVED_SECRETS} are allowed: "
                "write `secret: false` at those that may be shown (names such as token count as secret)"
            )

    def _iter_steps(self) -> Iterator[tuple[str, Step]]:
        for key, steps in (("steps", self.steps), ("cleanup", self.cleanup)):
            yield from ((f"{key}[{number}]", step) for number, step in enumerate(steps))

    @property
    def endpoint(self) -> str:
        """The target for logs and history: the first request's."""
        return self.steps[0].endpoint

    @property
    def idempotent(self) -> bool:
        """Whether all of its requests are."""
        return all(step.idempotent for step in (*self.steps, *self.cleanup))


def _explain_placeholder(known: set[str], name: str) -> str:
    if not re.fullmatch(VALUE_NAME, name):
        return "; write $$ for a dollar sign"
    return f"; there is {', '.join(sorted(known))}" if known else "; none has a save"
