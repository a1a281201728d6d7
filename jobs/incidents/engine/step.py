"""One incident during a pass, and what the pass adds to it. Used by the other modules of this folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from jobs.incidents.values import (
    AlertDecision,
    AlertKey,
    Incident,
    Member,
    Notification,
    Suppression,
    Transition,
    TransitionKind,
)


@dataclass(slots=True)
class IncidentStep:
    """`before`: None for a new incident. `is_raised`: an alert that joined has a higher severity.

    Nothing is stored if `is_changed` is False.
    """

    before: Incident | None
    incident: Incident
    transitions: list[Transition] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    decisions: list[AlertDecision] = field(default_factory=list)
    is_raised: bool = False

    @property
    def is_changed(self) -> bool:
        return self.incident != self.before or bool(self.decisions)

    def set(self, **changes: Any) -> None:
        self.incident = replace(self.incident, **changes)

    def add_transition(
        self,
        kind: TransitionKind,
        at: datetime,
        text: str,
        *,
        actor: str = "",
        key: AlertKey | None = None,
        replaced: Member | None = None,
    ) -> None:
        """Add the next transition. The first one of a new incident has number 1."""
        self.set(number=self.incident.number + 1)
        self.transitions.append(
            Transition(self.incident.id, self.incident.number, kind, at, text, actor, key, replaced)
        )

    def notify(
        self,
        channels: Iterable[str],
        kind: TransitionKind,
        due_at: datetime,
        *,
        is_digest: bool = False,
        first: int = 0,
        number: int | None = None,
    ) -> None:
        """Add a message to each of these channels. `number`: of its transition; None: of the latest one."""
        about = self.incident.number if number is None else number
        self.notifications += [
            Notification(self.incident.id, about, kind, each, due_at, is_digest, first) for each in channels
        ]

    def decide(
        self,
        code: str,
        at: datetime,
        text: str,
        *,
        key: AlertKey | None = None,
        suppression: Suppression | None = None,
        **inputs: str,
    ) -> None:
        self.decisions.append(AlertDecision(self.incident.id, at, code, text, key, suppression, inputs))
