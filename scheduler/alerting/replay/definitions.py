"""The definitions of a replay: rules, windows, silences and routes, each as it was at an instant of the replay."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.incidents.engine.facts import GROUP_WAIT
from jobs.incidents.routing import RoutingTable
from jobs.incidents.suppression.finding import SuppressionSet
from scheduler.alerting.rule_book import RuleBook


@dataclass(frozen=True)
class ReplayDefinitions:
    """`suppressions`: also those that have ended."""

    book: RuleBook
    suppressions: SuppressionSet = field(default_factory=SuppressionSet)
    routing: RoutingTable = field(default_factory=RoutingTable)
    group_wait: timedelta = GROUP_WAIT
    _known: dict[tuple[int, int], SuppressionSet] = field(default_factory=dict, repr=False, compare=False)

    def suppressions_at(self, now: datetime) -> SuppressionSet:
        """Return those that had been requested at an instant: a silence holds back nothing before it was created."""
        every = self.suppressions
        requested = tuple(each for each in every.requested if each.created_at <= now)
        silences = tuple(each for each in every.silences if each.created_at <= now)
        key = len(requested), len(silences)
        if key not in self._known:
            self._known[key] = SuppressionSet(every.windows, requested, silences)
        return self._known[key]
