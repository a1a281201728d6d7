"""Values of steps: judge a response and extract what later steps need of it, as one task; fill it into these. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from pydantic import ValidationError

from jobs.checks.errors import BadSubstitution, ExtractionError
from jobs.expectations import Expectation, ExpectationEntry
from jobs.expectations.budget import BudgetExceeded, current_budget
from jobs.expectations.engines.jsonpath import select_values
from jobs.expectations.engines.regular_expressions import LimitExceeded, find_first
from jobs.expectations.entry import BRIEF_SEARCH_BYTES, JudgedAnswer, NotJson
from jobs.expectations.judging import UNDECIDED_REMEDY, compared_values, describe_exceeded_budget, fill_compared_values
from jobs.judging import ExpectationVerdict, Judgement, OnPartStarted
from jobs.model_base import SecretRef
from jobs.problems import validation_problems
from jobs.redaction import Redact
from jobs.runs import Failure, Severity
from jobs.runs.details import HealthDetail
from jobs.targets.endpoints import validate_http_url
from jobs.targets.http import FormBody, JsonBody, RequestBody, TextBody, is_invalid_header_value
from jobs.targets.steps import (
    BodySource,
    CookieSource,
    HeaderSource,
    JsonSource,
    Step,
    ValueSource,
    exposes_secrets,
    fill_json,
    fill_text,
    format_as_text,
    has_placeholders,
)

if TYPE_CHECKING:
    import httpx

MAX_SAVED_VALUE = 64 * 1024
"""Characters of a value, a JSON one as text."""

MAX_SAVED_CHARACTERS = 1024 * 1024
"""Of all values that an attempt saves."""

MAX_SECRET_CHARACTERS = 16 * 1024
"""Of all secret values that an attempt saves: redaction searches texts for some hundred forms of each."""

MAX_SECRET_LINES = 200
"""Of the same: redaction searches for each line, too."""

_INSTEAD = "save less of the response (by a narrower JSONPath or a regex), or write `secret: false` if it may be shown"


class SavedValueLimits:
    """Counts how much an attempt has saved."""

    def __init__(self) -> None:
        self._characters = self._secret_characters = self._secret_lines = 0

    def count_value(self, text: str, *, hides: bool) -> None:
        """Count a value, as text. Raises ExtractionError if it exceeds a limit."""
        self._characters += len(text)
        if self._characters > MAX_SAVED_CHARACTERS:
            raise ExtractionError(
                f"with it the saved values would have {self._characters} characters; "
                f"the limit is {MAX_SAVED_CHARACTERS}: save less of the responses"
            )
        if not hides:
            return
        self._secret_characters += len(text)
        if self._secret_characters > MAX_SECRET_CHARACTERS:
            raise ExtractionError(
                f"with it the saved secrets would have {self._secret_characters} characters; "
                f"the limit is {MAX_SECRET_CHARACTERS}: {_INSTEAD}"
            )
        self._secret_lines += len(text.splitlines())
        if self._secret_lines > MAX_SECRET_LINES:
            raise ExtractionError(
                f"with it the saved secrets would have {self._secret_lines} lines; "
                f"the limit is {MAX_SECRET_LINES}: {_INSTEAD}"
            )


def extract_value(source: ValueSource, answer: JudgedAnswer, cookies: httpx.Cookies | None = None) -> Any:
    """Return the value, as JSON. `cookies`: those of the sequence, for a CookieSource. Raises ExtractionError,
    OutOfTime."""
    try:
        value = _select_value(source, answer, cookies)
    except (NotJson, LimitExceeded) as error:
        raise ExtractionError(f"{error}") from None
    if _is_longer(value, MAX_SAVED_VALUE):
        raise ExtractionError(f"the value has more than {MAX_SAVED_VALUE} characters")
    return value


def _is_longer(value: Any, most: int) -> bool:
    """Return whether a JSON value has more characters as text, approximately; reads no more of it than that."""
    unread = [value]
    while unread and most >= 0:
        match unread.pop():
            case str() as text:
                most -= len(text)
            case list() as items:
                most -= 2 + len(items)
                unread += items if most >= 0 else ()
            case dict() as entries:
                most -= 2 + 4 * len(entries)
                unread += (*entries.keys(), *entries.values()) if most >= 0 else ()
            case number:
                most -= len(str(number))
    return most < 0


def _select_value(source: ValueSource, answer: JudgedAnswer, cookies: httpx.Cookies | None) -> Any:
    match source:
        case JsonSource(json_=query):
            found = select_values(query, answer.parse_json())
            if not found:
                raise ExtractionError(f"{query} selects nothing in the body")
            return found[0]
        case HeaderSource(header=name, regex=pattern):
            value = answer.observation.headers.get(name.lower())
            if value is None:
                raise ExtractionError(f"the response has no header {name}")
            return value if pattern is None else _first_match(pattern, value, f"the header {name}", answer)
        case CookieSource(cookie=name):
            # A cookie may be set for several paths: the newest counts.
            values = [cookie.value for cookie in (cookies.jar if cookies is not None else ()) if cookie.name == name]
            if not values or values[-1] is None:
                raise ExtractionError(f"no response has set the cookie {name}")
            return values[-1]
        case BodySource(regex=pattern):
            return _first_match(pattern, answer.text, "the body", answer)


def _first_match(pattern: str, text: str, where: str, answer: JudgedAnswer) -> str:
    found = find_first(pattern, text)
    if found is None:
        raise ExtractionError(f"{answer.quote_text(pattern)} is not found in {where}, {answer.quote_text(text)}")
    return found


@dataclass(frozen=True, slots=True)
class MissingValue:
    """A value that cannot be saved, and the reason: a clause."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepResult:
    """`values`: what is saved, up to the missing one. Nothing is saved of an unexpected response. `health`: see
    ExpectationVerdict."""

    failures: tuple[Failure, ...]
    values: dict[str, Any] = field(default_factory=dict)
    missing: MissingValue | None = None
    health: HealthDetail | None = None

    @property
    def blocking_failures(self) -> tuple[Failure, ...]:
        """The failures that end the attempt."""
        return tuple(failure for failure in self.failures if failure.severity is Severity.FAIL)


