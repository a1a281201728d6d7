"""Values that several incident services need. Used by the modules of jobs.notifications.channels."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.incidents.values import TransitionKind
from jobs.notifications.message import Message

ACKNOWLEDGING = frozenset({TransitionKind.ACKNOWLEDGED, TransitionKind.SNOOZED})


def choose_level(levels: Mapping[str, str], severity: str, defaults: Mapping[str, str], other: str) -> str:
    """Return the service's name of a severity: that of the channel, else the default, else `other`."""
    return levels.get(severity) or defaults.get(severity) or other


def list_details(message: Message) -> dict[str, str]:
    """Return facts and tags by name, with the transition and its key."""
    return {
        **{f"tag {name}": value for name, value in message.tags.items()},
        **dict(message.facts),
        "Transition": message.kind.value.replace("_", " "),
        "Severity": message.severity,
        "Deduplication key": message.dedup_key,
    }
