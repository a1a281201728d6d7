"""Which failing subject explains another one: a failing ancestor. Used by the other modules of this folder."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from jobs.incidents.engine.facts import AlertFacts


def ancestors_of(subject: str, facts: AlertFacts) -> Iterator[str]:
    """Yield the subjects on which this one depends, the nearest first, each once. Circles end."""
    seen, following = {subject}, list(facts.parents_of(subject))
    while following:
        current, following = following, []
        for parent in current:
            if parent not in seen:
                seen.add(parent)
                yield parent
                following += facts.parents_of(parent)


def find_failing_ancestor(subject: str, failing: Collection[str], facts: AlertFacts) -> str:
    """Return the farthest ancestor with a firing alert, as it explains those in between; empty without one."""
    found = ""
    for ancestor in ancestors_of(subject, facts):
        if ancestor in failing:
            found = ancestor
    return found


def list_unchecked_ancestors(subject: str, since: datetime, facts: AlertFacts) -> frozenset[str]:
    """Return the ancestors that were not checked after an instant, so that their own failure is not known."""
    return frozenset(each for each in ancestors_of(subject, facts) if not facts.is_checked_since(each, since))