@dataclass(frozen=True, slots=True)
class StepJudgement:
    """Judge the response of a step and extract the values that it saves, as a judging task.

    `save`: name and source of each value of the response itself; cookies are not among them.
    """

    judgement: Judgement
    save: tuple[tuple[str, ValueSource], ...]

    @property
    def size(self) -> int:
        return self.judgement.size

    def is_brief(self) -> bool:
        looks_through = any(isinstance(source, (JsonSource, BodySource)) for _, source in self.save)
        return self.judgement.is_brief() and not (looks_through and self.size > BRIEF_SEARCH_BYTES)

    def perform(self, redact: Redact, on_part_started: OnPartStarted) -> StepResult:
        verdict = self.judgement.perform(redact, on_part_started)
        result = StepResult(verdict.failures, health=verdict.health)
        if result.blocking_failures:
            return result
        answer, values = JudgedAnswer(self.judgement.observation, redact), result.values
        for place, (name, source) in enumerate(self.save, len(self.judgement.expect)):
            on_part_started(place)
            try:
                values[name] = extract_value(source, answer)
            except ExtractionError as error:
                return replace(result, missing=MissingValue(name, str(error)))
            except BudgetExceeded:
                budget = current_budget()
                if budget is None or not budget.is_final:
                    raise
                return replace(result, missing=MissingValue(name, _stopped(describe_exceeded_budget(budget.seconds))))
        return result

    def pack(self, result: StepResult) -> Any:
        missing = None if result.missing is None else [result.missing.name, result.missing.reason]
        return [self.judgement.pack(ExpectationVerdict(result.failures, result.health)), result.values, missing]

    def unpack(self, packed: Any, complete: Callable[[str], str]) -> StepResult:
        judged, values, missing = packed
        verdict = self.judgement.unpack(judged, complete)
        why = None if missing is None else MissingValue(missing[0], complete(missing[1]))
        return StepResult(verdict.failures, values, why, verdict.health)

    def undecided(self, place: int, why: str) -> StepResult:
        entries = len(self.judgement.expect)
        if self.save and place >= entries:
            name, _ = self.save[min(place - entries, len(self.save) - 1)]
            return StepResult((), missing=MissingValue(name, _stopped(why)))
        return StepResult(self.judgement.undecided(place, why).failures)


def _stopped(why: str) -> str:
    return (
        f"it was not decided: {why}; {UNDECIDED_REMEDY.replace('that entry, use fewer entries', 'its path or pattern')}"
    )


class StepValues:
    """Fills saved values into steps and their expectations."""

    def __init__(self) -> None:
        self.by_name: dict[str, Any] = {}
        self.secret_names: set[str] = set()
        self.last_url = ""
        """Of the last response: relative URLs of steps refer to it."""

    def fill_step(self, step: Step) -> Step:
        """Return the step with its placeholders filled in. Raises BadSubstitution."""
        if not has_placeholders(step.sent_values()) and not step.url.startswith("/"):
            return step
        changes: dict[str, Any] = {"url": self._url(step)}
        if exposes_secrets(step, changes["url"], self.secret_names):
            raise BadSubstitution(
                "it would send secrets over plain http; if that is intended, set allow_plain_http: true"
            )
        changes["headers"] = {name: self._header(name, value) for name, value in step.headers.items()}
        changes["query"] = {name: self._text(value) for name, value in step.query.items()}
        if step.body is not None:
            changes["body"] = self._body(step.body)
        return step.model_copy(update=changes)

    def fill_expectation(self, entry: Expectation) -> ExpectationEntry:
        """Return the entry with its placeholders filled in. Raises BadSubstitution."""
        if not any(map(has_placeholders, compared_values(entry))):
            return entry
        values = self.by_name
        try:
            return fill_compared_values(
                entry, lambda text: fill_text(text, values), lambda value: fill_json(value, values)
            )
        except ValidationError as error:
            (problem, *_) = validation_problems(error, type(entry))
            raise BadSubstitution(f"its {entry.entry_key()} got an invalid value: {problem.message}") from None

    def _url(self, step: Step) -> str:
        whole = step.url.startswith("${")
        head, _, rest = step.url.partition("}") if whole else ("", "", step.url)
        first = format_as_text(self.by_name[head[2:]]) if whole else ""
        url = first + fill_text(rest, self.by_name, lambda value: quote(value, safe=""))
        try:
            return validate_http_url(urljoin(self.last_url, url))
        except ValueError as error:
            raise BadSubstitution(f"its url cannot be requested: {error}") from None

    def _header(self, name: str, value: str | SecretRef) -> str | SecretRef:
        text = self._text(value)
        if isinstance(text, str) and is_invalid_header_value(text):
            raise BadSubstitution(
                f"the saved value cannot stand in the header {name}: it has a line break or a control character"
            )
        return text

    def _text(self, value: str | SecretRef) -> str | SecretRef:
        return fill_text(value, self.by_name) if isinstance(value, str) else value

    def _body(self, body: RequestBody) -> RequestBody:
        match body:
            case TextBody(text=text):
                return body.model_copy(update={"text": self._text(text)})
            case JsonBody(json_=document):
                return body.model_copy(update={"json_": fill_json(document, self.by_name)})
            case FormBody(form=form):
                return body.model_copy(update={"form": {name: self._text(value) for name, value in form.items()}})
