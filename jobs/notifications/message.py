"""A message about a transition of an incident, rendered for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from jobs.fast_frozen import fast_frozen
from jobs.incidents.values import TransitionKind


@fast_frozen(frozen=True, slots=True)
class Message:
    """Without secrets. `title`: one line. `text`: several lines, plain. `facts`: label and value, in order.

    `dedup_key`: the same each time this message is sent. `incident_key`: the same for all messages of an incident;
    services that group or edit messages use it. `link`: the page of the incident, empty if the program has no public
    address. `target`, `description`: of the job; `expected`, `observed`, `answer`: of its failed run; `answer` is a
    text of the target. Each is one line, and empty if it is not known. `covers`: the transitions that it is about, in
    order; empty for a digest of several incidents.
    """

    incident: str
    number: int
    kind: TransitionKind
    severity: str
    title: str
    text: str
    at: datetime
    dedup_key: str
    incident_key: str
    subject: str = ""
    target: str = ""
    description: str = ""
    expected: str = ""
    observed: str = ""
    answer: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    link: str = ""
    runbook: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    covers: tuple[TransitionKind, ...] = ()

    @property
    def is_resolution(self) -> bool:
        return self.kind is TransitionKind.RESOLVED
