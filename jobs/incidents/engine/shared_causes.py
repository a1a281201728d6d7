"""Which of the causes that alerts share explains them: what is failing, and the jobs that share it and are fine.

    one of five hosts behind an address fails  -> host: the jobs of the other four are fine
    all five fail                              -> address: it explains more alerts than each host

A cause is refuted if as many jobs that share it are fine as alerts have it. Of the others that leads for which the
alerts outnumber the fine jobs the most; of equal ones that which the fewest jobs share. A cause that is declared, or
names the target, joins alerts even if it is refuted: two jobs of one host are rarely two troubles. Pure: the same
alerts and facts give the same causes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from jobs.incidents.engine.facts import AlertFacts, IncidentStep
from jobs.incidents.engine.joining import Candidate
from jobs.incidents.values import AlertKey, Incident, SharedCause

STRONG_KINDS = frozenset({"parent", "host", "circuit"})
"""The kinds of causes that join alerts whatever else is fine."""
MAX_SHOWN = 4
"""Causes that an incident shows."""
_WAY_WEIGHT = 4
_LOOKUP_STEP = 10
"""Seconds."""


class SharedCauses:
    """Of the alerts that have no incident yet. Nothing is looked up twice in a pass."""

    def __init__(self, candidates: Sequence[Candidate], facts: AlertFacts) -> None:
        self._facts = facts
        self._causes = {each.key: () if each.is_released else tuple(facts.causes_of(each.key)) for each in candidates}
        self._counts = Counter(cause for causes in self._causes.values() for cause in causes)
        self._since: dict[str, datetime] = {}
        for each in candidates:
            begin = each.alert.failing_since or each.fired_at
            for cause in self._causes[each.key]:
                self._since[cause] = min(begin, self._since.get(cause, begin))
        self._found: dict[tuple[str, datetime], SharedCause] = {}
        self._common: dict[tuple[str, str, int], bool] = {}

    def causes_of(self, key: AlertKey) -> Sequence[str]:
        return self._causes.get(key, ())

    def remove(self, candidates: Iterable[Candidate]) -> None:
        """Count these alerts no more: they have an incident."""
        for each in candidates:
            self._counts.subtract(self._causes.pop(each.key, ()))

    def rank(self, candidate: Candidate) -> list[str]:
        """Return the causes that the alert shares with others of the pass and that may lead, the best one first."""
        ranked: list[tuple[int, int, int, str]] = []
        refuted = []
        for position, cause in enumerate(self.causes_of(candidate.key)):
            count = self._counts[cause]
            if count < 2:
                continue
            found = self._find(cause, self._since[cause])
            if (against := _weigh(found)) < count:
                ranked.append((against - count, max(found.sharing, count), position, cause))
            elif is_strong(cause):
                refuted.append(cause)
        return [*(cause for *_, cause in sorted(ranked)), *refuted]

    def explains_more(self, cause: str, incident: Incident) -> bool:
        """Return whether all members of an incident have a cause that explains them and the alerts of this pass better
        than what they share now.
        """
        if not self._is_common(cause, incident):
            return False
        since, members = _round_up(incident.failing_since), len(incident.open_members)
        support = self._counts[cause] + members - _weigh(self._find(cause, since))
        if not incident.cause:
            return support > 0 or is_strong(cause)
        return not is_strong(cause) and support > members - _weigh(self._find(incident.cause, since))

    def _is_common(self, cause: str, incident: Incident) -> bool:
        key = cause, incident.id, incident.number
        if key not in self._common:
            members = [each.key for each in incident.open_members if not each.parent]
            self._common[key] = all(cause in self._facts.causes_of(each) for each in members)
        return self._common[key]

    def show(self, step: IncidentStep) -> None:
        """Let an incident that alerts have joined in this pass show what its lead shares, and which jobs are fine."""
        incident = step.incident
        if step.transitions and incident.is_open:
            since = _round_up(incident.failing_since)
            found = [self._find(cause, since) for cause in list_causes(incident, self._facts)]
            step.set(shared=tuple(each for each in found if each.sharing > 1)[:MAX_SHOWN])

    def _find(self, cause: str, since: datetime) -> SharedCause:
        found = self._found.get((cause, since))
        if found is None:
            found = self._found[cause, since] = self._facts.find_shared(cause, since)
        return found


def _weigh(found: SharedCause) -> int:
    """Return how many alerts the fine jobs outweigh. If one gets through, the way is hardly the cause."""
    return found.fine * (_WAY_WEIGHT if found.cause.startswith("error ") else 1)


def _round_up(instant: datetime) -> datetime:
    """Return an instant that incidents of one storm have in common, so that a cause is looked up once for all."""
    seconds = -instant.timestamp() % _LOOKUP_STEP
    return instant + timedelta(seconds=seconds)


class CandidateGroups:
    """Finds the candidates that share a cause."""

    def __init__(self, candidates: Sequence[Candidate], shared: SharedCauses, facts: AlertFacts) -> None:
        self._facts = facts
        self._shared = shared
        self.left = {each.key: each for each in candidates}
        self._by_cause: defaultdict[str, list[Candidate]] = defaultdict(list)
        for each in candidates:
            for cause in shared.causes_of(each.key):
                self._by_cause[cause].append(each)

    def take(self, ready: Candidate) -> tuple[list[Candidate], str]:
        """Remove and return a ready candidate and those that share the cause that explains it best, with the cause.

        A candidate that still waits for parents, other than those of the ready one, is not among them.
        """
        group, shared = [ready], ""
        for cause in self._shared.rank(ready):
            ready_group = [
                each
                for each in self._by_cause[cause]
                if each.key in self.left and (each.unchecked <= ready.unchecked or each.is_ready(self._facts))
            ]
            if len(ready_group) > 1:
                group, shared = ready_group, cause
                break
        for each in group:
            del self.left[each.key]
        return group, shared


def is_strong(cause: str) -> bool:
    return cause.partition(" ")[0] in STRONG_KINDS


def list_causes(incident: Incident, facts: AlertFacts) -> Iterator[str]:
    """Yield the cause of the incident, then those of its lead."""
    if incident.cause:
        yield incident.cause
    yield from (cause for cause in facts.causes_of(incident.lead) if cause != incident.cause)
