"""What an alert is about, and which of these a window, a silence or a route selects. Pure.

Used by jobs.incidents.suppression and jobs.incidents.routing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from jobs.fast_frozen import fast_frozen
from jobs.formats.wildcards import matches_wildcard
from jobs.model_base import FrozenModel

MAX_SELECTED_TEXTS = 100
"""Names, tags, severities or kinds of one selector."""
NAME_PATTERN = r"^[A-Za-z0-9._*?-]{1,100}$"


@fast_frozen(frozen=True, slots=True)
class AlertSubject:
    """`name`: of the job or group. `kind`: of its check, or `group` or `scheduler`.

    `severity`: of the alert, or the highest of an incident; empty where none is known, such as for a job itself.
    """

    name: str
    kind: str = ""
    severity: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def _read_texts(value: object) -> object:
    return (value,) if isinstance(value, str) else value


SelectedTexts = Annotated[
    tuple[str, ...],
    BeforeValidator(_read_texts),
    Field(max_length=MAX_SELECTED_TEXTS),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One text, or a list of which one must match."""
NamePatterns = Annotated[
    tuple[Annotated[str, Field(pattern=NAME_PATTERN)], ...],
    BeforeValidator(_read_texts),
    Field(max_length=MAX_SELECTED_TEXTS),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class SubjectSelector(FrozenModel):
    """Selects by name, tags, severity and kind: all that are set must match, each with one of its values.

    `jobs`: names of jobs and groups, with `*` for any text and `?` for one character. `*` in the value of a tag stands
    for any text. Empty: everything.
    """

    jobs: NamePatterns = ()
    tags: dict[str, SelectedTexts] = Field(default_factory=dict, max_length=MAX_SELECTED_TEXTS)
    severities: SelectedTexts = ()
    kinds: SelectedTexts = ()

    @property
    def is_empty(self) -> bool:
        return not (self.jobs or self.tags or self.severities or self.kinds)

    def matches(self, subject: AlertSubject) -> bool:
        return (not self.severities or subject.severity in self.severities) and self.matches_any_severity_of(subject)

    def matches_any_severity_of(self, subject: AlertSubject) -> bool:
        """Return whether an alert of the subject could match, whatever its severity."""
        for key, values in self.tags.items():
            found = subject.tags.get(key)
            if found is None or (found not in values and not _matches_pattern(found, values)):
                return False
        if self.kinds and subject.kind not in self.kinds:
            return False
        return not self.jobs or any(fnmatchcase(subject.name, pattern) for pattern in self.jobs)

    def find_mismatch(self, subject: AlertSubject) -> str:
        """Return a clause such as `the tag team is web, not payments`; empty if the subject matches."""
        return (
            self._name_mismatch(subject)
            or self._tag_mismatch(subject)
            or self._kind_mismatch(subject)
            or self._severity_mismatch(subject)
        )

    def _name_mismatch(self, subject: AlertSubject) -> str:
        if not self.jobs or any(fnmatchcase(subject.name, pattern) for pattern in self.jobs):
            return ""
        return f"the name is {subject.name}, not {_join(self.jobs)}"

    def _tag_mismatch(self, subject: AlertSubject) -> str:
        for key, values in self.tags.items():
            found = subject.tags.get(key)
            if found is None:
                return f"there is no tag {key}"
            if found not in values and not _matches_pattern(found, values):
                return f"the tag {key} is {found}, not {_join(values)}"
        return ""

    def _kind_mismatch(self, subject: AlertSubject) -> str:
        if not self.kinds or subject.kind in self.kinds:
            return ""
        return f"the kind is {subject.kind or 'unknown'}, not {_join(self.kinds)}"

    def _severity_mismatch(self, subject: AlertSubject) -> str:
        if not self.severities or subject.severity in self.severities:
            return ""
        return f"the severity is {subject.severity or 'unknown'}, not {_join(self.severities)}"


class ExplicitSelector(SubjectSelector):
    """A selector for which selecting everything is deliberate: `all: true`."""

    all: bool = False

    @model_validator(mode="after")
    def _selects_by_something(self) -> Self:
        if self.is_empty and not self.all:
            raise ValueError("selects nothing: set jobs, tags, severities or kinds, or all: true")
        if self.all and not self.is_empty:
            raise ValueError("all: true selects everything: remove it, or the other conditions")
        return self


def _matches_pattern(value: str, patterns: tuple[str, ...]) -> bool:
    for pattern in patterns:  # noqa: SIM110 - perf: a generator costs four times as much
        if "*" in pattern and matches_wildcard(value, pattern):
            return True
    return False


def _join(values: tuple[str, ...]) -> str:
    return " or ".join(values)
