"""What the delivery renders, hands to a channel and stores; what a channel needs, and the answers of services.

A `Message` is about a transition of an incident. The outbox has a row for each channel that it is sent to; the names of
its fields are stored: add fields with a default, never rename.

Implemented by jobs.notifications.channels. Senders add the answers of services; without a collector, nothing is stored:

    with collect_answers() as answers:
        await sender.send(message, None)

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from jobs.fast_frozen import fast_frozen
from jobs.incidents.values import AlertDecision, Notification, TransitionKind

if TYPE_CHECKING:
    import socket
    import ssl

    import httpx


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


class SendFailed(Exception):
    """The message was not sent, or it is not known whether it was. The text is for operators, without secrets.

    `is_permanent`: sending it again cannot help, such as after a 404 of a webhook. `retry_after`: seconds that the
    service requests.
    """

    def __init__(self, message: str, *, is_permanent: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.is_permanent = is_permanent
        self.retry_after = retry_after


@fast_frozen(frozen=True, slots=True)
class SentReference:
    """How the service names the first message of an incident, for edits and replies. Stored as text."""

    value: str = ""


class ChannelResources(Protocol):
    """Shared by the channels of a process."""

    @property
    def http(self) -> httpx.AsyncClient:
        """A client whose connections the target guard judges."""
        ...

    @property
    def tls(self) -> ssl.SSLContext:
        """For clients of protocols other than HTTP: verifies certificates by the authorities that checks trust."""
        ...

    async def read_secret(self, name: str) -> str:
        """Return the value of a secret; the redactor knows it. Raises SendFailed if it cannot be read."""
        ...

    async def get_token(self, scope: str) -> str:
        """Return an access token of the app's managed identity; the redactor knows it. Raises SendFailed."""
        ...

    async def connect(self, host: str, port: int) -> socket.socket:
        """Return a blocking TCP socket without TLS, connected to an address that the target guard allows.

        For protocols other than HTTP. Raises SendFailed.
        """
        ...

    async def check_host(self, host: str, port: int) -> None:
        """Check a host by the target guard, for a library that makes its own connections. Raises SendFailed."""
        ...


class Sender(Protocol):
    """Sends the messages of one channel, one at a time."""

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        """Send a message within the time limit of the caller.

        `reference`: what the first message of the incident returned, None before that. Returns it, or a newer one.

        Raises:
            SendFailed: always instead of an error of a library.
        """
        ...


class ChannelModel(Protocol):
    """A channel in a job file. `kind` selects it. jobs.notifications.channels.base has the fields of all channels."""

    @property
    def kind(self) -> str: ...

    @property
    def fallback(self) -> str | None:
        """The name of the channel that is used while this one fails."""
        ...

    def create_sender(self, resources: ChannelResources) -> Sender: ...


_answers: ContextVar[list[str] | None] = ContextVar("answers", default=None)


@contextmanager
def collect_answers() -> Iterator[list[str]]:
    """Collect the answers to what this task, and tasks that it starts, send in the block."""
    answers: list[str] = []
    token = _answers.set(answers)
    try:
        yield answers
    finally:
        _answers.reset(token)


def add_answer(text: str) -> None:
    """Add the answer of a service: a clause without secrets."""
    answers = _answers.get()
    if answers is not None:
        answers.append(text)


REPEATED_KINDS = frozenset({TransitionKind.REMINDED, TransitionKind.ESCALATED, TransitionKind.FLAPPING})
"""Messages about a failure that is known: what follows can replace them."""


@fast_frozen(frozen=True, slots=True)
class OutboxRow:
    """A notification that is not delivered yet. Rows of a channel are in the order of `key`: time, incident, number.

    `due_at` of the notification: the first attempt is not before it. `next_attempt_at`: None before the first attempt.
    `instead_of`: the channels that could not deliver it, oldest first; then `reason` is the error of the last one.
    `error`: of the last attempt. Texts are without secrets.
    """

    key: str
    notification: Notification
    attempts: int = 0
    first_failed_at: datetime | None = None
    next_attempt_at: datetime | None = None
    error: str = ""
    instead_of: tuple[str, ...] = ()
    reason: str = ""
    etag: str = ""

    @property
    def due_at(self) -> datetime:
        return self.next_attempt_at or self.notification.due_at

    @property
    def dedup_key(self) -> str:
        """Equal for all attempts of a message, and different from that of the fallback channel's own message."""
        return ":for:".join((self.notification.dedup_key, *self.instead_of))


@fast_frozen(frozen=True, slots=True)
class ChannelState:
    """`failing_since`: the first failure since the last success. `failures`: in a row. `retry_at`: no message is
    sent before it.

    `owner`, `leased_until`: the process that delivers now. `sending`: the keys of the rows whose message is being sent;
    after a crash the same rows form the same message again. `etag`: None if the state was never stored.
    `tested_for`: when the latest daily test was due.
    """

    channel: str
    owner: str = ""
    leased_until: datetime | None = None
    sending: tuple[str, ...] = ()
    last_success_at: datetime | None = None
    failing_since: datetime | None = None
    failures: int = 0
    error: str = ""
    retry_at: datetime | None = None
    delivered: int = 0
    given_up: int = 0
    tested_for: datetime | None = None
    etag: str | None = None


@fast_frozen(frozen=True, slots=True)
class ChannelThread:
    """What the messages of one incident in one channel have in common.

    `reference`: the SentReference of the channel, empty before the first message. `moved_to`: the fallback channel that
    received the opening, and so receives the rest. `is_over`: whether the last message was the resolution.
    """

    channel: str
    incident: str
    reference: str = ""
    moved_to: str = ""
    is_over: bool = False


@fast_frozen(frozen=True, slots=True)
class UndeliveredNotification:
    """A dead letter: a notification that no channel could deliver. `channels`: those that were tried, in order."""

    notification: Notification
    channels: tuple[str, ...]
    at: datetime
    error: str


@fast_frozen(frozen=True, slots=True)
class OutboxChanges:
    """One transaction, at most 100 rows. `channel`, `deleted` and `replaced` are fenced by their etags.

    `inserted` rows have an empty key: the store makes it, as for rows of the engine.
    """

    channel: ChannelState
    deleted: tuple[OutboxRow, ...] = ()
    replaced: tuple[OutboxRow, ...] = ()
    inserted: tuple[OutboxRow, ...] = ()
    threads: tuple[ChannelThread, ...] = ()
    decisions: tuple[AlertDecision, ...] = ()
    dead_letters: tuple[UndeliveredNotification, ...] = ()
