"""Selects jobs by name, tags and kind: for rules by selector and groups, and the base of other selectors. Pure.

jobs.incidents.suppression.windows adds severities, for windows, silences and routes. A pass compares many subjects
with many selectors, so that `selects` has plain loops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from jobs.formats import matches_wildcard
from jobs.model_base import FrozenModel
from jobs.problems import describe_wrong_choice

MAX_SELECTED_TEXTS = 100
"""Names, tags, severities or kinds of one selector."""
NAME_PATTERN = r"^[A-Za-z0-9._*?-]{1,100}$"


def _read_texts(value: object) -> object:
    return (value,) if isinstance(value, str) else value


_TEXTS_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
SelectedTexts = Annotated[
    tuple[str, ...], BeforeValidator(_read_texts), Field(max_length=MAX_SELECTED_TEXTS), WithJsonSchema(_TEXTS_SCHEMA)
]
"""One text, or a list of which one must match."""
NamePatterns = Annotated[
    tuple[Annotated[str, Field(pattern=NAME_PATTERN, description="letters, digits, dot, - and _, and * and ?")], ...],
    BeforeValidator(_read_texts),
    Field(max_length=MAX_SELECTED_TEXTS),
    WithJsonSchema(_TEXTS_SCHEMA),
]
_TagTexts = Annotated[
    tuple[str, ...],
    BeforeValidator(_read_texts),
    Field(min_length=1, max_length=MAX_SELECTED_TEXTS),
    WithJsonSchema(_TEXTS_SCHEMA),
]


class SelectorBase(FrozenModel):
    """Selects by name, tags and kind: all that are set must match, each with one of its values.

    `jobs`: names, with `*` for any text and `?` for one character. `*` in the value of a tag stands for any text.
    """

    OTHER_KINDS: ClassVar[tuple[str, ...]] = ()
    """Kinds of subjects in addition to those of checks."""

    jobs: NamePatterns = Field(default=(), description="names or patterns such as checkout-*, of which one must match")
    tags: dict[str, _TagTexts] = Field(
        default_factory=dict,
        max_length=MAX_SELECTED_TEXTS,
        description="all of these tags, each with a value or one of several; * stands for any text",
    )
    kinds: SelectedTexts = Field(default=(), description="the kind of the check, such as http or heartbeat")

    @field_validator("kinds")
    @classmethod
    def _are_kinds(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        from jobs.targets import TARGETS_BY_KIND  # loads the models of all targets

        for kind in kinds:
            if kind not in TARGETS_BY_KIND and kind not in cls.OTHER_KINDS:
                known = (*TARGETS_BY_KIND, *cls.OTHER_KINDS)
                raise ValueError(": ".join(filter(None, describe_wrong_choice(kind, known))))
        return kinds

    @property
    def is_empty(self) -> bool:
        return not (self.jobs or self.tags or self.kinds)

    def selects(self, name: str, tags: Mapping[str, str], kind: str) -> bool:
        for key, values in self.tags.items():
            found = tags.get(key)
            if found is None or (found not in values and not matches_tag_pattern(found, values)):
                return False
        if self.kinds and kind not in self.kinds:
            return False
        return not self.jobs or any(fnmatchcase(name, pattern) for pattern in self.jobs)

    def __str__(self) -> str:
        """Format for example as `jobs checkout-*, tags team: payments`."""
        parts = [f"jobs {_list_some(self.jobs)}"] if self.jobs else []
        if self.tags:
            tags = [f"{key}: {' or '.join(texts)}" for key, texts in self.tags.items()]
            parts.append(f"tags {_list_some(tags)}")
        if self.kinds:
            parts.append(f"kinds {_list_some(self.kinds)}")
        return ", ".join(parts) or "everything"


class DeliberateSelector(SelectorBase):
    """A selector for which selecting everything is deliberate: `all: true`."""

    all: bool = Field(default=False, description="true: everything, without other conditions")

    @model_validator(mode="after")
    def _selects_by_something(self) -> Self:
        if self.is_empty and not self.all:
            conditions = ", ".join(name for name in type(self).model_fields if name != "all")
            raise ValueError(f"selects nothing: set one of {conditions}, or all: true")
        if self.all and not self.is_empty:
            raise ValueError("all: true selects everything: remove it, or the other conditions")
        return self


class AlertSelector(DeliberateSelector):
    """Which jobs have rules, or are members of a group."""


def matches_tag_pattern(value: str, patterns: tuple[str, ...]) -> bool:
    for pattern in patterns:  # noqa: SIM110 - perf: a generator costs four times as much
        if "*" in pattern and matches_wildcard(value, pattern):
            return True
    return False


def _list_some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
