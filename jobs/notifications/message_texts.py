"""Parts of a message that several channels show alike. Used by the modules of jobs.notifications.channels. Pure."""

from __future__ import annotations

from jobs.incidents.values import TransitionKind
from jobs.notifications.message import Message

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
