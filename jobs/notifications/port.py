"""What the delivery needs of a channel, what a channel needs, and what services answered to a test of a channel.

Implemented by jobs.notifications.channels. Senders add the answers of services; without a collector, nothing is stored:

    with collect_answers() as answers:
        await sender.send(message, None)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from jobs.fast_frozen import fast_frozen
from jobs.notifications.message import Message

if TYPE_CHECKING:
    import socket
    import ssl

    import httpx


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
