"""The entry about a list in a JSON body: counts its rows, or judges each row as an entry of a health document is.

    rows: {below: 1}
    rows: {of: $.value, key: $.name, label: queues, expect: [{json: $.deadLetters, below: 1, label: dead letters}]}

Within `where` and `expect`, a row stands for the body: `$` of a JSONPath and `json` of an expression are the row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    Tag,
    model_serializer,
    model_validator,
)

from jobs.expectations.comparisons import CountBounds
from jobs.expectations.engines.jsonpath import JsonPathField, select_values
from jobs.expectations.engines.regular_expressions import LimitExceeded
from jobs.expectations.entries.cel import CelEntry
from jobs.expectations.entries.health import EntryNames
from jobs.expectations.entries.json_body import JsonEntry
from jobs.expectations.entry import (
    BRIEF_CEL_BYTES,
    BRIEF_SEARCH_BYTES,
    ExpectationEntry,
    Feature,
    JudgedAnswer,
    NotJson,
)
from jobs.expectations.health.document import (
    MAX_ENTRIES,
    MAX_TEXT,
    ROWS_KEY,
    EntryRules,
    HealthVerdict,
    is_named,
    judge_document,
    list_reasons,
    make_document,
    make_entry,
)
from jobs.model_base import DisplayText, FrozenModel, discriminate_by_key
from jobs.runs import Failure, Severity
from jobs.runs.details import EntryEffect, EntryStatus, HealthDetail, ReportedEntry

_MAX_ROW_EXPECTATIONS = 20
_MAX_OVERRIDES = 50
_MAX_NUMBER_KEY = 40
"""Characters."""
_LISTS = ("value", "rows")
"""Keys of a body that can have the list, without `of`."""
_RESOURCE = re.compile(r"/subscriptions/[^/]+/resourceGroups/(?=.)", re.IGNORECASE)
"""The beginning of the id of an Azure resource, which its siblings have, too."""
_LAST_NAME = re.compile(r"([A-Za-z_][\w-]*)['\"]?\]?$")

_Label = Annotated[DisplayText, StringConstraints(min_length=1, max_length=60)]


class _RowAnswer(JudgedAnswer):
    """The answer to the entries of a row. Texts are not redacted: the caller does it before it shows them."""

    def __init__(self, answer: JudgedAnswer) -> None:
        super().__init__(answer.observation, lambda text, *, cut=False: text)
        self.__dict__["now"] = answer.now  # the same for all rows
        self.row: Any = None

    def parse_json(self) -> Any:
        return self.row

    def _shorten(self, text: str) -> str:
        return text[:MAX_TEXT]


class RowJson(JsonEntry):
    """The comparison holds for what the JSONPath selects in a row. `label`: what the message calls it."""

    label: _Label | None = None

    def find_clause(self, answer: _RowAnswer) -> tuple[str, float] | None:
        """Return `dead letters 41, below 1`, and how far the value is from its bound; None if it holds."""
        try:
            found = self.find_wrong_value(answer)
        except LimitExceeded as error:
            return f"{self.json_}: {error}", 0.0
        if found is None:
            return None
        value, count = found
        observed = self.describe_observed(value, answer) if count else "no value"
        name = self.label or ("" if self.expires_in else self._last_name())
        return f"{name} {observed}, {self.describe_bound(answer)}".strip(), self.measure_excess(value)

    def _last_name(self) -> str:
        found = _LAST_NAME.search(self.json_)
        return found[1] if found else self.json_

    def _omitted_keys(self) -> set[str]:
        return super()._omitted_keys() | (set() if self.label else {"label"})


class RowCel(CelEntry):
    """The expression is true of a row. `label`: the text of the message if it is not."""

    label: _Label | None = None

    def find_clause(self, answer: _RowAnswer) -> tuple[str, float] | None:
        try:
            return None if self.is_true(answer) else (self.label or f"not {self.cel}", 0.0)
        except LimitExceeded as error:
            return f"{self.label or self.cel}: {error}", 0.0

    def _omitted_keys(self) -> set[str]:
        return super()._omitted_keys() | (set() if self.label else {"label"})


_RowExpectation = Annotated[
    Annotated[RowJson, Tag("json")] | Annotated[RowCel, Tag("cel")],
    Discriminator(discriminate_by_key("json", "cel")),
]
_RowExpectations = Annotated[tuple[_RowExpectation, ...], Field(max_length=_MAX_ROW_EXPECTATIONS)]


def _read_condition(value: Any) -> Any:
    return {"cel": value} if isinstance(value, str) else value


_RowCondition = Annotated[
    _RowExpectation, BeforeValidator(_read_condition, json_schema_input_type=str | _RowExpectation)
]
"""A field of one expectation; a text is an expression."""


class RowOverride(FrozenModel):
    """Other expectations for the rows whose names match, in which `*` is any text."""

    match: Annotated[DisplayText, StringConstraints(min_length=1, max_length=200)]
    expect: Annotated[_RowExpectations, Field(min_length=1)]


class RowRules(CountBounds):
    """Bounds on the number of rows, expectations of each row, or both. See docs/jobs.md."""

    of: JsonPathField | None = None
    where: _RowCondition | None = None
    key: JsonPathField = "$.name"
    label: _Label = "rows"
    expect: _RowExpectations = ()
    ignore: EntryNames = ()
    require: EntryNames = ()
    overrides: Annotated[tuple[RowOverride, ...], Field(max_length=_MAX_OVERRIDES)] = ()

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if not (self._bounds() or self.judges_rows):
            bounds = ", ".join(CountBounds.model_fields)
            raise ValueError(f"has nothing to judge: write `expect` for each row, or one of {bounds} for their number")
        if not self.judges_rows and (unused := self.model_fields_set & {"key", "ignore"}):
            raise ValueError(f"{' and '.join(sorted(unused))} needs `expect`, by which each row is judged")
        return self

    @model_serializer(mode="wrap")
    def _serialize(self, write: SerializerFunctionWrapHandler) -> Any:
        given = {name: value for name, value in write(self).items() if name in self.model_fields_set}
        return given["equals"] if given.keys() == {"equals"} else given

    @property
    def judges_rows(self) -> bool:
        """Whether the rows are entries. Otherwise they are only counted."""
        return bool(self.expect or self.overrides or self.require)

    @property
    def has_bounds(self) -> bool:
        return bool(self._bounds())


class _NoRows(Exception):
    """The body has no list of rows, or it is beyond a limit; the message is a clause."""


class _JudgedRow(NamedTuple):
    entry: ReportedEntry
    excess: float
    """How far its first wrong value is from its bound: the worst rows are named first."""


class RowsEntry(ExpectationEntry):
    """The rows of a list in the body are as many as expected, and each is as expected."""

    needs: ClassVar = Feature.JSON

    rows: RowRules

    @property
    def brief_bytes(self) -> int | None:
        is_counted = not self.rows.judges_rows and not isinstance(self.rows.where, RowCel)
        return BRIEF_SEARCH_BYTES if is_counted else BRIEF_CEL_BYTES

    @property
    def entry_rules(self) -> EntryRules | None:
        return EntryRules(self.rows.ignore, self.rows.require) if self.rows.judges_rows else None

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        rules, row_answer = self.rows, _RowAnswer(answer)
        try:
            rows = list(self._select_rows(answer.parse_json(), row_answer))
            if rules.judges_rows and len(rows) > MAX_ENTRIES:
                raise _NoRows(f"{len(rows):,} {rules.label}: select fewer by `of` or `where`, or split the job")
        except (NotJson, LimitExceeded, _NoRows) as error:
            expected = f"at most {MAX_ENTRIES:,} {rules.label}" if rules.judges_rows else f"a list of {rules.label}"
            return Failure(self.entry_key(), expected, answer.shorten(str(error)))
        is_miscounted = rules.has_bounds and not rules.holds(len(rows))
        if not rules.judges_rows:
            counted = f"{len(rows):,} {rules.label}" if "label" in rules.model_fields_set else f"{len(rows):,}"
            return Failure(self.entry_key(), self._describe_bounds(), counted) if is_miscounted else None
        verdict = self._judge_rows(rows, row_answer)
        answer.health = _make_detail(verdict)
        clauses = [] if verdict.effect is EntryEffect.NONE else [self._describe(verdict, answer.shorten)]
        if is_miscounted:
            clauses.append(f"{len(rows):,} {rules.label}, expected {self._describe_bounds()}")
        if not clauses:
            return None
        is_failed = is_miscounted or verdict.effect is EntryEffect.DOWN
        severity = Severity.FAIL if is_failed else Severity.DEGRADED
        return Failure(ROWS_KEY, f"no failing {rules.label}", "; ".join(clauses), severity)

    def _describe_bounds(self) -> str:
        return CountBounds.__str__(self.rows)

    def _describe(self, verdict: HealthVerdict, show: Callable[[str], str]) -> str:
        names = {entry.name for entry in verdict.entries}
        count = len(names | {reason.name for reason in verdict.reasons})  # also the required ones that are missing
        return f"{len(verdict.reasons):,} of {count:,} {self.rows.label}: {list_reasons(verdict, show)}"

    def _select_rows(self, body: Any, answer: _RowAnswer) -> Iterator[tuple[int, Any]]:
        """Yield the position and the value of each row that `where` selects. Raises LimitExceeded, _NoRows."""
        for number, row in enumerate(_find_list(body, self.rows.of), 1):
            answer.row = row
            if self.rows.where is None or _is_selected(self.rows.where, number, answer):
                yield number, row

    def _judge_rows(self, rows: list[tuple[int, Any]], answer: _RowAnswer) -> HealthVerdict:
        judged = [self._judge_row(number, row, answer) for number, row in rows]
        document = make_document("", (row.entry for row in judged))
        worst = sorted(zip(document.entries, judged, strict=True), key=lambda pair: -pair[1].excess)
        document = replace(document, entries=tuple(entry for entry, _ in worst))
        rules = EntryRules(self.rows.ignore, self.rows.require)
        # The message names the status of an entry only if it is not the worst.
        first = judge_document(document, rules)
        return judge_document(replace(document, word=_word_of(first), status=EntryStatus.UP), rules)

    def _judge_row(self, number: int, row: Any, answer: _RowAnswer) -> _JudgedRow:
        answer.row = row
        name = _read_key(self.rows.key, row)
        if not name:
            return _JudgedRow(make_entry(f"row {number}", "down", observed=f"no text at {self.rows.key}"), 0.0)
        status, excess = EntryStatus.UP, 0.0
        clauses: list[str] = []
        for expectation in self._expectations_of(name):
            found = expectation.find_clause(answer)
            if found is None:
                continue
            if not clauses:
                excess = found[1]
            clauses.append(found[0])
            is_worse = expectation.severity is Severity.FAIL
            status = EntryStatus.DOWN if is_worse else max(status, EntryStatus.DEGRADED, key=_SEVERITY.index)
        return _JudgedRow(make_entry(name, status.value, observed="; ".join(clauses)[:MAX_TEXT]), excess)

    def _expectations_of(self, name: str) -> tuple[RowJson | RowCel, ...]:
        own = (override.expect for override in self.rows.overrides if is_named(name, override.match))
        return next(own, self.rows.expect)


_SEVERITY = (EntryStatus.UP, EntryStatus.DEGRADED, EntryStatus.DOWN)
_STATUS_OF_EFFECT = {
    EntryEffect.NONE: EntryStatus.UP,
    EntryEffect.DEGRADED: EntryStatus.DEGRADED,
    EntryEffect.DOWN: EntryStatus.DOWN,
}


def _word_of(verdict: HealthVerdict) -> str:
    return _STATUS_OF_EFFECT[verdict.effect].value


def _make_detail(verdict: HealthVerdict) -> HealthDetail:
    status = _STATUS_OF_EFFECT[verdict.effect]
    return HealthDetail(status.value, status, verdict.entries, len(verdict.entries))


def _find_list(body: Any, of: str | None) -> list[Any]:
    """Return the rows: the items of the list at `of`, or all the values that it selects. Raises _NoRows."""
    if of is None:
        places = [body, *(body.get(key) for key in _LISTS)] if isinstance(body, dict) else [body]
        for place in places:
            if isinstance(place, list):
                return place
        raise _NoRows("neither a list nor an object with a list `value` or `rows`: say by `of` where the list is")
    values = select_values(of, body)
    if len(values) == 1 and isinstance(values[0], list):
        return values[0]
    if not values and _is_single_path(of):
        raise _NoRows(f"no list at {of}")
    return values


def _is_single_path(path: str) -> bool:
    return not any(sign in path for sign in ("?", "*", "..", ":"))


def _is_selected(condition: RowJson | RowCel, number: int, answer: _RowAnswer) -> bool:
    try:
        if isinstance(condition, RowCel):
            return condition.is_true(answer)
        return condition.find_wrong_value(answer) is None
    except LimitExceeded as error:
        raise LimitExceeded(f"where of row {number}: {error}") from None


def _read_key(path: str, row: Any) -> str:
    """Return the name of a row, `namespace/queue` of several values; empty if one is not a text or a number."""
    try:
        values = select_values(path, row)
    except LimitExceeded:
        return ""
    if not all(isinstance(value, (str, int, float)) and not isinstance(value, bool) for value in values):
        return ""
    texts = [value[:MAX_TEXT] if isinstance(value, str) else str(value)[:_MAX_NUMBER_KEY] for value in values]
    return _RESOURCE.sub("", "/".join(texts)).strip()
