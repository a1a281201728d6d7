"""Proposes thresholds for a job: those with the fewest notifications that detect its outages in time.

advisor = Advisor(backtester)
advice = await advisor.advise("checkout", since, until, snapshot, timedelta(minutes=10))
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product

from jobs.alerting.facts import Threshold
from jobs.alerting.rule import AlertRule
from jobs.fast_frozen import fast_frozen
from jobs.incidents.suppression.finding import SuppressionSet
from scheduler.alerting.rule_book import RuleBook
from scheduler.catalog.catalog import CatalogJob, JobSnapshot
from scheduler.features.backtest.messages import IncidentHistory
from scheduler.features.backtest.run_ranges import DueTimeRange
from scheduler.features.backtest.service import Backtester, BacktestRequest, PreparedBacktest
from scheduler.features.backtest.usual_advice import DEFAULT_MAX_OPENINGS, UsualAdvice, advise_usual, list_hour_ends

_OPENINGS: tuple[int | str, ...] = (1, 2, 3, 4, 5, "2 of 3", "2 of 5", "3 of 5", "3 of 10", "4 of 10", "5 of 10")
_CLOSINGS = (None, 2, 3, 5)
_DURATIONS = (0.0, 120.0, 300.0)
_WIDEST = AlertRule.model_validate({"open_after": "5 of 10", "close_after": 5})
"""Its needs are those of all candidates: it decides which runs are read."""
_NOTIFYING = frozenset({"opened", "reopened", "resolved", "flapping"})
COMPARED = timedelta(weeks=5) + timedelta(days=2)
"""Before the history: of the four weeks that are compared, and one that shows that the job ran before them."""
MERGED_WITHIN = timedelta(minutes=5)
"""Failures with less good time between them are one outage."""


@fast_frozen(frozen=True, slots=True)
class RuleCandidate:
    open_after: int | str
    close_after: int | None
    for_: float
    is_current: bool = False

    @property
    def fields(self) -> dict[str, object]:
        """The keys of a rule that it sets."""
        members: dict[str, object] = {"open_after": self.open_after}
        if self.close_after is not None:
            members["close_after"] = self.close_after
        if self.for_:
            members["for"] = f"{self.for_:g}s"
        return members


@fast_frozen(frozen=True, slots=True)
class Alternative:
    """`detected`: seconds from the first failed run of each detected outage to its notification, sorted."""

    candidate: RuleCandidate
    notifications: int
    missed: int
    detected: tuple[float, ...]

    def percentile(self, share: float) -> float | None:
        if not self.detected:
            return None
        return self.detected[max(math.ceil(share * len(self.detected)) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Advice:
    """`outages`: those of at least the detection time, which must be detected within it. `blips`: shorter ones.

    `alternatives`: the best first. `best`: None if no candidate detects all outages in time.
    """

    job: str
    since: datetime
    until: datetime
    outages: int
    blips: int
    alternatives: tuple[Alternative, ...]
    notes: tuple[str, ...]
    detect_within: timedelta
    usual: UsualAdvice

    @property
    def best(self) -> Alternative | None:
        first = self.alternatives[0]
        return first if not first.missed else None

    @property
    def current(self) -> Alternative | None:
        return next((each for each in self.alternatives if each.candidate.is_current), None)


class Advisor:
    """All methods raise StoreError."""

    def __init__(self, backtester: Backtester) -> None:
        self._backtester = backtester

    async def advise(
        self,
        job: str,
        since: datetime,
        until: datetime,
        snapshot: JobSnapshot,
        detect_within: timedelta,
        max_openings: int = DEFAULT_MAX_OPENINGS,
    ) -> Advice:
        """Return the alternatives for the rule about failed runs, and a rule about usual response times.

        `max_openings`: of the latter, in this time. Raises UnknownJob.
        """
        entry = snapshot.get_job(job)
        request = BacktestRequest(since, until, frozenset({job}))
        prepared = await self._backtester.prepare(request, snapshot, _with_rule(snapshot, entry, _WIDEST))
        failures = _list_failures(prepared, job)
        outages = [each for each in failures if each.end - each.begin >= detect_within]
        judged = await asyncio.to_thread(
            lambda: [
                _judge(prepared, entry, snapshot, candidate, outages, detect_within)
                for candidate in _list_candidates(RuleBook(snapshot).rules_of(job).rules)
            ]
        )
        ranked = sorted(judged, key=_rank)
        blips = len(failures) - len(outages)
        notes = tuple(prepared.notes())
        hours = await self._backtester.read_hours(entry.job, since - COMPARED, until, snapshot)
        usual = await asyncio.to_thread(advise_usual, hours, list_hour_ends(since, until), max_openings)
        return Advice(job, since, until, len(outages), blips, tuple(ranked), notes, detect_within, usual)


def _rank(alternative: Alternative) -> tuple[float, ...]:
    """Order by missed outages, notifications, detection time, and at last by how simple the rule is."""
    candidate = alternative.candidate
    simplicity = len(candidate.fields) + (isinstance(candidate.open_after, str))
    return (
        alternative.missed,
        alternative.notifications,
        alternative.percentile(0.95) or 0.0,
        not candidate.is_current,
        simplicity,
    )


def _list_candidates(rules: Sequence[AlertRule]) -> Iterator[RuleCandidate]:
    current = next((rule for rule in rules if rule.when.condition_key() == "failed"), None)
    if current is not None:
        yield RuleCandidate(_written(current.opening), current.close_after, current.for_, is_current=True)
    for opening, closing, duration in product(_OPENINGS, _CLOSINGS, _DURATIONS):
        candidate = RuleCandidate(opening, closing, duration)
        known = None if current is None else RuleCandidate(_written(current.opening), current.close_after, current.for_)
        if candidate != known:
            yield candidate


def _written(threshold: Threshold) -> int | str:
    return threshold.count if threshold.is_consecutive else str(threshold)


def _with_rule(snapshot: JobSnapshot, entry: CatalogJob, rule: AlertRule) -> JobSnapshot:
    """Return the set with this rule alone for a job, and with no other job that has rules."""
    job = entry.job.model_copy(update={"alerts": (rule,)})
    others = (each for each in snapshot if each.job.name in entry.job.parents)
    return JobSnapshot([CatalogJob(job, entry.origin), *others], snapshot.loaded_at, alerting=snapshot.alerting)


def _list_failures(prepared: PreparedBacktest, job: str) -> list[DueTimeRange]:
    """Return the times from a failed run to the first good one, those that are near together as one."""
    failures: list[DueTimeRange] = []
    begin: datetime | None = None
    request = prepared.request
    runs = next((each.runs for each in prepared.history.histories if each.job == job), ())
    for run in runs:
        if run.sample is None:
            continue
        if run.sample.is_failed:
            begin = begin or run.finished_at
        elif begin is not None:
            _add_failure(failures, DueTimeRange(begin, run.finished_at))
            begin = None
    if begin is not None:
        _add_failure(failures, DueTimeRange(begin, request.until))
    return [failure for failure in failures if failure.begin >= request.since]


def _add_failure(failures: list[DueTimeRange], failure: DueTimeRange) -> None:
    if failures and failure.begin - failures[-1].end < MERGED_WITHIN:
        failures[-1] = DueTimeRange(failures[-1].begin, failure.end)
    else:
        failures.append(failure)


def _judge(
    prepared: PreparedBacktest,
    entry: CatalogJob,
    snapshot: JobSnapshot,
    candidate: RuleCandidate,
    outages: Sequence[DueTimeRange],
    detect_within: timedelta,
) -> Alternative:
    rules = RuleBook(snapshot).rules_of(entry.job.name).rules
    base = next((rule for rule in rules if rule.when.condition_key() == "failed"), AlertRule())
    written = base.model_dump(by_alias=True, exclude_defaults=True, mode="json", exclude={"open_after", "close_after"})
    notify = {} if written.get("notify") or prepared.definitions.routing.routes else {"notify": "default"}
    rule = AlertRule.model_validate({**{k: v for k, v in written.items() if k != "for"}, **notify, **candidate.fields})
    book = RuleBook(_with_rule(snapshot, entry, rule))
    # Thresholds do not depend on what a window or a silence held back.
    histories = prepared.replay(replace(prepared.definitions, book=book, suppressions=SuppressionSet()))
    messages = [each for history in histories for each in history.messages if str(each.kind) in _NOTIFYING]
    delays = [_find_delay(histories, each) for each in outages]
    seen = sorted(delay for delay in delays if delay is not None and delay <= detect_within.total_seconds())
    return Alternative(candidate, len(messages), len(outages) - len(seen), tuple(seen))


def _find_delay(histories: Sequence[IncidentHistory], outage: DueTimeRange) -> float | None:
    """Return the seconds until the notification of an outage, 0 if an incident was open already."""
    for history in histories:
        changes = [each for each in history.messages if str(each.kind) in _NOTIFYING]
        before = [each for each in changes if each.at <= outage.begin]
        if before and str(before[-1].kind) != "resolved":
            return 0.0
        inside = [each.at for each in changes if str(each.kind) != "resolved" and outage.begin <= each.at <= outage.end]
        if inside:
            return (min(inside) - outage.begin).total_seconds()
    return None
