"""Selects jobs by name, tags and kind: for default rules, and for groups that are alerted about as one subject. Pure.

jobs.incidents.suppression.windows adds severities, for windows, silences and routes. A pass compares many subjects
with many selectors, so that `selects` has plain loops.

A group is down when enough of its jobs are; its rules apply to that. Evaluated like other rules, with `judge_group` in
the place of a condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from jobs.alerting.alert import Verdict
from jobs.alerting.conditions.base import ShareField, format_share
from jobs.alerting.rule import AlertRule, AlertRules
from jobs.formats.display_text import DisplayText, DisplayTexts
from jobs.formats.wildcards import matches_wildcard
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


_GROUP_CONDITIONS = ("failed", "degraded")
_MOST_NAMED = 5


class DownWhen(FrozenModel):
    """How many jobs must be down: `any`, `all`, `{at_least: 2}` or `{share: 50%}`, which means at least this share."""

    at_least: int | None = Field(default=None, ge=1, le=100_000)
    share: ShareField | None = None
    all: Literal[True] | None = None

    @model_validator(mode="after")
    def _has_one_meaning(self) -> Self:
        if sum(value is not None for value in (self.at_least, self.share, self.all)) != 1:
            raise ValueError("expected one of any, all, {at_least: 2} and {share: 50%}")
        return self

    def is_reached(self, bad: int, known: int) -> bool:
        if not bad:
            return False
        if self.at_least is not None:
            return bad >= self.at_least
        return bad == known if self.share is None else bad / known >= self.share

    def __str__(self) -> str:
        if self.at_least is not None:
            return f"at least {self.at_least}"
        return "all" if self.share is None else f"at least {format_share(self.share)}"


def _read_word(value: Any) -> Any:
    return {"any": {"at_least": 1}, "all": {"all": True}}.get(value, value) if isinstance(value, str) else value


class AlertGroup(FrozenModel):
    """A group, which is a subject of alerts as a job is. Without `alerts` it has one rule about `failed`."""

    jobs: AlertSelector
    down_when: Annotated[
        DownWhen, BeforeValidator(_read_word, json_schema_input_type=Literal["any", "all"] | DownWhen)
    ] = DownWhen(at_least=1)
    alerts: AlertRules = (AlertRule(),)
    description: DisplayText = Field(default="", max_length=500)
    tags: DisplayTexts = Field(default_factory=dict)
    """For routes, as the tags of a job."""

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in self.alerts:
            key = rule.when.condition_key()
            if key not in _GROUP_CONDITIONS:
                raise ValueError(
                    f"the rule {rule.name} has the condition {key}, which does not apply to a group: "
                    f"expected {' or '.join(_GROUP_CONDITIONS)}"
                )
            if rule.open_after is not None or rule.close_after is not None:
                raise ValueError(
                    f"the rule {rule.name} counts runs (open_after, close_after), of which a group has none: "
                    "set down_when and for"
                )
        return self


def judge_group(group: AlertGroup, members: Mapping[str, bool | None]) -> Verdict:
    """Return whether the group is down.

    `members`: each job of the group -> whether it is bad, which means that its latest counted sample is bad by the
    condition of the rule; None if it has no sample, or is paused. Such jobs are not counted.
    """
    known = [name for name, is_bad in members.items() if is_bad is not None]
    if not known:
        return Verdict(None, "no job of the group has a run that counts")
    bad = sorted(name for name in known if members[name])
    names = ", ".join(bad[:_MOST_NAMED]) + (f" and {len(bad) - _MOST_NAMED} more" if len(bad) > _MOST_NAMED else "")
    what = f"{len(bad)} of {len(known)} jobs fail" + (f": {names}" if bad else "")
    is_met = group.down_when.is_reached(len(bad), len(known))
    return Verdict(is_met, f"{what}; the group is down when {group.down_when} fail")


class SelectedRules(FrozenModel):
    """The rules of the selected jobs that have no `alerts`. The first entry that selects a job applies to it."""

    select: AlertSelector
    alerts: AlertRules = Field(description="a list of rules; an empty one means none")
