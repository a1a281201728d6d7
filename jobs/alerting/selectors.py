"""Selects jobs by name, tags and kind: for rules by selector, groups, windows and silences. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from jobs.formats.display_text import DisplayTexts
from jobs.model_base import FrozenModel
from jobs.policies.group_members import JobPattern
from jobs.problems import describe_wrong_choice


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _check_kinds(kinds: tuple[str, ...]) -> tuple[str, ...]:
    from jobs.targets import TARGETS_BY_KIND

    for kind in kinds:
        if kind not in TARGETS_BY_KIND:
            raise ValueError(": ".join(filter(None, describe_wrong_choice(kind, tuple(TARGETS_BY_KIND)))))
    return kinds


class AlertSelector(FrozenModel):
    """A job is selected if it meets every given condition.

    `jobs`: names or patterns such as `checkout-*`, of which one must match. `tags`: the job has all of these; `*` in a
    value stands for any text. `kinds`: the kind of its check is one of these. `all: true` selects every job.
    """

    all: bool = False
    jobs: Annotated[
        tuple[JobPattern, ...],
        BeforeValidator(_as_list, json_schema_input_type=JobPattern | tuple[JobPattern, ...]),
        Field(max_length=100),
    ] = ()
    tags: DisplayTexts = Field(default_factory=dict, max_length=50)
    kinds: Annotated[
        tuple[str, ...],
        BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...]),
        Field(max_length=20),
        AfterValidator(_check_kinds),
    ] = ()

    @model_validator(mode="after")
    def _selects_by_something(self) -> Self:
        has_condition = bool(self.jobs or self.tags or self.kinds)
        if not has_condition and not self.all:
            raise ValueError("selects no job: set jobs (names or patterns), tags or kinds, or all: true")
        if has_condition and self.all:
            raise ValueError("all: true selects every job: remove it, or the other conditions")
        return self

    def selects(self, name: str, tags: Mapping[str, str], kind: str) -> bool:
        return (
            (not self.jobs or any(fnmatchcase(name, pattern) for pattern in self.jobs))
            and all(_has_tag(tags, key, value) for key, value in self.tags.items())
            and (not self.kinds or kind in self.kinds)
        )

    def __str__(self) -> str:
        """Format for example as `jobs checkout-*, tags team: payments`."""
        parts = [] if not self.all else ["all jobs"]
        if self.jobs:
            parts.append(f"jobs {_list_some(self.jobs)}")
        if self.tags:
            parts.append(f"tags {_list_some([f'{key}: {value}' for key, value in self.tags.items()])}")
        if self.kinds:
            parts.append(f"kinds {_list_some(self.kinds)}")
        return ", ".join(parts)


def _has_tag(tags: Mapping[str, str], key: str, pattern: str) -> bool:
    value = tags.get(key)
    if value is None or "*" not in pattern:
        return value == pattern
    return fnmatchcase(value, pattern.replace("[", "[[]").replace("?", "[?]"))


def _list_some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
