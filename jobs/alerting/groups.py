"""Groups of jobs that are alerted about as one subject: an entry of `alerting.groups` in job files, and its judgement.

Pure. A group is down when enough of its jobs are; its rules apply to that. Evaluated like other rules, with
`judge_group` in the place of a condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from jobs.alerting.alert import Verdict
from jobs.alerting.conditions.base import ShareField, format_share
from jobs.alerting.rule import AlertRule, AlertRules
from jobs.alerting.selectors import AlertSelector
from jobs.model_base import DisplayText, DisplayTexts, FrozenModel

_GROUP_CONDITIONS = ("failed", "degraded")
_MAX_NAMED = 5


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

    def is_reached(self, bad: int, counted: int) -> bool:
        if not bad:
            return False
        if self.at_least is not None:
            return bad >= self.at_least
        return bad == counted if self.share is None else bad / counted >= self.share

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
    counted = [name for name, is_bad in members.items() if is_bad is not None]
    if not counted:
        return Verdict(None, "no job of the group has a run that counts")
    bad = sorted(name for name in counted if members[name])
    names = ", ".join(bad[:_MAX_NAMED]) + (f" and {len(bad) - _MAX_NAMED} more" if len(bad) > _MAX_NAMED else "")
    what = f"{len(bad)} of {len(counted)} jobs fail" + (f": {names}" if bad else "")
    is_met = group.down_when.is_reached(len(bad), len(counted))
    return Verdict(is_met, f"{what}; the group is down when {group.down_when} fail")
