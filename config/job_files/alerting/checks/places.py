"""Where rules are: in a job, or in an entry of the section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from config.job_files.alerting.context import AlertingContext
from jobs.alerting.rule import AlertRule
from jobs.problems import KeyPath, Problem

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob


class _Place(Protocol):
    def problem_at(self, keys: KeyPath, message: str, hint: str) -> Problem: ...


@dataclass(frozen=True, slots=True)
class RulePlace:
    """The list `alerts` of a place."""

    place: _Place
    alerts: tuple[AlertRule, ...]

    def problem_at(self, keys: KeyPath, message: str, hint: str) -> Problem:
        """Return a problem at a key of the place, such as `("alerts", 0, "notify")`."""
        return self.place.problem_at(keys, message, hint)


def list_rule_places(context: AlertingContext) -> Iterator[RulePlace]:
    """Yield the entries of `rules` and `groups`."""
    for part in ("rules", "groups"):
        for one in context.entries_of(part):
            yield RulePlace(one, one.entry.value.alerts)


def rules_of_job(one: LocatedJob) -> RulePlace | None:
    """Return the job's own rules; None if it has none, so that the place of the job is not known either."""
    return RulePlace(one, one.job.alerts) if one.job.alerts else None
