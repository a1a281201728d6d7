"""What a message contains in addition to its incident: the caller gathers it from the job, its runs and the outbox.

Used by jobs.notifications.templates.incident_message. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, tzinfo

from jobs.fast_frozen import fast_frozen
from jobs.incidents.values import TransitionKind


@fast_frozen(frozen=True, slots=True)
class MessageDetails:
    """All optional, without secrets, each of one line. `expected` and `observed`: of the failed run that explains most.

    `changes`: what changed since the last good run, such as `the job file`. `also_notified`: other channels or persons.
    `zone`: of the times that the message contains. `earlier`: why earlier messages of the incident were not delivered,
    such as `status 503`; this message replaces them. `held_back`: until when and by what the message was held back,
    such as `until 06:00 by the window patching`. `is_downtime`: whether the time of the incident is downtime.
    `target`: as its definition names it, without secrets; `description`: of the job; `answer`: how the answer of that
    run began, a text of the target. `expected`, `observed` and `answer` are empty in a resolution. `covers`: the
    transitions that one message is about, in order; empty: its own alone.
    """

    target: str = ""
    description: str = ""
    expected: str = ""
    observed: str = ""
    answer: str = ""
    last_good_at: datetime | None = None
    changes: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    runbook: str = ""
    link: str = ""
    also_notified: tuple[str, ...] = ()
    zone: tzinfo = UTC
    earlier: str = ""
    held_back: str = ""
    is_downtime: bool = True
    covers: tuple[TransitionKind, ...] = ()
