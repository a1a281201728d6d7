"""Decides what a caller sees of incidents, and removes names of jobs that do not exist for it from their texts. Pure.

For a caller that is limited to tags, an incident exists if its lead does. A group, or an objective over several jobs,
exists if one of its jobs does; the scheduler does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from jobs.incidents.engine.facts import SCHEDULER
from jobs.incidents.values import AlertDecision, Incident, Suppression, SuppressionKind, Transition
from scheduler.catalog.catalog import Catalog, Query
from scheduler.catalog.limited import LimitedCatalog

ANOTHER_JOB = "another job"
"""In the place of a name."""
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")


class SubjectVisibility(Query):
    """What the callers of a catalog see of alerts. A catalog without a limit hides nothing. For one request."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.is_limited = isinstance(catalog, LimitedCatalog)
        self._visible_groups: dict[str, bool] = {}

    def is_visible(self, subject: str) -> bool:
        """Return whether a job, a group, an objective or the scheduler exists for the caller as a subject of alerts."""
        if not self.is_limited or subject in self._catalog:
            return True
        if subject not in self._visible_groups:
            self._visible_groups[subject] = self._is_visible_group(subject)
        return self._visible_groups[subject]

    def sees(self, incident: Incident) -> bool:
        """Return whether an incident exists for the caller: its subject did when the incident was opened."""
        subject = incident.lead.subject
        is_job = subject in self._catalog
        return self._catalog.is_visible(subject, incident.opened_at) if is_job else self.is_visible(subject)

    def _is_visible_group(self, name: str) -> bool:
        alerting = self._catalog.snapshot.alerting
        group, objective = alerting.groups.get(name), alerting.alerted_objectives.get(name)
        select = group.jobs if group is not None else objective.select if objective is not None else None
        return select is not None and any(
            select.selects(each.job.name, each.job.tags, each.job.check.kind) for each in self._catalog
        )

    def require_visible(self, subject: str | None) -> None:
        """Raise UnknownJob unless the subject may exist: a deleted job does for a caller without a limit."""
        if subject is not None and not self.is_visible(subject):
            self._catalog.get_job(subject)

    def require_known(self, subject: str | None) -> None:
        """Raise UnknownJob unless the subject exists now: a name that never did is a typing error."""
        alerting = self._catalog.snapshot.alerting
        known = (SCHEDULER, *alerting.groups, *alerting.alerted_objectives)
        if subject is not None and subject not in known:
            self._catalog.get_job(subject)

    def show_incident(self, incident: Incident) -> Incident | None:
        """Return the incident without the members that the caller does not see; None if its lead is one of them."""
        if not self.is_limited:
            return incident
        if not self.sees(incident):
            return None
        hidden = self.hidden_names(incident)
        members = tuple(
            replace(each, parent=self._show_name(each.parent), evidence=self.hide(each.evidence, hidden))
            for each in incident.members
            if each.key.subject not in hidden
        )
        return replace(
            incident,
            members=members,
            cause=self.hide(incident.cause, hidden),
            shared=(),  # it counts jobs that the caller does not see
            azure=tuple(each for each in incident.azure if self.is_visible(each.key.subject)),
            suppression=self._show_suppression(incident.suppression, hidden),
        )

    def show_transition(self, transition: Transition, hidden: frozenset[str]) -> Transition | None:
        """Return the transition; None if it is about a job that the caller does not see."""
        if not self.is_limited:
            return transition
        if transition.key is not None and not self.is_visible(transition.key.subject):
            return None
        return replace(transition, text=self.hide(transition.text, hidden))

    def show_decision(self, decision: AlertDecision, hidden: frozenset[str]) -> AlertDecision | None:
        """Return the decision; None if it is about a job that the caller does not see."""
        if not self.is_limited:
            return decision
        if decision.key is not None and not self.is_visible(decision.key.subject):
            return None
        return replace(
            decision,
            text=self.hide(decision.text, hidden),
            suppression=self._show_suppression(decision.suppression, hidden),
            inputs={name: self.hide(value, hidden) for name, value in decision.inputs.items()},
        )

    def hidden_names(self, incident: Incident) -> frozenset[str]:
        """Return the subjects in an incident that the caller does not see, deleted jobs among them."""
        if not self.is_limited:
            return frozenset()
        subjects = {each.key.subject for each in incident.members} | {each.parent for each in incident.members} - {""}
        return frozenset(each for each in subjects if not self.is_visible(each))

    def hide(self, text: str, hidden: Iterable[str] = ()) -> str:
        """Return the text with ANOTHER_JOB in the place of each name that the caller does not see."""
        if not self.is_limited:
            return text
        names = frozenset(hidden)
        return _NAME.sub(
            lambda found: ANOTHER_JOB if found[0] in names or self._catalog.hides(found[0]) else found[0], text
        )

    def _show_name(self, subject: str) -> str:
        return subject if not subject or self.is_visible(subject) else ANOTHER_JOB

    def _show_suppression(self, suppression: Suppression | None, hidden: frozenset[str]) -> Suppression | None:
        if suppression is None:
            return None
        is_parent = suppression.kind is SuppressionKind.PARENT
        name = self._show_name(suppression.name) if is_parent else suppression.name
        texts = suppression.reason, suppression.scope, suppression.followed_by
        reason, scope, followed_by = (self.hide(text, hidden) for text in texts)
        return replace(suppression, name=name, reason=reason, scope=scope, followed_by=followed_by)
