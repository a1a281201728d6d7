"""A message about a transition of an incident, rendered for people, and the parts of it that several channels show."""

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


_GOOD, _BAD, _WARNING, _NEUTRAL = "#2eb67d", "#d7263d", "#e8912d", "#6b7280"

_QUIET = frozenset(
    {
        TransitionKind.JOINED,
        TransitionKind.LEFT,
        TransitionKind.ACKNOWLEDGED,
        TransitionKind.SNOOZED,
        TransitionKind.UNACKNOWLEDGED,
        TransitionKind.NOTE_ADDED,
    }
)


def color_of(message: Message) -> str:
    """Return a colour as `#rrggbb`: green for a resolution, red for `down`."""
    if message.is_resolution:
        return _GOOD
    return {"down": _BAD, "degraded": _WARNING, "info": _NEUTRAL}.get(message.severity, _BAD)


def is_quiet(message: Message) -> bool:
    """Whether a message informs only those who follow the incident already, such as a note."""
    return message.kind in _QUIET


def links_of(message: Message) -> tuple[tuple[str, str], ...]:
    """Return the links of a message, each with its label. A runbook that is not a URL is only in `plain_text`."""
    return tuple((label, url) for label, url in _references(message) if url.startswith(("https://", "http://")))


def plain_text(message: Message) -> str:
    """Return everything below the title, as plain lines."""
    facts = [f"{label}: {value}" for label, value in message.facts]
    links = [f"{label}: {url}" for label, url in _references(message) if url]
    return "\n\n".join("\n".join(part) for part in ([message.text], facts, links) if any(part))


def _references(message: Message) -> tuple[tuple[str, str], ...]:
    return (("Incident", message.link), ("Runbook", message.runbook))


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters; a text that is cut ends with an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


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
